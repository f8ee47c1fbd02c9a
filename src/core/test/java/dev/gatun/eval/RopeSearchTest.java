package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaModel;
import dev.gatun.TestModels;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopePreset;
import dev.gatun.rope.RopeSpec;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RopeSearchTest {
  private static final int LENGTH = 1024;
  private static final RopeSearchOptions OPTIONS =
      RopeSearchOptions.of(LENGTH)
          .withEvaluations(12)
          .withPopulation(6)
          .withParents(3)
          .withWindows(1)
          .withHeldOutWindows(1)
          .withSeed(5);

  /** Two that wait for each other are slow on a busy machine. */
  private static final ContextOptions ONE_THREAD =
      ContextOptions.defaults().withThreads(1).withBatchThreads(1);

  private static LlamaModel model;
  private static String text;

  @TempDir Path folder;

  @BeforeAll
  static void load() throws Exception {
    model = LlamaModel.load(TestModels.tiny());
    text = Files.readString(TestModels.heldout()).substring(0, 12_000);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static RopeSearch search(RopeSearchOptions options) {
    return RopeSearch.of(model, ONE_THREAD, "prose", text, options);
  }

  private static double searched(RopePreset.Search search, String method) {
    return score(search, method).searched().orElseThrow();
  }

  private static RopePreset.Score score(RopePreset.Search search, String method) {
    return search.scores().stream()
        .filter(score -> score.method().equals(method))
        .findFirst()
        .orElseThrow();
  }

  private static double perplexity(String scaling, int[] tokens) {
    EvalConfiguration configuration =
        new EvalConfiguration(model, ONE_THREAD, ContextScaling.parse(scaling));
    return Perplexity.of(configuration, tokens, PerplexityOptions.of(LENGTH).withWindows(1))
        .run()
        .perplexity()
        .orElseThrow()
        .perplexity();
  }

  @Test
  void theBest_isNeverWorseThanWhatItBeganWith_andItsPresetGivesWhatIsReported() {
    Set<Integer> evaluations = new HashSet<>();
    RopeSearchResult result =
        search(OPTIONS)
            .run(
                Cancellation.never(),
                progress -> {
                  evaluations.add(progress.evaluations());
                  assertTrue(progress.fraction() <= 1, progress::toString);
                  assertEquals(12, progress.allEvaluations());
                });
    assertTrue(result.complete());
    assertEquals(13, evaluations.size());
    RopePreset.Search found = result.preset().search().orElseThrow();
    assertEquals(LENGTH, found.targetTokens());
    assertEquals(12, found.evaluations());
    assertEquals(
        List.of("linear", "ntk", "yarn", "search"),
        found.scores().stream().map(RopePreset.Score::method).toList());
    for (String method : List.of("linear", "ntk", "yarn")) {
      assertTrue(searched(found, "search") <= searched(found, method), found::toString);
    }

    // What the file gives in a context of its own, over the same windows.
    Path file = folder.resolve("preset.json");
    result.preset().write(file);
    int[] tokens = Perplexity.tokens(model, text);
    int border = (int) (tokens.length * 0.6);
    int[] rest = Arrays.copyOfRange(tokens, border, tokens.length);
    double reported = score(found, "search").heldOut().orElseThrow();
    assertEquals(reported, perplexity("table:" + file, rest), reported * 1e-6);
    double yarn = score(found, "yarn").heldOut().orElseThrow();
    assertEquals(yarn, perplexity("yarn", rest), yarn * 1e-5);
    assertEquals(searched(found, "yarn"), perplexity("yarn", tokens), yarn * 1e-5);
    // NTK-aware and linear scaling are native parameters there and a table here.
    double ntk = score(found, "ntk").heldOut().orElseThrow();
    assertEquals(ntk, perplexity("ntk", rest), ntk * 1e-3);
  }

  @Test
  void theSameSeed_findsTheSame() {
    RopePreset first = search(OPTIONS).run(Cancellation.never(), _ -> {}).preset();
    RopePreset second = search(OPTIONS).run(Cancellation.never(), _ -> {}).preset();
    assertEquals(first.table(), second.table());
    assertEquals(first.search().orElseThrow().scores(), second.search().orElseThrow().scores());
  }

  @Test
  void cancelled_keepsTheBestSoFar() {
    Cancellation cancellation = Cancellation.create();
    RopeSearchResult result =
        search(OPTIONS.withEvaluations(1_000))
            .run(
                cancellation,
                progress -> {
                  if (progress.evaluations() == 4) {
                    cancellation.cancel();
                  }
                });
    assertFalse(result.complete());
    RopePreset.Search found = result.preset().search().orElseThrow();
    assertEquals(4, found.evaluations());
    assertTrue(searched(found, "search") <= searched(found, "yarn"), found::toString);
    assertTrue(score(found, "search").heldOut().isEmpty());

    Cancellation before = Cancellation.create();
    before.cancel();
    assertThrows(OperationCancelledException.class, () -> search(OPTIONS).run(before, _ -> {}));
  }

  @Test
  void whatCannotBeSearched_isRefusedBeforeItBegins() {
    assertThrows(IllegalArgumentException.class, () -> search(RopeSearchOptions.of(256)));
    String message =
        assertThrows(IllegalArgumentException.class, () -> search(RopeSearchOptions.of(4096)))
            .getMessage();
    assertTrue(message.contains("does not fill one window"), message);
    // The last part must fill one as well.
    assertThrows(IllegalArgumentException.class, () -> search(OPTIONS.withSearchShare(0.9)));
  }

  private static RopeSearchResult reported(double yarn, double search) {
    return new RopeSearchResult(
        new RopePreset(
            FactorTable.of(1, 2),
            Optional.empty(),
            Optional.of(
                new RopePreset.Search(
                    LENGTH,
                    "prose",
                    1,
                    4,
                    List.of(
                        heldOut("linear", 90), heldOut("yarn", yarn), heldOut("search", search)),
                    Instant.EPOCH))),
        true,
        Duration.ZERO);
  }

  private static RopePreset.Score heldOut(String method, double perplexity) {
    return new RopePreset.Score(method, OptionalDouble.empty(), OptionalDouble.of(perplexity));
  }

  @Test
  void aTableThatFitsNothingElse_isFound() {
    assertEquals(Optional.of("yarn"), reported(46.9, 49.1).betterMethod());
    assertEquals(Optional.empty(), reported(46.9, 46.8).betterMethod());
    assertEquals(Optional.empty(), reported(46.9, 46.9).betterMethod());
  }

  @Test
  void thePreset_knowsItsModel() {
    RopePreset preset =
        search(OPTIONS.withEvaluations(4)).run(Cancellation.never(), _ -> {}).preset();
    RopePreset.Model made = preset.model().orElseThrow();
    assertEquals(model.file().fingerprint(), made.fingerprint());
    assertEquals("llama", made.architecture());
    assertEquals(64, made.dimensions());
    assertEquals(195, made.base());
    assertEquals(256, made.trainedTokens());
    Path file = folder.resolve("preset.json");
    preset.write(file);
    assertEquals(preset, RopeSpec.parse("table:" + file).at(4));
  }
}
