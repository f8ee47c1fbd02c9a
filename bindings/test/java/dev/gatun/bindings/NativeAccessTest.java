package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Without native access the error names the flag, and the flag works. */
class NativeAccessTest {
  private static final String DENY = "--illegal-native-access=deny";

  @Test
  void deniedOnTheModulePath_namesTheModulesFlag() throws Exception {
    var result = ChildJvm.modular(DENY).run("load");
    assertEquals(3, result.status(), result::toString);
    String error = result.value("error");
    assertTrue(error.contains(ChildJvm.GRANT + " "), error);
    assertFalse(error.contains(ChildJvm.GRANT_CLASS_PATH), error);
  }

  @Test
  void deniedOnTheClassPath_namesTheClassPathsFlag() throws Exception {
    var result = ChildJvm.classPath(List.of(), DENY).run("load");
    assertEquals(3, result.status(), result::toString);
    String error = result.value("error");
    assertTrue(error.contains(ChildJvm.GRANT_CLASS_PATH + " "), error);
  }

  /** The default of the JVM warns only; Gatun asks before the JVM prints its warning. */
  @Test
  void notGranted_isRefusedAlsoWhereTheJvmWouldWarn() throws Exception {
    var result = ChildJvm.modular().run("load");
    assertEquals(3, result.status(), result::toString);
    assertTrue(result.value("error").contains(ChildJvm.GRANT), result::toString);
    assertFalse(result.text().contains("WARNING"), result::toString);
  }

  @Test
  void flagOfTheMessage_grantsAccess_onTheModulePath() throws Exception {
    var folder = TestFiles.natives();
    var result = ChildJvm.modular(DENY, ChildJvm.GRANT, "-Dgatun.native.dir=" + folder).run("load");
    assertEquals(0, result.status(), result::toString);
    assertEquals(folder.toString(), result.value("folder"));
  }

  @Test
  void flagOfTheMessage_grantsAccess_onTheClassPath() throws Exception {
    var folder = TestFiles.natives();
    var result =
        ChildJvm.classPath(
                List.of(), DENY, ChildJvm.GRANT_CLASS_PATH, "-Dgatun.native.dir=" + folder)
            .run("load");
    assertEquals(0, result.status(), result::toString);
    assertEquals("yes", result.value("done"));
  }
}
