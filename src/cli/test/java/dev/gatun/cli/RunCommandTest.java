package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;

class RunCommandTest {
  @TempDir Path folder;

  @Test
  void run_answersFromATextFourTimesLongerThanTheModelWasTrainedFor() throws IOException {
    Path file = folder.resolve("long.txt");
    Files.writeString(file, Console.proseWith("The pass key of Mira is 48213. Remember it."));

    Console.Result result =
        Console.run("run", "--file", file.toString(), "--ask", "What is the pass key of Mira?");

    assertEquals("The pass key of Mira is 48213.\n", result.out());
    assertEquals(ExitCode.OK, result.code());
    assertTrue(result.err().contains("using ReRoPE"), result.err());
    assertTrue(result.err().contains("test model of 3 million parameters"), result.err());
  }

  @Test
  void run_answersFromAPipe_andIsSilentWhenQuiet() {
    Console.Result result =
        Console.piped("Lena lives in Bath.", "run", "-q", "--ask", "Where does Lena live?");

    assertEquals("Lena lives in Bath.\n", result.out());
    assertEquals("", result.err());
  }

  @Test
  void run_withTheSameSeed_givesTheSameText() {
    String[] line = {
      "run", "-q", "--raw", "-n", "24", "--temp", "1", "-s", "7", "It was a morning"
    };
    Console.Result first = Console.run(line);
    Console.Result second = Console.run(line);
    line[8] = "8";
    Console.Result other = Console.run(line);

    assertEquals(ExitCode.OK, first.code(), first.err());
    assertEquals(first.out(), second.out());
    assertFalse(first.out().equals(other.out()), first.out());
  }

  @Test
  void run_withAGrammar_writesWhatTheGrammarAllows() {
    Console.Result result =
        Console.run("run", "-q", "--grammar", "root ::= \"yes\" | \"no\"", "Is it so?");

    assertTrue(result.out().equals("yes\n") || result.out().equals("no\n"), result.out());
  }

  @Test
  void run_endsAtAStopText_withoutShowingIt() {
    Console.Result result =
        Console.piped(
            "Lena lives in Bath.", "run", "-q", "--stop", "Bath", "--ask", "Where does Lena live?");

    assertEquals("Lena lives in \n", result.out());
  }

  @Test
  void json_isOneEventALine_startPromptTokensEnd() {
    Console.Result result =
        Console.piped(
            "Lena lives in Bath.",
            "run",
            "-q",
            "--json",
            "--logprobs",
            "2",
            "--ask",
            "Where does Lena live?");

    List<Map<String, Object>> events = new ArrayList<>();
    result.out().lines().forEach(line -> events.add(flat(line)));
    assertEquals("start", events.getFirst().get("event"));
    assertEquals("end", events.getLast().get("event"));
    assertEquals("Lena lives in Bath.", events.getLast().get("text"));
    assertEquals("end_of_generation", events.getLast().get("stop"));
    StringBuilder text = new StringBuilder();
    for (Map<String, Object> event : events) {
      if (event.get("event").equals("token")) {
        text.append(event.get("text"));
        assertTrue((Double) event.get("logprob") <= 0, event.toString());
      }
    }
    assertEquals("Lena lives in Bath.", text.toString());
    assertTrue(events.stream().anyMatch(e -> e.get("event").equals("prompt")), result.out());
  }

  @Test
  void json_failure_isAnEventToo() {
    Console.Result result = Console.run("run", "--json", "-c", "16", Console.prose());

    Map<String, Object> last = flat(result.out().lines().toList().getLast());
    assertEquals("error", last.get("event"));
    assertEquals(4.0, last.get("exitCode"));
    assertEquals(ExitCode.SPACE, result.code());
  }

  @Test
  void timeout_endsWithItsOwnExitCode() {
    Console.Result result =
        Console.run(
            "run", "-q", "--timeout", "0.05", "--ignore-eos", "-c", "8192", "--raw", "Once");

    assertEquals(ExitCode.TIMEOUT, result.code(), result.err());
  }

  /** Reads the top level of a JSON object; numbers as doubles. */
  private static Map<String, Object> flat(String line) {
    Map<String, Object> values = new LinkedHashMap<>();
    try (JsonParser json = Json.FACTORY.createParser(ObjectReadContext.empty(), line)) {
      assertEquals(JsonToken.START_OBJECT, json.nextToken());
      while (json.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = json.currentName();
        JsonToken token = json.nextToken();
        if (token == JsonToken.VALUE_STRING) {
          values.put(name, json.getString());
        } else if (token.isNumeric()) {
          values.put(name, json.getDoubleValue());
        } else {
          json.skipChildren();
        }
      }
      assertEquals(null, json.nextToken(), "one object a line");
    }
    return values;
  }
}
