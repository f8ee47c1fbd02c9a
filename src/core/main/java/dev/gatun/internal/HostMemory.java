package dev.gatun.internal;

import dev.gatun.offload.Device;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * The memory of this machine, as far as this process may use it. ggml reports the physical RAM;
 * this does not.
 */
public final class HostMemory {
  private static final Path MEMINFO = Path.of("/proc/meminfo");
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Path CGROUP_LIMIT = Path.of("/sys/fs/cgroup/memory.max");
  private static final Path CGROUP_USE = Path.of("/sys/fs/cgroup/memory.current");

  private HostMemory() {}

  /**
   * Returns the bytes that can be taken without swapping: the least of the system's available
   * memory and what the cgroup leaves; {@link Long#MAX_VALUE} where the platform does not tell.
   */
  public static long availableBytes() {
    return Math.min(systemAvailable(), cgroupAvailable());
  }

  /** Returns the resident memory of this process in bytes; empty where the system does not tell. */
  public static OptionalLong residentBytes() {
    for (String line : lines(STATUS)) {
      if (line.startsWith("VmRSS:")) {
        return OptionalLong.of(Long.parseLong(line.replaceAll("\\D", "")) << 10);
      }
    }
    return OptionalLong.empty();
  }

  /** Tells whether a loaded back end offers a GPU. */
  public static boolean hasGpu() {
    return Devices.list().stream()
        .anyMatch(d -> d.kind() == Device.Kind.GPU || d.kind() == Device.Kind.INTEGRATED_GPU);
  }

  private static long systemAvailable() {
    for (String line : lines(MEMINFO)) {
      if (line.startsWith("MemAvailable:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    return Long.MAX_VALUE;
  }

  private static long cgroupAvailable() {
    List<String> limit = lines(CGROUP_LIMIT);
    List<String> use = lines(CGROUP_USE);
    if (limit.isEmpty() || use.isEmpty() || limit.getFirst().equals("max")) {
      return Long.MAX_VALUE;
    }
    return Long.parseLong(limit.getFirst()) - Long.parseLong(use.getFirst());
  }

  private static List<String> lines(Path file) {
    try {
      return Files.isReadable(file) ? Files.readAllLines(file) : List.of();
    } catch (IOException e) {
      // A pseudo file that cannot be read says nothing about the memory.
      return List.of();
    }
  }
}
