package dev.gatun.bindings;

import java.util.List;
import java.util.Locale;

/**
 * An operating system and a processor architecture, written as the native artifacts write them:
 * {@code linux-x86_64}, {@code linux-aarch64}, {@code macos-arm64}, {@code windows-x86_64}.
 *
 * <p>Immutable.
 *
 * @param os {@code linux}, {@code macos}, {@code windows} or the JVM's own name in lower case
 * @param arch {@code x86_64}, {@code aarch64} ({@code arm64} on macOS) or the JVM's own name
 */
public record PlatformName(String os, String arch) {
  private static final PlatformName CURRENT =
      of(System.getProperty("os.name", ""), System.getProperty("os.arch", ""));

  /** Returns the platform of this JVM. */
  public static PlatformName current() {
    return CURRENT;
  }

  /** Returns the platform for the values of the properties {@code os.name} and {@code os.arch}. */
  public static PlatformName of(String osName, String osArch) {
    String name = osName.toLowerCase(Locale.ROOT);
    String os;
    if (name.startsWith("windows")) {
      os = "windows";
    } else if (name.startsWith("mac") || name.startsWith("darwin")) {
      os = "macos";
    } else if (name.startsWith("linux")) {
      os = "linux";
    } else {
      os = name.replace(' ', '_');
    }
    String arch = osArch.toLowerCase(Locale.ROOT);
    if (arch.equals("amd64") || arch.equals("x86_64") || arch.equals("x64")) {
      arch = "x86_64";
    } else if (arch.equals("aarch64") || arch.equals("arm64")) {
      arch = os.equals("macos") ? "arm64" : "aarch64";
    }
    return new PlatformName(os, arch);
  }

  /** Returns the file names that a library may have here, the usual one first. */
  List<String> fileNames(String library) {
    return switch (os) {
      case "windows" -> List.of(library + ".dll", "lib" + library + ".dll");
      case "macos" -> List.of("lib" + library + ".dylib", "lib" + library + ".so");
      default -> List.of("lib" + library + ".so");
    };
  }

  /** Returns the library that a file holds ({@code libggml-rpc.so}: {@code ggml-rpc}), or "". */
  String libraryOf(String fileName) {
    int dot = fileName.lastIndexOf('.');
    if (dot < 0) {
      return "";
    }
    String suffix = fileName.substring(dot + 1);
    boolean library =
        switch (os) {
          case "windows" -> suffix.equals("dll");
          case "macos" -> suffix.equals("dylib") || suffix.equals("so");
          default -> suffix.equals("so");
        };
    if (!library) {
      return "";
    }
    return fileName.substring(fileName.startsWith("lib") ? 3 : 0, dot);
  }

  @Override
  public String toString() {
    return os + "-" + arch;
  }
}
