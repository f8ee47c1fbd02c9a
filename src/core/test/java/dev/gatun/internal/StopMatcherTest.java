package dev.gatun.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class StopMatcherTest {
  @Test
  void textBeforeTheStopComesOut_theStopAndTheRestDoNot() {
    StopMatcher matcher = new StopMatcher(List.of("END"));
    assertEquals("one ", matcher.append("one E"));
    assertTrue(matcher.isHolding());
    assertEquals("", matcher.append("N"));
    assertEquals("", matcher.append("D two"));
    assertTrue(matcher.isMatched());
    assertEquals("", matcher.append("three"));
    assertEquals("", matcher.finish());
  }

  @Test
  void heldTextComesOutWhenItDoesNotBecomeAStop() {
    StopMatcher matcher = new StopMatcher(List.of("END"));
    assertEquals("", matcher.append("EN"));
    assertEquals("EN", matcher.append("E"));
    assertEquals("E", matcher.finish());
    assertFalse(matcher.isMatched());
  }

  @Test
  void theStopThatIsCompleteFirstWins_evenInsideALongerOne() {
    StopMatcher matcher = new StopMatcher(List.of("abcd", "bc"));
    assertEquals("xa", matcher.append("xabcd"));
    assertTrue(matcher.isMatched());
  }

  @Test
  void ofTwoThatEndTogetherTheLongestCounts() {
    StopMatcher matcher = new StopMatcher(List.of("c", "abc"));
    assertEquals("x", matcher.append("xabc"));
  }

  @Test
  void withoutStopsTextPassesUntouched() {
    String text = new String("text");
    assertSame(text, new StopMatcher(List.of()).append(text));
    assertSame(text, new StopMatcher(List.of("zz")).append(text));
  }

  @Test
  void anEmptyStopIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new StopMatcher(List.of("a", "")));
  }

  @Test
  void anyPiecesGiveTheSameAsTheNaiveSearch() {
    Random random = new Random(20_261_123);
    for (int round = 0; round < 20_000; round++) {
      List<String> stops = new ArrayList<>();
      for (int i = random.nextInt(4); i >= 0; i--) {
        stops.add(letters(random, 1 + random.nextInt(5)));
      }
      String text = letters(random, random.nextInt(24));
      StopMatcher matcher = new StopMatcher(stops);
      StringBuilder out = new StringBuilder();
      int at = 0;
      while (at < text.length()) {
        int end = Math.min(text.length(), at + random.nextInt(4));
        out.append(matcher.append(text.substring(at, end)));
        at = end;
        String seen = text.substring(0, at);
        assertEquals(certain(stops, seen), out.toString(), () -> stops + " in " + seen);
      }
      boolean found = matcher.isMatched();
      out.append(matcher.finish());
      String expected = naive(stops, text);
      assertEquals(expected == null ? text : expected, out.toString(), stops + " in " + text);
      assertEquals(expected != null, found);
    }
  }

  private static String letters(Random random, int length) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      text.append((char) ('a' + random.nextInt(3)));
    }
    return text.toString();
  }

  /** The text before the stop that is complete first; null when there is none. */
  private static String naive(List<String> stops, String text) {
    for (int end = 1; end <= text.length(); end++) {
      int longest = 0;
      for (String stop : stops) {
        if (text.substring(0, end).endsWith(stop)) {
          longest = Math.max(longest, stop.length());
        }
      }
      if (longest > 0) {
        return text.substring(0, end - longest);
      }
    }
    return null;
  }

  /** All but the longest end that is the beginning of a stop. */
  private static String certain(List<String> stops, String text) {
    String before = naive(stops, text);
    if (before != null) {
      return before;
    }
    int held = 0;
    for (String stop : stops) {
      for (int n = 1; n < stop.length(); n++) {
        if (text.endsWith(stop.substring(0, n))) {
          held = Math.max(held, n);
        }
      }
    }
    return text.substring(0, text.length() - held);
  }
}
