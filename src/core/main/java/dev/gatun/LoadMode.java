package dev.gatun;

/** How the weights come into memory. Source: {@code enum llama_load_mode}. */
public enum LoadMode {
  /** What suits the devices: a memory map where that works. */
  AUTO(-1),
  /** Read into allocated memory. */
  READ(0),
  /**
   * Memory-mapped: shared between processes, paged in on first use. The file must not be changed
   * while open.
   */
  MMAP(1),
  /** Read and locked in RAM. */
  MLOCK(2),
  /** Memory-mapped and locked in RAM. */
  MMAP_MLOCK(3),
  /** Read around the page cache where the platform can. */
  DIRECT_IO(4);

  private final int nativeValue;

  LoadMode(int nativeValue) {
    this.nativeValue = nativeValue;
  }

  int nativeValue() {
    return nativeValue;
  }
}
