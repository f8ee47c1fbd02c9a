package dev.gatun.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Two pages of memory, of which the second must not be touched: native code or an unchecked Java
 * access that goes past the border ends the process.
 *
 * @param page the first page
 */
record GuardPage(MemorySegment page) {
  private static final int READ_WRITE = 3; // PROT_READ | PROT_WRITE
  private static final int PRIVATE_ANONYMOUS = 0x22; // MAP_PRIVATE | MAP_ANONYMOUS of Linux

  /** Maps the pages for the rest of the process's life. Linux only: see {@link TestFiles#linux}. */
  static GuardPage map() throws Throwable {
    long size = 4096;
    while (size < 65_536 && !PlatformName.current().arch().equals("x86_64")) {
      size *= 2; // a multiple of every page size there is
    }
    MethodHandle mmap =
        handle(
            "mmap",
            FunctionDescriptor.of(
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG));
    MethodHandle mprotect =
        handle(
            "mprotect",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT));
    var raw =
        (MemorySegment)
            mmap.invokeExact(MemorySegment.NULL, 2 * size, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0L);
    if (raw.address() == -1) {
      throw new IllegalStateException("mmap failed");
    }
    var guard = MemorySegment.ofAddress(raw.address() + size);
    if ((int) mprotect.invokeExact(guard, size, 0) != 0) {
      throw new IllegalStateException("mprotect failed");
    }
    return new GuardPage(raw.reinterpret(size, Arena.global(), _ -> {}));
  }

  /** The address of the first byte that must not be touched. */
  long border() {
    return page.address() + page.byteSize();
  }

  /** A pointer without a size, as C returns it, to the last bytes before the border. */
  MemorySegment last(long bytes) {
    return MemorySegment.ofAddress(border() - bytes);
  }

  private static MethodHandle handle(String name, FunctionDescriptor descriptor) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
  }
}
