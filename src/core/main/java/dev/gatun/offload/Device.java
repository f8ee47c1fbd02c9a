package dev.gatun.offload;

/**
 * A device that a loaded back end offers.
 *
 * @param name the back end's name for it, such as {@code CPU} or {@code CUDA0}; unique in the
 *     process
 * @param description the hardware's own name
 * @param kind what it is
 * @param backend the back end it belongs to, such as {@code CPU}, {@code CUDA}, {@code Vulkan},
 *     {@code RPC}
 * @param totalBytes memory in bytes; for the CPU the machine's physical memory
 * @param freeBytes free memory in bytes when the list was made
 */
public record Device(
    String name, String description, Kind kind, String backend, long totalBytes, long freeBytes) {

  /** What a device is. */
  public enum Kind {
    /** The host's processor. */
    CPU,
    /** A GPU with its own memory. */
    GPU,
    /** A GPU that shares the host's memory. */
    INTEGRATED_GPU,
    /** Hardware used together with the CPU, such as a BLAS or matrix unit. */
    ACCELERATOR,
    /** Something newer than this library. */
    OTHER
  }
}
