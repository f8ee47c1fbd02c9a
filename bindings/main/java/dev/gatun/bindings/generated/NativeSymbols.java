package dev.gatun.bindings.generated;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import org.jspecify.annotations.Nullable;

/**
 * Where the generated functions find their addresses: the libraries that the loader has opened.
 *
 * <p>Thread-safe. The lookup is installed once and stays for the life of the process.
 */
public final class NativeSymbols {
  private static volatile @Nullable SymbolLookup installed;

  private NativeSymbols() {}

  /** Makes the functions of this package use {@code lookup}. Called by the loader only. */
  public static void install(SymbolLookup lookup) {
    installed = lookup;
  }

  /**
   * Returns the address of a function.
   *
   * @throws IllegalStateException if no library was loaded yet
   * @throws UnsatisfiedLinkError if the libraries have no such function
   */
  static MemorySegment find(String name) {
    SymbolLookup lookup = installed;
    if (lookup == null) {
      throw new IllegalStateException(
          name + " was called before the native libraries were loaded; load them first");
    }
    return lookup
        .find(name)
        .orElseThrow(
            () -> new UnsatisfiedLinkError("the native libraries do not export " + name));
  }
}
