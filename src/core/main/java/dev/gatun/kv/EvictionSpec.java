package dev.gatun.kv;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Reads and writes the names of policies. */
final class EvictionSpec {
  private static final int WINDOW = 32;
  private static final Spans SPANS = Spans.around(3, 7);

  private EvictionSpec() {}

  static EvictionPolicy parse(String text) {
    String spec = text.strip().toLowerCase(Locale.ROOT);
    int colon = spec.indexOf(':');
    String name = colon < 0 ? spec : spec.substring(0, colon);
    Arguments arguments = new Arguments(text, colon < 0 ? "" : spec.substring(colon + 1));
    EvictionPolicy policy =
        switch (name) {
          case "h2o" -> new H2o(arguments.spans(Spans.none()));
          case "snapkv" -> new SnapKv(arguments.count(WINDOW), arguments.count(5));
          case "max" -> new MaximumAttention(arguments.count(WINDOW), arguments.spans(SPANS));
          case "spans" -> {
            int width = arguments.count(15);
            yield new MaximumAttention(WINDOW, Spans.fixed(width / 2, width - 1 - width / 2));
          }
          case "sentences" -> new MaximumAttention(arguments.count(WINDOW), Spans.sentences());
          case "contrast" ->
              new ContrastAttention(
                  arguments.count(WINDOW), arguments.count(WINDOW), arguments.spans(SPANS));
          case "lookahead" -> new Lookahead(arguments.count(8), arguments.spans(SPANS));
          case "tova" -> new Tova(arguments.spans(Spans.none()));
          case "keynorm" -> new KeyNorm(arguments.spans(Spans.none()));
          case "keydiff" -> new KeyDiff(false, arguments.spans(Spans.none()));
          case "plaindiff" -> new KeyDiff(true, arguments.spans(Spans.none()));
          case "expected" ->
              new ExpectedAttention(
                  arguments.count(128), arguments.count(128), arguments.spans(Spans.none()));
          case "kvzip" -> new KvZip(arguments.count(32), arguments.spans(Spans.fixed(4, 4)));
          case "random" -> new RandomEviction(arguments.number(0));
          case "recent" -> new Recency();
          default ->
              throw new IllegalArgumentException(
                  "'%s' is no eviction policy; there are contrast, lookahead, max, spans, sentences, snapkv, h2o, tova, kvzip, expected, keydiff, plaindiff, keynorm, recent and random"
                      .formatted(text));
        };
    arguments.end();
    return policy;
  }

  /**
   * Writes spans as they are read: {@code 3-7}, {@code 15} for a fixed width, {@code sentence}, or
   * {@code mean} for sentences by their mean.
   */
  static String write(Spans spans) {
    if (spans.equals(Spans.sentences())) {
      return "sentence";
    }
    if (spans.equals(Spans.sentenceMeans())) {
      return "mean";
    }
    return spans.withinSentence()
        ? spans.before() + "-" + spans.after()
        : spans.before() + "+" + spans.after();
  }

  /** Returns a name that says spans only where there are any. */
  static String name(String word, Spans spans) {
    return spans.equals(Spans.none()) ? word : word + ":" + write(spans);
  }

  /** What stands behind the colon, between slashes. */
  private static final class Arguments {
    private final String spec;
    private final List<String> left;

    Arguments(String spec, String text) {
      this.spec = spec;
      this.left = new ArrayList<>(text.isEmpty() ? List.of() : List.of(text.split("/", -1)));
    }

    int count(int otherwise) {
      return Math.toIntExact(number(otherwise, 1, 1 << 20));
    }

    long number(long otherwise) {
      return number(otherwise, 0, Long.MAX_VALUE);
    }

    private long number(long otherwise, long least, long most) {
      if (left.isEmpty()) {
        return otherwise;
      }
      String text = left.removeFirst();
      try {
        long value = Long.parseLong(text);
        if (value >= least && value <= most) {
          return value;
        }
      } catch (NumberFormatException e) {
        throw new IllegalArgumentException(wrong(text), e);
      }
      throw new IllegalArgumentException(wrong(text));
    }

    Spans spans(Spans otherwise) {
      if (left.isEmpty()) {
        return otherwise;
      }
      String text = left.removeFirst();
      if (text.equals("sentence")) {
        return Spans.sentences();
      }
      if (text.equals("mean")) {
        return Spans.sentenceMeans();
      }
      boolean within = text.indexOf('-') >= 0;
      String[] sides = text.split("[-+]", -1);
      try {
        if (sides.length == 2) {
          return new Spans(Integer.parseInt(sides[0]), Integer.parseInt(sides[1]), within, false);
        }
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(wrong(text), e);
      }
      throw new IllegalArgumentException(wrong(text));
    }

    void end() {
      if (!left.isEmpty()) {
        throw new IllegalArgumentException(
            "'%s' has more numbers than the policy takes, from '%s' on"
                .formatted(spec, left.getFirst()));
      }
    }

    private String wrong(String part) {
      return "'%s' in '%s' is not what the policy takes there: a number, or for a span 3-7 (within the sentence), 7+7, sentence or mean"
          .formatted(part, spec);
    }
  }
}
