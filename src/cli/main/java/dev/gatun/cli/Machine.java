package dev.gatun.cli;

import dev.gatun.cli.DoctorCommand.Check;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** What can be said about the machine without any native library. */
final class Machine {
  private static final int OLDEST_JAVA = 25;

  private Machine() {}

  static List<Check> checks() {
    List<Check> checks = new ArrayList<>();
    checks.add(new Check("gatun", true, Version.number()));
    checks.add(
        new Check(
            "Java",
            Runtime.version().feature() >= OLDEST_JAVA,
            Runtime.version() + " in " + System.getProperty("java.home")));
    checks.add(
        new Check(
            "machine",
            true,
            System.getProperty("os.name")
                + " "
                + System.getProperty("os.version")
                + " "
                + System.getProperty("os.arch")
                + ", "
                + Runtime.getRuntime().availableProcessors()
                + " processors"));
    OptionalLong available = memoryInfo("MemAvailable");
    OptionalLong total = memoryInfo("MemTotal");
    if (total.isPresent() && available.isPresent()) {
      checks.add(
          new Check(
              "memory",
              true,
              Values.bytes(available.getAsLong())
                  + " available of "
                  + Values.bytes(total.getAsLong())));
    }
    controlGroupLimit()
        .ifPresent(
            limit ->
                checks.add(
                    new Check("memory limit", true, Values.bytes(limit) + " (control group)")));
    checks.add(new Check("Java heap limit", true, Values.bytes(Runtime.getRuntime().maxMemory())));
    return checks;
  }

  static List<Check> folders() {
    return List.of(
        folder("cache folder", UserFolders.cache()), folder("state folder", UserFolders.state()));
  }

  private static Check folder(String name, Path folder) {
    Path existing = folder.toAbsolutePath();
    while (!Files.exists(existing) && existing.getParent() != null) {
      existing = existing.getParent();
    }
    boolean good = Files.isDirectory(existing) && Files.isWritable(existing);
    return new Check(
        name,
        good,
        folder
            + (existing.equals(folder.toAbsolutePath()) ? "" : " (made when needed)")
            + (good
                ? ""
                : ", but "
                    + existing
                    + " cannot be written; set GATUN_CACHE_DIR or GATUN_STATE_DIR"));
  }

  private static OptionalLong memoryInfo(String key) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
        if (line.startsWith(key + ":")) {
          return OptionalLong.of(
              Long.parseLong(line.substring(key.length() + 1).replace("kB", "").strip()) * 1024);
        }
      }
    } catch (IOException | NumberFormatException e) {
      // Not Linux, or not this Linux: nothing is said.
    }
    return OptionalLong.empty();
  }

  private static OptionalLong controlGroupLimit() {
    for (String file :
        List.of("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")) {
      @Nullable String text = read(Path.of(file));
      if (text != null && !text.equals("max")) {
        try {
          long limit = Long.parseLong(text);
          if (limit < 1L << 60) {
            return OptionalLong.of(limit);
          }
        } catch (NumberFormatException e) {
          // An unknown form says nothing.
        }
      }
    }
    return OptionalLong.empty();
  }

  private static @Nullable String read(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      return null;
    }
  }
}
