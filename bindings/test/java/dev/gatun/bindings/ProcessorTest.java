package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import org.junit.jupiter.api.Test;

class ProcessorTest {
  private static final String ONE =
      "processor\t: 0\n"
          + "model name\t: X\n"
          + "cpu MHz\t\t: %s\n"
          + "flags\t\t: %s\n"
          + "bogomips\t: 5\n\n"
          + "processor\t: 1\n";

  @Test
  void description_isTheSameAtEveryFrequency_andTellsFeaturesApart() {
    String slow = Processor.stable(ONE.formatted("800.0", "avx2"));
    assertEquals(slow, Processor.stable(ONE.formatted("3200.0", "avx2")));
    assertEquals("processor\t: 0\nmodel name\t: X\nflags\t\t: avx2\n", slow);
    assertNotEquals(slow, Processor.stable(ONE.formatted("800.0", "avx2 avx512f")));
  }
}
