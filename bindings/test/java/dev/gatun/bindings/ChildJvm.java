package dev.gatun.bindings;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A JVM of its own that runs {@link ChildMain}: for what a process does once, or for its end. */
final class ChildJvm {
  /** The flag that grants native access to the module. */
  static final String GRANT = "--enable-native-access=dev.gatun.bindings";

  /** The flag that grants native access to the class path. */
  static final String GRANT_CLASS_PATH = "--enable-native-access=ALL-UNNAMED";

  /** How a JVM ended, and what it wrote to both streams. */
  record Result(int status, String text) {
    /** The lines that {@link ChildMain} wrote after a word. */
    List<String> values(String word) {
      return text.lines()
          .filter(l -> l.startsWith(word + "="))
          .map(l -> l.substring(word.length() + 1))
          .toList();
    }

    /** The one line that {@link ChildMain} wrote after a word. */
    String value(String word) {
      List<String> values = values(word);
      if (values.size() != 1) {
        throw new AssertionError(values.size() + " lines " + word + "= in: " + this);
      }
      return values.getFirst();
    }
  }

  private final List<String> command = new ArrayList<>();

  private ChildJvm(List<String> options) {
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.add("-Dgatun.cache.dir=" + base().resolve("target/test-cache"));
    command.addAll(options);
  }

  /** A JVM that has the module on its module path. */
  static ChildJvm modular(String... options) {
    var all = new ArrayList<>(List.of(options));
    all.addAll(List.of("-p", main().toString()));
    all.add("--patch-module");
    all.add("dev.gatun.bindings=" + tests());
    all.addAll(List.of("-m", "dev.gatun.bindings/dev.gatun.bindings.ChildMain"));
    return new ChildJvm(all);
  }

  /** A JVM that has everything on its class path, with {@code jars}. */
  static ChildJvm classPath(List<Path> jars, String... options) {
    var all = new ArrayList<>(List.of(options));
    var path = new StringBuilder(main() + java.io.File.pathSeparator + tests());
    for (Path jar : jars) {
      path.append(java.io.File.pathSeparator).append(jar);
    }
    all.addAll(List.of("-cp", path.toString(), "dev.gatun.bindings.ChildMain"));
    return new ChildJvm(all);
  }

  /** Starts it with what it is to do. */
  Process start(String... work) throws IOException {
    var all = new ArrayList<>(command);
    all.addAll(List.of(work));
    var builder = new ProcessBuilder(all).redirectErrorStream(true);
    builder.environment().remove("GATUN_NATIVE_DIR");
    builder.environment().remove("GATUN_BACKENDS");
    builder.environment().remove("JDK_JAVA_OPTIONS");
    builder.environment().remove("JAVA_TOOL_OPTIONS");
    return builder.start();
  }

  /** Runs it to its end. */
  Result run(String... work) throws IOException, InterruptedException {
    return finish(start(work));
  }

  static Result finish(Process process) throws IOException, InterruptedException {
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Result(process.waitFor(), text);
  }

  private static Path main() {
    return base().resolve("target/classes");
  }

  private static Path tests() {
    return base().resolve("target/test-classes");
  }

  private static Path base() {
    return Path.of(System.getProperty("basedir", TestFiles.root() + "/bindings"));
  }
}
