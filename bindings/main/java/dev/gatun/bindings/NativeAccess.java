package dev.gatun.bindings;

/** Asks whether the JVM lets this module call native code, before anything restricted is called. */
final class NativeAccess {
  private NativeAccess() {}

  /**
   * Does nothing when native access is granted.
   *
   * @throws NativeLoadError with the exact flag to add, if it is not
   */
  static void require(Module module) {
    if (!module.isNativeAccessEnabled()) {
      throw new NativeLoadError(message(module.isNamed() ? module.getName() : "ALL-UNNAMED"));
    }
  }

  static String message(String target) {
    return "Gatun may not call native code in this JVM: add --enable-native-access="
        + target
        + " to the java command line (or to the environment variable JDK_JAVA_OPTIONS). An"
        + " executable jar can say so in its manifest instead: Enable-Native-Access: ALL-UNNAMED";
  }
}
