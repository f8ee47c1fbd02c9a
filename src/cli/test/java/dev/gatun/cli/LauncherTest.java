package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * The launcher in a folder as it is installed, with JDKs that are only a release file and a script.
 */
@DisabledOnOs(OS.WINDOWS)
class LauncherTest {
  @TempDir Path folder;

  private Path home;

  @BeforeEach
  void install() throws IOException {
    home = Files.createDirectories(folder.resolve("gatun home"));
    Files.createDirectories(home.resolve("lib"));
    Files.copy(Console.root().resolve("gatun"), home.resolve("gatun"));
  }

  /** Makes a JDK whose java prints its arguments, one a line. */
  private Path jdk(String name, String version) throws IOException {
    Path jdk = folder.resolve(name);
    Files.createDirectories(jdk.resolve("bin"));
    Files.writeString(
        jdk.resolve("release"), "IMPLEMENTOR=\"X\"\nJAVA_VERSION=\"" + version + "\"\n");
    // Some shells compare times by the second, and no JDK is installed in the second in which it is
    // used first.
    Files.setLastModifiedTime(
        jdk.resolve("release"), FileTime.from(Instant.now().minusSeconds(3600)));
    Path java = jdk.resolve("bin/java");
    Files.writeString(java, "#!/bin/sh\necho \"I am " + name + "\"\nfor a; do echo \"$a\"; done\n");
    Files.setPosixFilePermissions(java, PosixFilePermissions.fromString("rwxr-xr-x"));
    return jdk;
  }

  private record Outcome(int code, String text) {}

  private Outcome launch(Map<String, String> environment, String... args) throws Exception {
    List<String> command = new ArrayList<>(List.of("sh", home.resolve("gatun").toString()));
    command.addAll(List.of(args));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().keySet().removeIf(k -> k.startsWith("GATUN_") || k.startsWith("JAVA"));
    builder.environment().put("HOME", folder.toString());
    builder.environment().put("PATH", "/usr/bin:/bin");
    builder.environment().put("GATUN_NO_AOT", "1");
    builder.environment().put("GATUN_JDK_FOLDERS", "/nowhere");
    builder.environment().putAll(environment);
    Process process = builder.start();
    String text = new String(process.getInputStream().readAllBytes());
    assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    return new Outcome(process.exitValue(), text);
  }

  @Test
  void noJdkThatIsNewEnough_saysWhatWasLookedAt() throws Exception {
    Path old = jdk("jdk-17", "17.0.12");
    Outcome outcome = launch(Map.of("JAVA_HOME", old.toString(), "PATH", emptyPath()), "--version");
    assertEquals(5, outcome.code(), outcome.text());
    assertTrue(outcome.text().contains("no JDK 25 or newer was found"), outcome.text());
    assertTrue(outcome.text().contains("GATUN_JAVA_HOME"), outcome.text());
    assertTrue(outcome.text().contains(old + " (Java 17)"), outcome.text());
  }

  /** A PATH with the few programs that the launcher needs and no java. */
  private String emptyPath() throws IOException {
    Path bin = Files.createDirectories(folder.resolve("bin"));
    for (String program : List.of("sh", "find", "readlink", "rm", "mv", "mkdir", "date", "grep")) {
      for (String place : List.of("/usr/bin", "/bin")) {
        Path original = Path.of(place, program);
        if (Files.exists(original) && !Files.exists(bin.resolve(program))) {
          Files.createSymbolicLink(bin.resolve(program), original);
        }
      }
    }
    return bin.toString();
  }

  @Test
  void oldJavaHome_isPassedOverForANewerJdkElsewhere() throws Exception {
    Path old = jdk("jdk-17", "17.0.12");
    jdk("jdk-26", "26");
    Outcome outcome =
        launch(
            Map.of(
                "JAVA_HOME",
                old.toString(),
                "GATUN_JDK_FOLDERS",
                folder.resolve("jdk-*").toString()),
            "run",
            "two words",
            "*");
    assertEquals(0, outcome.code(), outcome.text());
    List<String> lines = outcome.text().lines().toList();
    assertEquals("I am jdk-26", lines.getFirst());
    assertEquals(List.of("run", "two words", "*"), lines.subList(lines.size() - 3, lines.size()));
    assertTrue(lines.contains("--enable-native-access=dev.gatun.bindings"), outcome.text());
    assertTrue(lines.contains("-Dgatun.native.dir=" + home.resolve("native")), outcome.text());
  }

  @Test
  void wrongGatunJavaHome_isNotReplacedBehindTheUsersBack() throws Exception {
    jdk("jdk-26", "26");
    Outcome outcome =
        launch(
            Map.of(
                "GATUN_JAVA_HOME",
                "/nowhere",
                "GATUN_JDK_FOLDERS",
                folder.resolve("jdk-*").toString()),
            "--version");
    assertEquals(5, outcome.code());
    assertTrue(outcome.text().contains("GATUN_JAVA_HOME=/nowhere"), outcome.text());
  }

  @Test
  void foundJdk_isRemembered_untilItChanges() throws Exception {
    Path first = jdk("jdk-26", "26");
    Map<String, String> environment =
        Map.of("GATUN_JDK_FOLDERS", folder.resolve("jdk-*").toString(), "PATH", emptyPath());
    assertTrue(launch(environment, "x").text().startsWith("I am jdk-26"));
    Path remembered = home.resolve(".launch");
    assertTrue(Files.readString(remembered).contains(first.toString()));
    assertTrue(launch(Map.of("PATH", emptyPath()), "x").text().startsWith("I am jdk-26"));

    Files.delete(first.resolve("bin/java"));
    jdk("jdk-27", "27-ea");
    assertTrue(launch(environment, "x").text().startsWith("I am jdk-27"));
  }

  @Test
  void symbolicLink_toTheLauncher_works() throws Exception {
    jdk("jdk-26", "26");
    Path link = folder.resolve("link");
    Files.createSymbolicLink(link, home.resolve("gatun"));
    ProcessBuilder builder =
        new ProcessBuilder("sh", link.toString(), "x").redirectErrorStream(true);
    builder.environment().put("GATUN_JAVA_HOME", folder.resolve("jdk-26").toString());
    builder.environment().put("GATUN_NO_AOT", "1");
    Process process = builder.start();
    String text = new String(process.getInputStream().readAllBytes());
    assertEquals(0, process.waitFor());
    assertTrue(text.contains(home.resolve("lib").toString()), text);
    assertFalse(text.contains("gatun:"), text);
  }
}
