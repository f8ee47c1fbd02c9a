package dev.gatun.cli;

import java.lang.module.ModuleDescriptor;

/** What this build is called. */
final class Version {
  private Version() {}

  /** Returns one line for {@code --version}. */
  static String line() {
    return "gatun "
        + number()
        + " (Java "
        + Runtime.version()
        + ", "
        + System.getProperty("os.name")
        + " "
        + System.getProperty("os.arch")
        + ")";
  }

  static String number() {
    ModuleDescriptor module = Version.class.getModule().getDescriptor();
    return module == null ? "(development)" : module.rawVersion().orElse("(development)");
  }
}
