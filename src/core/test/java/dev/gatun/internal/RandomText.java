package dev.gatun.internal;

import java.util.Random;

/** Random texts for property tests; the same seed gives the same texts. */
public final class RandomText {
  private RandomText() {}

  /** Returns up to {@code most} code points of all planes: no surrogates and no NUL. */
  public static String unicode(Random random, int most) {
    int count = random.nextInt(most + 1);
    StringBuilder text = new StringBuilder();
    while (text.codePointCount(0, text.length()) < count) {
      int c =
          switch (random.nextInt(6)) {
            case 0, 1 -> 1 + random.nextInt(0x7f);
            case 2 -> " \n\t.,'".charAt(random.nextInt(6));
            case 3 -> 0x80 + random.nextInt(0x780);
            case 4 -> 0x800 + random.nextInt(0xf800);
            default -> 0x10000 + random.nextInt(0x100000);
          };
      if (c < 0xd800 || c > 0xdfff) {
        text.appendCodePoint(c);
      }
    }
    return text.toString();
  }
}
