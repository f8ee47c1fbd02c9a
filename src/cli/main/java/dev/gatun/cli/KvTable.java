package dev.gatun.cli;

import dev.gatun.ContextOptions;
import dev.gatun.gguf.GgufFile;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.KvLayout;
import dev.gatun.kv.KvPlan;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/** What the KV cells of a model cost, for one sequence and every pair of types. */
final class KvTable {
  private KvTable() {}

  /** Returns the facts for JSON; empty when the architecture's memory is not predicted. */
  static Optional<Map<String, Object>> facts(GgufFile gguf) {
    return KvLayout.of(gguf.model())
        .map(
            layout -> {
              Map<String, Object> facts = new LinkedHashMap<>();
              facts.put(
                  "recurrentBytes",
                  plan(layout, KvCacheType.F32, KvCacheType.F32, 2).recurrentBytes());
              facts.put("types", pairs(gguf, layout));
              return facts;
            });
  }

  private static List<Map<String, Object>> pairs(GgufFile gguf, KvLayout layout) {
    List<Map<String, Object>> list = new ArrayList<>();
    for (KvCacheType keys : KvCacheType.values()) {
      for (KvCacheType values : KvCacheType.values()) {
        if (layout.accepts(keys, values)) {
          Map<String, Object> bytes = new LinkedHashMap<>();
          for (int tokens : lengths(gguf)) {
            bytes.put(Integer.toString(tokens), plan(layout, keys, values, tokens).totalBytes());
          }
          Map<String, Object> pair = new LinkedHashMap<>();
          pair.put("keys", ContextFlags.kvName(keys));
          pair.put("values", ContextFlags.kvName(values));
          pair.put("bytesPerToken", plan(layout, keys, values, 2).bytesPerToken());
          pair.put("bytes", bytes);
          list.add(pair);
        }
      }
    }
    return list;
  }

  static String table(GgufFile gguf) {
    Optional<KvLayout> known = KvLayout.of(gguf.model());
    if (known.isEmpty()) {
      return "\nwhat the KV cells of this architecture take is not known\n";
    }
    KvLayout layout = known.get();
    KvPlan any = plan(layout, KvCacheType.F32, KvCacheType.F32, 2);
    StringBuilder text = new StringBuilder();
    if (!layout.attention().isEmpty()) {
      text.append('\n').append(perToken(layout)).append('\n').append(totals(gguf, layout));
    }
    if (any.recurrentBytes() > 0) {
      text.append("\nrecurrent state    ")
          .append(Values.grouped(any.recurrentBytes()))
          .append(" bytes for each sequence, however long\n");
    }
    return text.toString();
  }

  private static String perToken(KvLayout layout) {
    List<String> heading = new ArrayList<>(List.of("bytes/token, keys:"));
    for (KvCacheType values : KvCacheType.values()) {
      heading.add("v " + ContextFlags.kvName(values));
    }
    Table table = new Table(heading.toArray(String[]::new));
    for (KvCacheType keys : KvCacheType.values()) {
      List<String> row = new ArrayList<>(List.of(ContextFlags.kvName(keys)));
      boolean any = false;
      for (KvCacheType values : KvCacheType.values()) {
        boolean accepted = layout.accepts(keys, values);
        any |= accepted;
        row.add(accepted ? Values.grouped(plan(layout, keys, values, 2).bytesPerToken()) : "-");
      }
      if (any) {
        table.row(row.toArray(String[]::new));
      }
    }
    return table.toString();
  }

  private static String totals(GgufFile gguf, KvLayout layout) {
    List<String> heading = new ArrayList<>(List.of("keys and values"));
    for (int tokens : lengths(gguf)) {
      heading.add("at " + Values.grouped(tokens));
    }
    Table table = new Table(heading.toArray(String[]::new));
    for (KvCacheType type : KvCacheType.values()) {
      if (layout.accepts(type, type)) {
        List<String> row = new ArrayList<>(List.of(ContextFlags.kvName(type)));
        for (int tokens : lengths(gguf)) {
          row.add(Values.bytes(plan(layout, type, type, tokens).totalBytes()));
        }
        table.row(row.toArray(String[]::new));
      }
    }
    return table.toString();
  }

  /** Two round lengths and the trained one, in order. */
  private static TreeSet<Integer> lengths(GgufFile gguf) {
    TreeSet<Integer> lengths = new TreeSet<>(List.of(4096, 32_768));
    long trained = gguf.model().trainedContextTokens().orElse(0);
    if (trained >= 2 && trained <= 1 << 30) {
      lengths.add((int) trained);
    }
    return lengths;
  }

  private static KvPlan plan(KvLayout layout, KvCacheType keys, KvCacheType values, int tokens) {
    return layout.plan(
        ContextOptions.defaults()
            .withContextTokens(tokens)
            .withKeyType(keys)
            .withValueType(values)
            .kvSettings(tokens));
  }
}
