package dev.gatun.bindings;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The open libraries, searched in the order shim, llama, ggml, ggml-base. */
final class LibrarySet implements SymbolLookup {
  /** In dependency order, which is the order of opening. */
  static final List<String> LIBRARIES = List.of("ggml-base", "ggml", "llama", "gatun_shim");

  private final SymbolLookup[] lookups;

  private LibrarySet(SymbolLookup[] lookups) {
    this.lookups = lookups;
  }

  /** Opens the libraries of a folder for the rest of the process's life. */
  static LibrarySet open(NativeFolder folder, PlatformName platform) {
    var lookups = new SymbolLookup[LIBRARIES.size()];
    for (int i = 0; i < lookups.length; i++) {
      Path path = path(folder, platform, LIBRARIES.get(i));
      try {
        lookups[lookups.length - 1 - i] = SymbolLookup.libraryLookup(path, Arena.global());
      } catch (IllegalArgumentException e) {
        throw new NativeLoadError(
            "The system refuses to open "
                + path
                + ": "
                + reason(path, platform)
                + "; build the natives on this machine, or install what is missing",
            e);
      }
    }
    return new LibrarySet(lookups);
  }

  private static Path path(NativeFolder folder, PlatformName platform, String library) {
    List<String> names = platform.fileNames(library);
    for (String name : names) {
      if (folder.files().contains(name)) {
        return folder.path().resolve(name);
      }
    }
    throw new NativeLoadError(
        String.join(" or ", names)
            + " is missing from "
            + folder.path()
            + "; build the native libraries again (cmake -P native/build.cmake)");
  }

  @Override
  public Optional<MemorySegment> find(String name) {
    for (SymbolLookup lookup : lookups) {
      Optional<MemorySegment> found = lookup.find(name);
      if (found.isPresent()) {
        return found;
      }
    }
    return Optional.empty();
  }

  /** Returns the first few of the names that no library exports. */
  List<String> missing(Iterable<String> names) {
    return missing(this, names);
  }

  static List<String> missing(SymbolLookup lookup, Iterable<String> names) {
    var missing = new ArrayList<String>();
    for (String name : names) {
      if (lookup.find(name).isEmpty() && missing.size() < 8) {
        missing.add(name);
      }
    }
    return missing;
  }

  /** Asks the system's loader again, because the JVM keeps its answer to itself. */
  private static String reason(Path path, PlatformName platform) {
    if (platform.os().equals("windows")) {
      return "a DLL that it needs is missing, or it is for another processor";
    }
    Linker linker = Linker.nativeLinker();
    var dlopen = linker.defaultLookup().find("dlopen");
    var dlerror = linker.defaultLookup().find("dlerror");
    if (dlopen.isEmpty() || dlerror.isEmpty()) {
      return "the reason is not known";
    }
    try (Arena arena = Arena.ofConfined()) {
      var open =
          linker.downcallHandle(
              dlopen.get(),
              FunctionDescriptor.of(
                  ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
      var error = linker.downcallHandle(dlerror.get(), FunctionDescriptor.of(ValueLayout.ADDRESS));
      final int now = 2; // RTLD_NOW, the same on Linux and macOS
      var handle = (MemorySegment) open.invokeExact(arena.allocateFrom(path.toString()), now);
      if (handle.address() != 0) {
        return "it opened at the second try";
      }
      var text = (MemorySegment) error.invokeExact();
      return text.address() == 0 ? "the reason is not known" : Segments.utf8(text, 4096);
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Reads the names that the generated functions need, from the list made with them. */
  static List<String> neededSymbols() {
    try (var in = LibrarySet.class.getResourceAsStream("symbols.txt")) {
      if (in == null) {
        throw new NativeLoadError("symbols.txt is missing from the jar of gatun-bindings");
      }
      return List.of(new String(in.readAllBytes(), StandardCharsets.UTF_8).strip().split("\\s+"));
    } catch (IOException e) {
      throw new NativeLoadError("symbols.txt cannot be read: " + e, e);
    }
  }
}
