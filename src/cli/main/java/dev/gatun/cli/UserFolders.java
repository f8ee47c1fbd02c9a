package dev.gatun.cli;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The user's folders, by the customs of each system. Named only; whoever writes creates them. */
final class UserFolders {
  private UserFolders() {}

  /**
   * For what can be made again. The system property {@code gatun.cache.dir} and the variable {@code
   * GATUN_CACHE_DIR} name another one, for the native libraries too.
   */
  static Path cache() {
    @Nullable String named =
        System.getProperty("gatun.cache.dir", System.getenv("GATUN_CACHE_DIR"));
    if (named != null && !named.isEmpty()) {
      return Path.of(named);
    }
    return folder("XDG_CACHE_HOME", ".cache", "Library/Caches");
  }

  /** For histories. {@code GATUN_STATE_DIR} names another one. */
  static Path state() {
    @Nullable String named = System.getenv("GATUN_STATE_DIR");
    if (named != null && !named.isEmpty()) {
      return Path.of(named);
    }
    return folder("XDG_STATE_HOME", ".local/state", "Library/Application Support");
  }

  private static Path folder(String variable, String unix, String mac) {
    String system = System.getProperty("os.name", "");
    Path home = Path.of(System.getProperty("user.home", "."));
    if (system.startsWith("Windows")) {
      @Nullable String local = System.getenv("LOCALAPPDATA");
      return (local == null ? home.resolve("AppData").resolve("Local") : Path.of(local))
          .resolve("gatun");
    }
    if (system.startsWith("Mac")) {
      return home.resolve(mac).resolve("gatun");
    }
    @Nullable String base = System.getenv(variable);
    boolean usable = base != null && base.startsWith("/");
    return (usable ? Path.of(base) : home.resolve(unix)).resolve("gatun");
  }
}
