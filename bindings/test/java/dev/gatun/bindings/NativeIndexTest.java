package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An index is read strictly: its names become files. */
class NativeIndexTest {
  private static final String HEAD = "# gatun-native 1 v1 0123 linux-x86_64\n";
  private static final String HASH = "a".repeat(64);

  @Test
  void index_isRead() {
    NativeIndex index =
        NativeIndex.parse("here", HEAD + HASH + " 12 libllama.so\n# note\n\n" + HASH + " 0 x.so");
    assertEquals("v1", index.tag());
    assertEquals("0123", index.tree());
    assertEquals("linux-x86_64", index.platform());
    assertEquals(2, index.entries().size());
    assertEquals(new NativeIndex.Entry(HASH, 12, "libllama.so"), index.entries().getFirst());
  }

  @Test
  void indexWithWindowsLineEnds_isRead() {
    String text = (HEAD + HASH + " 12 a.dll\n").replace("\n", "\r\n");
    NativeIndex index = NativeIndex.parse("here", text);
    assertEquals("a.dll", index.entries().getFirst().file());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../libllama.so",
        "/etc/libllama.so",
        "sub/libllama.so",
        "..\\libllama.so",
        "C:libllama.so",
        ".hidden",
        ".."
      })
  void nameThatIsAPath_isRefused(String name) {
    assertRefused(HEAD + HASH + " 12 " + name + "\n", name);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "short 12 libllama.so",
        "HASH 12",
        "HASH -1 libllama.so",
        "HASH twelve libllama.so",
        "HASH 99999999999999999999 libllama.so",
        "HASH 12 "
      })
  void lineThatIsNone_isRefused(String line) {
    assertRefused(HEAD + line.replace("HASH", HASH) + "\n", "here is not an index");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "\n\n", "# gatun-native 1 v1 0123\n", "# other 1 a b c\n", "ELF\u0000\u0001"})
  void textWithoutAHead_isRefused(String text) {
    assertRefused(text, "build or download it again");
  }

  @Test
  void indexWithoutAFile_isRefused() {
    assertRefused(HEAD, "lists no file");
  }

  @Test
  void laterFormat_isRefusedByItsNumber() {
    assertRefused(HEAD.replace("gatun-native 1", "gatun-native 2") + HASH + " 1 a.so", "format 2");
  }

  private static void assertRefused(String text, String part) {
    var thrown = assertThrows(NativeLoadError.class, () -> NativeIndex.parse("here", text));
    assertTrue(thrown.getMessage().contains(part), thrown::getMessage);
  }
}
