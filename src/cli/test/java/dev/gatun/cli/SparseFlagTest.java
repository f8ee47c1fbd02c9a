package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.kv.SparseAttention;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --sparse}. */
class SparseFlagTest {
  @Test
  void everyPattern_canBeSaid() {
    assertEquals(SparseAttention.full(), SparseFlag.parse("full"));
    assertEquals(SparseAttention.pages(1024), SparseFlag.parse("pages"));
    assertEquals(SparseAttention.pages(2048), SparseFlag.parse("pages:2048"));
    assertEquals(new SparseAttention.LocalWindow(512, 0), SparseFlag.parse("local:512"));
    assertEquals(new SparseAttention.LocalWindow(512, 4), SparseFlag.parse("local:512/4"));
    assertEquals(new SparseAttention.Dilated(64, 3), SparseFlag.parse("dilated:64/3"));
    assertEquals(new SparseAttention.Blocks(128), SparseFlag.parse("blocks:128"));
    assertEquals(new SparseAttention.Strided(32), SparseFlag.parse("strided:32"));
    assertEquals(
        new SparseAttention.Longformer(64, 1, List.of()), SparseFlag.parse("longformer:64"));
    assertEquals(
        new SparseAttention.Longformer(64, 2, List.of(0, 9)),
        SparseFlag.parse("longformer:64/2@0,9"));
    assertEquals(new SparseAttention.BigBird(64, 3, 1, 2, 0), SparseFlag.parse("bigbird:64/3/1/2"));
    assertEquals(
        new SparseAttention.BigBird(64, 3, 1, 2, 7), SparseFlag.parse("bigbird:64/3/1/2/7"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "pages:8",
        "pages:x",
        "pages:64/2",
        "local",
        "local:0",
        "local:4/4/4",
        "dilated:4",
        "blocks:0",
        "strided:",
        "strided:4@2",
        "longformer:4@3,2",
        "bigbird:1/1/1",
        "window:4"
      })
  void nonsense_isAUsageError(String text) {
    CliException error = assertThrows(CliException.class, () -> SparseFlag.parse(text));
    assertTrue(error.getMessage().contains("--sparse"), error.getMessage());
  }

  @Test
  void perplexity_underAStaticPattern_warnsAndIsWorse() {
    String[] common = {"perplexity", "-t", "1", "-c", "256", "--chunks", "2", "--json"};
    Console.Result full = Console.run(with(common, "full"));
    Console.Result local = Console.run(with(common, "local:16"));
    assertEquals(ExitCode.OK, full.code(), full.err());
    assertEquals(ExitCode.OK, local.code(), local.err());
    assertFalse(full.err().contains("trained with"), full.err());
    assertTrue(local.err().contains("trained with"), local.err());
    assertTrue(perplexity(local.out()) > perplexity(full.out()) * 1.01, local.out() + full.out());
  }

  @Test
  void run_withPages_answers() {
    Console.Result result =
        Console.run(
            "run", "-t", "1", "-n", "8", "--temp", "0", "--sparse", "pages:64", "-p", "One day");
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertFalse(result.out().isBlank());
    Console.Result off =
        Console.run("run", "-t", "1", "-n", "8", "-fa", "off", "--sparse", "pages:64", "-p", "One");
    assertEquals(ExitCode.USAGE, off.code(), off.err());
    assertTrue(off.err().contains("flash attention"), off.err());
  }

  private static String[] with(String[] flags, String sparse) {
    String[] all = java.util.Arrays.copyOf(flags, flags.length + 2);
    all[flags.length] = "--sparse";
    all[flags.length + 1] = sparse;
    return all;
  }

  private static double perplexity(String json) {
    java.util.regex.Matcher matcher =
        java.util.regex.Pattern.compile("\"perplexity\":([-0-9.eE]+)").matcher(json);
    assertTrue(matcher.find(), json);
    return Double.parseDouble(matcher.group(1));
  }
}
