package dev.gatun.cli;

import dev.gatun.gguf.GgufFile;
import dev.gatun.rope.RopeAdvisor;
import dev.gatun.rope.RopeChoice;
import dev.gatun.rope.RopeFacts;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What {@code --rope auto} chooses for texts that are longer than a model was trained for. */
final class LongerTexts {
  private static final int[] RATIOS = {2, 4, 8, 16};

  private LongerTexts() {}

  /** Returns the choices on the CPU; none when the file states no trained length. */
  private static Map<Integer, RopeChoice> choices(GgufFile gguf) {
    RopeFacts facts = RopeFacts.of(gguf);
    Map<Integer, RopeChoice> choices = new LinkedHashMap<>();
    for (int ratio : RATIOS) {
      long tokens = (long) ratio * facts.trainedTokens();
      if (tokens > 0 && tokens <= 1 << 30) {
        choices.put((int) tokens, RopeAdvisor.choose(facts, (int) tokens, false, true));
      }
    }
    return choices;
  }

  static List<Map<String, Object>> facts(GgufFile gguf) {
    List<Map<String, Object>> list = new ArrayList<>();
    choices(gguf)
        .forEach(
            (tokens, choice) -> {
              Map<String, Object> entry = new LinkedHashMap<>();
              entry.put("tokens", (long) tokens);
              entry.put("ratio", choice.ratio());
              entry.put("rope", choice.scaling().describe());
              entry.put("reasons", choice.reasons());
              list.add(entry);
            });
    return list;
  }

  static String table(GgufFile gguf) {
    Map<Integer, RopeChoice> choices = choices(gguf);
    if (choices.isEmpty()) {
      return "";
    }
    Table table = new Table("longer texts", "ratio", "positions (auto, on the CPU)", "because");
    choices.forEach(
        (tokens, choice) ->
            table.row(
                Values.grouped(tokens),
                Math.round(choice.ratio()) + "x",
                choice.scaling().describe(),
                String.join("; ", choice.reasons())));
    return "\n" + table;
  }
}
