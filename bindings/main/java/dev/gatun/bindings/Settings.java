package dev.gatun.bindings;

/** Reads settings that a system property or an environment variable may hold. */
final class Settings {
  private Settings() {}

  /** Returns the property, else the variable, else "". Blank values count as absent. */
  static String value(String property, String variable) {
    String value = System.getProperty(property);
    if (value == null || value.isBlank()) {
      value = System.getenv(variable);
    }
    return value == null ? "" : value.strip();
  }
}
