package dev.gatun.bindings;

import java.lang.foreign.ValueLayout;

/**
 * What the child JVMs of the tests do. Prints {@code word=value} lines; exits with 0 when
 * everything was as asked, with 3 after a {@link NativeLoadError}.
 */
final class ChildMain {
  private ChildMain() {}

  public static void main(String[] work) throws Throwable {
    try {
      for (String step : work) {
        run(step);
      }
      System.out.println("done=yes");
    } catch (NativeLoadError e) {
      System.out.println("error=" + e.getMessage().replace("\n", " "));
      System.exit(3);
    }
  }

  private static void run(String step) throws Throwable {
    switch (step) {
      case "load" -> {
        NativeLibraries libraries = NativeLibraries.load();
        System.out.println("folder=" + libraries.folder());
        System.out.println("version=" + libraries.llamaVersion());
      }
      case "backends" -> {
        NativeLibraries libraries = NativeLibraries.load();
        try {
          libraries.loadBackends();
        } finally {
          for (BackendStatus s : libraries.backends()) {
            String detail = s.detail().replace("\n", " ");
            System.out.println("backend=" + s.name() + " " + s.state() + " " + detail);
          }
        }
        System.out.println("devices=" + devices());
      }
      case "rpc" -> NativeLibraries.load().loadBackend("rpc");
      case "verify" ->
          NativeLibraries.load().verify().forEach(p -> System.out.println("problem=" + p));
      case "wait" -> System.in.read();
      case "stray-read" -> {
        // What a guard page does to a read that is not checked: the process dies.
        GuardPage page = GuardPage.map();
        var raw = java.lang.foreign.MemorySegment.ofAddress(page.border());
        System.out.println("about=to read");
        System.out.println(raw.reinterpret(1).get(ValueLayout.JAVA_BYTE, 0));
      }
      default -> throw new IllegalArgumentException(step);
    }
  }

  private static long devices() {
    return dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_count();
  }
}
