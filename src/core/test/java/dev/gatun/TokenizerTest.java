package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.internal.RandomText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Model tier: the real tokenizers of the pinned llama.cpp tree, and the built-in model's. */
class TokenizerTest {
  private static final String SEPARATOR = "\n__ggml_vocab_test__\n";

  private static LlamaModel vocabulary(Path file) {
    return LlamaModel.load(file, ModelOptions.defaults().withVocabularyOnly(true));
  }

  private static LlamaModel vocabulary(String name) {
    if (name.equals("tiny")) {
      return vocabulary(TestModels.tiny());
    }
    return vocabulary(
        TestModels.llamaCpp().resolve("models").resolve("ggml-vocab-" + name + ".gguf"));
  }

  @TestFactory
  Stream<DynamicTest> everyRealTokenizerGivesItsExpectedIds() throws IOException {
    Path folder = TestModels.llamaCpp().resolve("models");
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files =
          all.filter(file -> file.toString().endsWith(".gguf"))
              .filter(file -> Files.exists(Path.of(file + ".inp")))
              .filter(file -> Files.exists(Path.of(file + ".out")))
              .sorted()
              .toList();
    }
    assertTrue(files.size() >= 15, "only " + files.size() + " tokenizers with expected ids");
    return files.stream()
        .map(
            file ->
                DynamicTest.dynamicTest(
                    file.getFileName().toString(), () -> idsEqualTheExpected(file)));
  }

  private static void idsEqualTheExpected(Path file) throws IOException {
    List<String> texts =
        new ArrayList<>(List.of(Files.readString(Path.of(file + ".inp")).split(SEPARATOR, -1)));
    List<String> expected = Files.readString(Path.of(file + ".out")).lines().toList();
    // The input ends with a separator, behind which nothing stands.
    while (texts.size() > expected.size() && texts.getLast().isBlank()) {
      texts.removeLast();
    }
    assertEquals(expected.size(), texts.size());
    assertTrue(texts.size() > 40, "only " + texts.size() + " texts");
    try (LlamaModel model = vocabulary(file)) {
      Tokenizer tokenizer = model.tokenizer();
      for (int i = 0; i < texts.size(); i++) {
        String line = expected.get(i).strip();
        int[] ids =
            line.isEmpty()
                ? new int[0]
                : Arrays.stream(line.split(" ")).mapToInt(Integer::parseInt).toArray();
        String text = texts.get(i);
        assertArrayEquals(ids, tokenizer.encode(text), () -> "ids of \"" + text + "\"");
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> everyRealTokenizerLoadsAndEncodesAnything() throws IOException {
    Path folder = TestModels.llamaCpp().resolve("models");
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files = all.filter(file -> file.toString().endsWith(".gguf")).sorted().toList();
    }
    assertTrue(files.size() >= 19, "only " + files.size() + " tokenizers");
    return files.stream()
        .map(
            file ->
                DynamicTest.dynamicTest(
                    file.getFileName().toString(),
                    () -> {
                      Random random = new Random(11);
                      try (LlamaModel model = vocabulary(file)) {
                        Tokenizer tokenizer = model.tokenizer();
                        for (int i = 0; i < 200; i++) {
                          int[] ids = tokenizer.encode(RandomText.unicode(random, 40), true, true);
                          tokenizer.decode(ids, true);
                        }
                      }
                    }));
  }

  @ParameterizedTest
  @ValueSource(strings = {"tiny", "llama-spm", "gpt-2", "llama-bpe", "qwen2"})
  void tenThousandRandomTextsRoundTripByteForByte(String name) {
    Random random = new Random(20_261_123);
    try (LlamaModel model = vocabulary(name)) {
      Tokenizer tokenizer = model.tokenizer();
      for (int i = 0; i < 10_000; i++) {
        // U+2581 is SentencePiece's own sign for a space.
        String text = RandomText.unicode(random, 30).replace('\u2581', '_');
        int[] ids = tokenizer.encode(text);
        assertArrayEquals(
            text.getBytes(StandardCharsets.UTF_8), tokenizer.decodeBytes(ids), () -> text);
        StreamDecoder decoder = tokenizer.newStreamDecoder(true);
        StringBuilder streamed = new StringBuilder();
        for (int id : ids) {
          streamed.append(decoder.next(id));
        }
        streamed.append(decoder.finish());
        String whole = streamed.toString();
        assertTrue(whole.equals(text) || whole.equals(" " + text), () -> text);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"tiny", "llama-spm", "phi-3", "gpt-2"})
  void spacesAtTheBeginningAndBehindSpecialTokensSurvive(String name) {
    try (LlamaModel model = vocabulary(name)) {
      Tokenizer tokenizer = model.tokenizer();
      for (String text : List.of("", " ", "  ", "a", " a", "  a", "\ta", "\n a ", "a  b ")) {
        assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
        assertEquals(text, tokenizer.decode(tokenizer.encode(text, true, false)));
      }
    }
  }

  @Test
  void loneSurrogatesAreReadAsQuestionMarks() {
    try (LlamaModel model = vocabulary("tiny")) {
      Tokenizer tokenizer = model.tokenizer();
      assertEquals("a?b?", tokenizer.decode(tokenizer.encode("a\ud800b\ude00")));
    }
  }

  @Test
  void specialTokensAreParsedOnlyWhenAsked() {
    try (LlamaModel model = vocabulary("tiny")) {
      Tokenizer tokenizer = model.tokenizer();
      int[] plain = tokenizer.encode("<|end|>");
      int[] parsed = tokenizer.encode("<|end|>", false, true);
      assertTrue(plain.length > 1);
      assertEquals(1, parsed.length);
      assertTrue(tokenizer.isControl(parsed[0]));
      assertTrue(tokenizer.isEndOfGeneration(parsed[0]));
      assertEquals("<|end|>", tokenizer.text(parsed[0]));
      assertEquals("", tokenizer.decode(parsed));
      assertEquals("<|end|>", tokenizer.decode(parsed, true));
      assertEquals("", tokenizer.newStreamDecoder(false).next(parsed[0]));
      assertEquals("<|end|>", tokenizer.newStreamDecoder(true).next(parsed[0]));
      assertEquals("<|end|>", tokenizer.decode(plain));
    }
  }

  @Test
  void theBuiltInModelSaysWhatItsCardSays() {
    try (LlamaModel model = vocabulary("tiny")) {
      Tokenizer tokenizer = model.tokenizer();
      assertEquals(2_048, tokenizer.size());
      assertEquals(OptionalInt.of(1), tokenizer.bos());
      assertEquals(OptionalInt.of(2), tokenizer.eos());
      assertTrue(tokenizer.addsBos());
      assertFalse(tokenizer.addsEos());
      assertEquals(1, tokenizer.encode("x", true, false)[0]);
      assertTrue(tokenizer.endOfGenerationTokens().contains(2));
      assertEquals(OptionalInt.empty(), tokenizer.fillInTokens().prefix());
    }
  }

  @Test
  void tokensOutOfRangeAreRefusedInJava() {
    try (LlamaModel model = vocabulary("tiny")) {
      Tokenizer tokenizer = model.tokenizer();
      for (int token : new int[] {-1, Integer.MIN_VALUE, 2_048, Integer.MAX_VALUE}) {
        assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.piece(token));
        assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.text(token));
        assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.isControl(token));
        assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.isEndOfGeneration(token));
        assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.decode(new int[] {token}));
        assertThrows(
            IndexOutOfBoundsException.class, () -> tokenizer.newStreamDecoder(true).next(token));
      }
    }
  }

  @Test
  void aPieceIsACopy() {
    try (LlamaModel model = vocabulary("tiny")) {
      Tokenizer tokenizer = model.tokenizer();
      int token = tokenizer.encode("the")[0];
      byte[] piece = tokenizer.piece(token);
      piece[0] = 'X';
      assertEquals('t', tokenizer.piece(token)[0]);
    }
  }

  @Test
  void manyThreadsGetTheSameIdsAndTexts() throws Exception {
    try (LlamaModel model = vocabulary("tiny");
        ExecutorService pool = Executors.newFixedThreadPool(4)) {
      Tokenizer tokenizer = model.tokenizer();
      List<Callable<List<String>>> work = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        work.add(
            () -> {
              Random random = new Random(5);
              List<String> texts = new ArrayList<>();
              for (int i = 0; i < 500; i++) {
                int[] ids = tokenizer.encode(RandomText.unicode(random, 20));
                texts.add(Arrays.toString(ids) + tokenizer.decode(ids));
              }
              return texts;
            });
      }
      List<List<String>> results = new ArrayList<>();
      for (Future<List<String>> done : pool.invokeAll(work)) {
        results.add(done.get());
      }
      assertEquals(1, results.stream().distinct().count());
    }
  }

  @Test
  void afterCloseEncodingIsRefused() {
    LlamaModel model = vocabulary("tiny");
    Tokenizer tokenizer = model.tokenizer();
    model.close();
    assertThrows(AlreadyClosedException.class, () -> tokenizer.encode("a"));
    assertThrows(AlreadyClosedException.class, () -> tokenizer.piece(7));
  }

  /**
   * The native word splitters of some vocabularies recurse once for each character of a long word.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "tiny",
        "llama-spm",
        "gpt-2",
        "llama-bpe",
        "qwen2",
        "falcon",
        "deepseek-coder",
        "deepseek-llm",
        "command-r",
        "starcoder",
        "gemma-4",
        "qwen35",
        "bert-bge",
        "phi-3"
      })
  void veryLongRunsOfOneKindDoNotEndTheProcess(String name) {
    assumeTrue(!name.isEmpty());
    try (LlamaModel model = vocabulary(name)) {
      Tokenizer tokenizer = model.tokenizer();
      for (String unit :
          List.of("a", " ", "\n", "7", "!", "漢", "é", "\t ", "😀", "a1", "'s", "\r\n")) {
        int[] ids = tokenizer.encode(unit.repeat(20_000));
        assertTrue(ids.length > 0 || unit.isBlank(), unit);
      }
    }
  }
}
