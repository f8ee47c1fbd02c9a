package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The two readers of a command line agree wherever the fast one does not pass. */
class ParserTest {
  /** A command that writes down what is set. */
  private static final class Recorder extends Command {
    final List<String> seen = new ArrayList<>();

    @Override
    String name() {
      return "record";
    }

    @Override
    String summary() {
      return "Records";
    }

    @Override
    void declare(OptionTable table) {
      table
          .value("-n,--number", "N", "A number.", v -> seen.add("number=" + v))
          .value("-ngl,--layers", "N", "Layers.", v -> seen.add("layers=" + v))
          .flag("-q,--quiet", "Quiet.", () -> seen.add("quiet"))
          .positional("TEXT", "Text.", 2, v -> seen.add("text=" + v));
    }

    @Override
    int call(Io io) {
      return 0;
    }
  }

  private static List<String> fast(String... args) {
    Recorder recorder = new Recorder();
    OptionTable table = new OptionTable();
    recorder.declare(table);
    return FastParser.parse(table, args, 1) ? recorder.seen : List.of("left to the other");
  }

  private static List<String> slow(String... args) {
    Recorder recorder = new Recorder();
    OptionTable table = new OptionTable();
    recorder.declare(table);
    assertNull(Picocli.parse(recorder, table, args, Io.system()));
    return recorder.seen;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "record hello",
        "record -n 3 hello",
        "record --number=3 hello world",
        "record -n -1 -q hello",
        "record -ngl 99 -n 1 -n 2",
        "record -n= x",
        "record -q -- -n",
        "record -",
        "record",
      })
  void fastAndSlow_readTheSame(String line) {
    String[] args = line.split(" ");
    assertEquals(slow(args), fast(args));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "record --nmber 3",
        "record -n",
        "record -n -q",
        "record a b c",
        "record --help",
        "record -q=1",
        "record -n3"
      })
  void fast_leavesWhatIsNotPlainlyRight(String line) {
    assertEquals(List.of("left to the other"), fast(line.split(" ")));
  }

  @Test
  void slow_readsAShortNameWithItsValueAttached() {
    assertEquals(List.of("number=3"), slow("record", "-n3"));
  }

  @Test
  void everyFlagOfEveryCommand_hasHelp() {
    for (String name : Commands.NAMES) {
      OptionTable table = new OptionTable();
      Commands.named(name).declare(table);
      String help = Picocli.usage(name);
      for (OptionTable.Option option : table.options()) {
        assertFalse(option.text().isBlank(), option.toString());
        assertTrue(help.contains(option.names().getLast()), name + " " + option.names());
      }
    }
  }

  @Test
  void sharedFlags_areTheSameInEveryCommandThatMeasures() {
    for (String name : List.of("stream", "memory-eval", "evict-eval", "bench")) {
      OptionTable table = new OptionTable();
      Commands.named(name).declare(table);
      for (SharedFlag flag : SharedFlag.values()) {
        String longName = flag.names().substring(flag.names().lastIndexOf(',') + 1);
        OptionTable.Option option = table.option(longName);
        if (option != null) {
          assertEquals(flag.names(), String.join(",", option.names()), name);
          assertEquals(flag.text(), option.text(), name);
          assertEquals(flag.label(), option.label(), name);
        }
      }
    }
  }

  @Test
  void help_existsForTheProgramEachCommandAndTheExitCodes() {
    String all = Console.run("--help").out();
    assertTrue(all.contains("tokenize") && all.contains("--version"), all);
    assertFalse(all.contains("${"), all);
    assertFalse(all.contains("train-start"), all);
    assertTrue(Console.run("help", "exit-codes").out().contains("130"));
    assertTrue(Console.run("bench", "-h").out().contains("--repetitions"));
    assertEquals(ExitCode.OK, Console.run("help", "run").code());
    assertTrue(Console.run("--version").out().startsWith("gatun "));
    assertTrue(Console.run("generate-completion").out().contains("complete -F"));
  }
}
