package dev.gatun.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class Utf8AssemblerTest {
  @Test
  void everySplitOfRandomTextsGivesTheText_andNoHalfCharacter() {
    Random random = new Random(1);
    for (int round = 0; round < 2_000; round++) {
      String text = RandomText.unicode(random, 6);
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      for (int a = 0; a <= bytes.length; a++) {
        for (int b = a; b <= bytes.length; b++) {
          Utf8Assembler assembler = new Utf8Assembler();
          String first = assembler.append(Arrays.copyOfRange(bytes, 0, a));
          String second = assembler.append(Arrays.copyOfRange(bytes, a, b));
          String third = assembler.append(Arrays.copyOfRange(bytes, b, bytes.length));
          assertFalse(assembler.isPending());
          assertTrue(text.startsWith(first));
          assertTrue(text.startsWith(first + second));
          assertEquals(text, first + second + third + assembler.finish());
        }
      }
    }
  }

  @Test
  void everySplitOfRandomBytesGivesWhatTheDecoderGivesForAll() {
    Random random = new Random(2);
    int[] likely = {
      0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xed, 0xa0, 0xf0, 0x90, 0xf4, 0x8f, 0xf5, 0xff, 0xc0
    };
    for (int round = 0; round < 20_000; round++) {
      byte[] bytes = new byte[random.nextInt(9)];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = (byte) likely[random.nextInt(likely.length)];
      }
      String expected = new String(bytes, StandardCharsets.UTF_8);
      for (int a = 0; a <= bytes.length; a++) {
        for (int b = a; b <= bytes.length; b++) {
          Utf8Assembler assembler = new Utf8Assembler();
          String text =
              assembler.append(Arrays.copyOfRange(bytes, 0, a))
                  + assembler.append(Arrays.copyOfRange(bytes, a, b))
                  + assembler.append(Arrays.copyOfRange(bytes, b, bytes.length))
                  + assembler.finish();
          assertEquals(expected, text, () -> Arrays.toString(bytes));
        }
      }
    }
  }

  @Test
  void theBytesOfOneCharacterWaitForTheLast() {
    Utf8Assembler assembler = new Utf8Assembler();
    byte[] bytes = "😀".getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 3; i++) {
      assertEquals("", assembler.append(new byte[] {bytes[i]}));
    }
    assertEquals("😀", assembler.append(new byte[] {bytes[3]}));
  }

  @Test
  void anUnfinishedCharacterBecomesAReplacement_andIsForgotten() {
    Utf8Assembler assembler = new Utf8Assembler();
    assertEquals("a", assembler.append(new byte[] {'a', (byte) 0xe2, (byte) 0x82}));
    assertEquals("\ufffd", assembler.finish());
    assertEquals("", assembler.finish());
  }
}
