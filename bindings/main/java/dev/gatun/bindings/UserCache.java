package dev.gatun.bindings;

import java.nio.file.Path;

/**
 * The folder in which Gatun keeps what it can make again: unpacked libraries, start-up notes.
 *
 * <p>Stateless; safe from any thread.
 */
public final class UserCache {
  private UserCache() {}

  /**
   * Returns the cache folder of this user, which need not exist yet: the system property {@code
   * gatun.cache.dir}, else the environment variable {@code GATUN_CACHE_DIR}, else {@code gatun} in
   * the platform's usual place.
   */
  public static Path folder() {
    String set = Settings.value("gatun.cache.dir", "GATUN_CACHE_DIR");
    if (!set.isEmpty()) {
      return Path.of(set).toAbsolutePath().normalize();
    }
    Path home = Path.of(System.getProperty("user.home", ".")).toAbsolutePath();
    switch (PlatformName.current().os()) {
      case "macos":
        return home.resolve("Library").resolve("Caches").resolve("gatun");
      case "windows":
        String local = System.getenv("LOCALAPPDATA");
        return local == null || local.isEmpty()
            ? home.resolve("AppData").resolve("Local").resolve("gatun").resolve("cache")
            : Path.of(local).resolve("gatun").resolve("cache");
      default:
        String xdg = System.getenv("XDG_CACHE_HOME");
        // The XDG specification says that a relative path is to be ignored.
        return xdg == null || !Path.of(xdg).isAbsolute()
            ? home.resolve(".cache").resolve("gatun")
            : Path.of(xdg).resolve("gatun");
    }
  }
}
