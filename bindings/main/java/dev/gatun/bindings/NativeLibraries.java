package dev.gatun.bindings;

import dev.gatun.bindings.generated.NativeSymbols;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;

/** Placeholder of the loader: opens the libraries of {@code gatun.native.dir}. */
public final class NativeLibraries {
  private static final NativeLibraries INSTANCE = new NativeLibraries();

  private final Path folder;

  private NativeLibraries() {
    folder = Path.of(System.getProperty("gatun.native.dir", "."));
    SymbolLookup lookup = null;
    for (String name : new String[] {"ggml-base", "ggml", "llama", "gatun_shim"}) {
      SymbolLookup next =
          SymbolLookup.libraryLookup(folder.resolve(System.mapLibraryName(name)), Arena.global());
      lookup = lookup == null ? next : next.or(lookup);
    }
    NativeSymbols.install(java.util.Objects.requireNonNull(lookup));
  }

  /** Loads the libraries once per process. */
  public static NativeLibraries load() {
    return INSTANCE;
  }

  /** The folder the libraries were loaded from. */
  public Path folder() {
    return folder;
  }
}
