package dev.gatun.cli;

import java.io.ByteArrayInputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Runs the commands whose start is to be fast, all in one process and without output. The launcher
 * records what they load and links it ahead of time. Picocli stays out: its classes are too old to
 * be linked ahead of time, and what depends on them would be loaded at every start.
 */
final class TrainCommand extends Command {
  private static final String SENTENCE =
      "It was a quiet morning, and the road to the village lay empty. Lena lives in Bath.\n";

  @Override
  String name() {
    return "train-start";
  }

  @Override
  String summary() {
    return "Runs a few commands for the launcher, which records what they load";
  }

  @Override
  boolean hidden() {
    return true;
  }

  @Override
  void declare(OptionTable table) {
    // no flags
  }

  @Override
  int call(Io io) {
    String text = SENTENCE.repeat(16);
    String question = "Where does Lena live?";
    int worst = ExitCode.OK;
    String[][] lines = {
      {"run", "-n", "8", "--ask", question},
      {"run", "-q", "-n", "4", "--temp", "0.8", "--json", "--ask", question},
      {"run", "-q", "--raw", "-n", "4"},
      {"chat", "-q", "-n", "4"},
      {"info"},
      {"info", "--json"},
      {"tokenize"},
      {"devices"},
      {"bench", "-p", "8", "-n", "2", "-r", "1"},
      {"--version"},
    };
    for (String[] line : lines) {
      byte[] input =
          (line[0].equals("chat") ? question + "\n/stats\n" : text)
              .getBytes(StandardCharsets.UTF_8);
      PrintStream nowhere =
          new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
      int code =
          Cli.run(
              line, new Io(new ByteArrayInputStream(input), nowhere, nowhere, false, false, false));
      if (code != ExitCode.OK && code != ExitCode.USAGE) {
        io.note("`" + String.join(" ", line) + "` ended with " + code);
        worst = code;
      }
    }
    return worst;
  }
}
