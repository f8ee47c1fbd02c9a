package dev.gatun.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.internal.RandomText;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
  private static String quoted(String text) {
    StringBuilder out = new StringBuilder();
    Json.quote(out, text);
    return out.toString();
  }

  @Test
  void readsEveryKindOfValue() {
    Map<String, Object> object =
        Json.parseObject(
            " { \"a\" : [1, -2.5, 1e3, 12345678901234567890], \"b\":true,\"c\":false,\"d\":null,\n"
                + "\"e\":{} } ");
    assertEquals(List.of(1L, -2.5, 1000.0, 1.2345678901234567e19), object.get("a"));
    assertEquals(true, object.get("b"));
    assertEquals(false, object.get("c"));
    assertSame(Json.NULL, object.get("d"));
    assertEquals(Map.of(), object.get("e"));
    assertEquals(List.of("a", "b", "c", "d", "e"), List.copyOf(object.keySet()));
  }

  @Test
  void readsEscapes() {
    assertEquals(
        "\"\\/\b\f\n\r\té😀", Json.parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\""));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "{",
        "[",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "tru",
        "nul",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "[1 2]",
        "{\"a\" 1}",
        "1 2",
        "'a'",
        "NaN",
        "\u00a01",
        "\"\\"
      })
  void refusesWhatIsNoJson(String text) {
    Json.JsonException e = assertThrows(Json.JsonException.class, () -> Json.parse(text));
    assertTrue(e.getMessage().contains("character"), e.getMessage());
  }

  @Test
  void whatIsWrittenReadsBack() {
    Random random = new Random(3);
    for (int i = 0; i < 5_000; i++) {
      String text = RandomText.unicode(random, 20);
      assertEquals(text, Json.parse(quoted(text)));
    }
  }

  @Test
  void controlCharactersAndLoneSurrogatesAreWrittenSafely() {
    assertEquals("\"\\u0000\\u001f\u007f\"", quoted("\0\u001f\u007f"));
    assertEquals("\"\ufffda\ufffd😀\"", quoted("\ud800a\ude00😀"));
  }

  @Test
  void deepNestingIsRefused_notAStackOverflow() {
    String deep = "[".repeat(1_000_000);
    assertThrows(Json.JsonException.class, () -> Json.parse(deep));
    assertEquals(1, ((List<?>) Json.parse("[".repeat(150) + "]".repeat(150))).size());
  }

  @Test
  void anArrayIsNoObject() {
    assertThrows(Json.JsonException.class, () -> Json.parseObject("[]"));
  }
}
