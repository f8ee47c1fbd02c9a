package dev.gatun.kv;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalDouble;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EvictionPolicyTest {
  @ParameterizedTest
  @CsvSource({
    "h2o,h2o",
    "H2O:3-7,h2o:3-7",
    "snapkv,snapkv:32/5",
    "snapkv:64/7,snapkv:64/7",
    "tova,tova",
    "keynorm:mean,keynorm:mean",
    "keydiff,keydiff",
    "plaindiff:mean,plaindiff:mean",
    "expected:16/8,expected:16/8",
    "kvzip,kvzip:32/4+4",
    "kvzip:64/sentence,kvzip:64/sentence",
    "spans:15,max:32/7+7",
    "spans:4,max:32/2+1",
    "sentences,max:32/sentence",
    "contrast,contrast:32/32/3-7",
    "lookahead:4,lookahead:4/3-7",
    "recent,recent",
    "random:17,random:17"
  })
  void parse_readsWhatNameWrites(String spec, String name) {
    EvictionPolicy policy = EvictionPolicy.parse(spec);
    assertEquals(name, policy.name());
    assertEquals(policy, EvictionPolicy.parse(name));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "h3o",
        "snapkv:0",
        "snapkv:64/5/3",
        "snapkv:x",
        "tova:3",
        "keydiff:3-",
        "keydiff:-3-7",
        "recent:1",
        "random:-1",
        "kvzip:32/a+b"
      })
  void parse_refusesTheRest(String spec) {
    assertThrows(IllegalArgumentException.class, () -> EvictionPolicy.parse(spec));
  }

  @Test
  void anySeedThatIsTaken_isReadBack() {
    EvictionPolicy policy = new RandomEviction(1L << 40);
    assertEquals(policy, EvictionPolicy.parse(policy.name()));
    assertThrows(IllegalArgumentException.class, () -> new RandomEviction(-1));
  }

  /** Whose names would be read back as other spans. */
  @Test
  void sharedScoresOfPartsOfSentences_areRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Spans(3, 7, true, true));
    EvictionPolicy means = new Tova(Spans.sentenceMeans());
    assertEquals(means, EvictionPolicy.parse(means.name()));
  }

  @Test
  void widthsOfNothing_areRefused() {
    assertThrows(IllegalArgumentException.class, () -> new SnapKv(32, 0));
    assertThrows(IllegalArgumentException.class, () -> new ExpectedAttention(128, 0, Spans.none()));
  }

  @Test
  void random_dependsOnSeedAndPosition_only() {
    RandomEviction policy = new RandomEviction(5);
    float[] all = policy.score(FakeView.of(6));
    float[] some = policy.score(FakeView.of(2).withPositions(3, 5));
    assertArrayEquals(new float[] {all[3], all[5]}, some);
    assertNotEquals(all[0], new RandomEviction(6).score(FakeView.of(1))[0]);
  }

  @Test
  void pooling_isTheMaximumAround() {
    SplittableRandom random = new SplittableRandom(1);
    for (int width = 1; width < 12; width++) {
      float[] scores = new float[40];
      for (int i = 0; i < scores.length; i++) {
        scores[i] = random.nextInt(100);
      }
      float[] pooled = Pooling.maximum(scores, width);
      for (int i = 0; i < scores.length; i++) {
        float most = Float.NEGATIVE_INFINITY;
        for (int j = i - width / 2; j < i - width / 2 + width; j++) {
          most = j < 0 || j >= scores.length ? most : Math.max(most, scores[j]);
        }
        assertEquals(most, pooled[i], "width " + width + " at " + i);
      }
    }
  }

  @Test
  void contrast_seesTheHeadThatFindsTheFact_whereMaximumSeesTheHeadThatLooksBack() {
    // Head 0 looks at the token before, whatever is asked; head 1 finds the fact at 1.
    float[][] now = {{0, 0, 0.9f, 0.9f}, {0.2f, 0.6f, 0.1f, 0.1f}};
    float[][] earlier = {{0.9f, 0.9f, 0.9f, 0.9f}, {0.2f, 0.1f, 0.1f, 0.1f}};
    FakeView view = FakeView.of(4).withHeads(now, earlier);
    float[] contrast = new ContrastAttention(1, 1, Spans.none()).score(view);
    assertArrayEquals(new float[] {0, 0.5f, 0, 0}, contrast, 1e-6f);
    float[] maximum = new MaximumAttention(1, Spans.none()).score(view);
    assertTrue(maximum[2] > maximum[1]);
  }

  @Test
  void keyNorm_prefersSmallKeys() {
    float[] scores = new KeyNorm(Spans.none()).score(FakeView.of(2).withKeys(2, 3f, 4f, 0f, 2f));
    assertArrayEquals(new float[] {-5, -2}, scores, 1e-6f);
  }

  @Test
  void keyDiff_prefersTheKeyThatDiffers_whateverItsLength() {
    float[] scores =
        new KeyDiff(false, Spans.none())
            .score(FakeView.of(4).withKeys(2, 1f, 0f, 2f, 0.1f, 0f, 9f, 3f, 0f));
    assertTrue(scores[2] > scores[0] && scores[2] > scores[1] && scores[2] > scores[3]);
  }

  @Test
  void expectedAttention_isTheMeanOfExponentials_ofGaussianQueries() {
    // By sampling: E[exp(q.k / sqrt(d))] over Gaussian queries turned by one position.
    int d = 2;
    SplittableRandom random = new SplittableRandom(9);
    int count = 4_000;
    float[] values = new float[count * d];
    for (int i = 0; i < count; i++) {
      values[2 * i] = (float) (0.7 + 0.8 * random.nextGaussian());
      values[2 * i + 1] = (float) (-0.3 + 0.4 * random.nextGaussian());
    }
    float[] keys = {1, 0, 0, 1.5f, -0.8f, 0.9f};
    double angle = 0.3 * 3; // the next position
    FakeView view =
        FakeView.of(3)
            .withKeys(d, keys)
            .withQueries(
                new ObservedQueries(count, 1, d, values),
                new QueryTurn(new double[] {0.3}, true, 1, OptionalDouble.empty()));
    float[] scores = new ExpectedAttention(count, 1, Spans.none()).score(view);
    double[] sampled = new double[3];
    for (int i = 0; i < count; i++) {
      double a = values[2 * i] * Math.cos(angle) - values[2 * i + 1] * Math.sin(angle);
      double b = values[2 * i] * Math.sin(angle) + values[2 * i + 1] * Math.cos(angle);
      for (int k = 0; k < 3; k++) {
        sampled[k] += Math.exp((a * keys[2 * k] + b * keys[2 * k + 1]) / Math.sqrt(d)) / count;
      }
    }
    double total = sampled[0] + sampled[1] + sampled[2];
    for (int k = 0; k < 3; k++) {
      assertEquals(sampled[k] / total, scores[k], 0.01, "key " + k);
    }
  }
}
