package dev.gatun.eval;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToIntFunction;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

/**
 * Hides facts between the sentences of a text, so that the prompt has exactly as many tokens as
 * asked for: the part of the text that is used ends with a sentence, and its beginning is moved,
 * character by character if need be, until the number is right.
 */
final class Haystack {
  /** Characters that are looked at around the right place before another part is tried. */
  private static final int SCAN_CHARACTERS = 160;

  private static final int APPROACHES = 24;
  private static final int ATTEMPTS = 8;
  private static final int SAMPLE_CHARACTERS = 200_000;

  /** A part is chosen with so much more text before it than it probably needs. */
  private static final double RESERVE = 1.25;

  private final String text;
  private final ToIntFunction<String> count;
  private final int[] ends;
  private final double charactersPerToken;

  /**
   * A fact and where it goes.
   *
   * @param sentence the fact
   * @param depth 0 at the beginning of the text, 1 at its end
   */
  record Needle(String sentence, double depth) {}

  /**
   * Prepares a text.
   *
   * @param text prose
   * @param count counts the tokens of a prompt
   * @throws IllegalArgumentException if the text has no sentences
   */
  Haystack(String text, ToIntFunction<String> count) {
    this.text = text;
    this.count = count;
    this.ends = sentenceEnds(text);
    if (ends.length == 0) {
      throw new IllegalArgumentException(
          "the text has no sentences to hide facts between; give prose");
    }
    String sample = text.substring(0, Math.min(text.length(), SAMPLE_CHARACTERS));
    this.charactersPerToken = (double) sample.length() / Math.max(1, count.applyAsInt(sample));
  }

  /**
   * Returns a prompt with an exact number of tokens.
   *
   * @param tokens how many
   * @param before what comes before the text
   * @param needles the facts
   * @param after what comes after the text
   * @param random where chance comes from
   * @throws IllegalArgumentException if the facts alone need more tokens, or the text is too short
   */
  String prompt(
      int tokens, String before, List<Needle> needles, String after, RandomGenerator random) {
    int least = count.applyAsInt(before + hide(0, 0, needles) + after);
    if (least > tokens) {
      throw new IllegalArgumentException(
          "facts, question and template take %,d tokens and only %,d are there for the prompt; give a longer context"
              .formatted(least, tokens));
    }
    double characters = (tokens - least) * charactersPerToken;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      int end = end(characters, tokens, random);
      ToIntFunction<Integer> size =
          from -> count.applyAsInt(before + hide(from, end, needles) + after);
      int from = approach(size, tokens, end, (int) (end - characters));
      for (int i = 0; i <= 2 * SCAN_CHARACTERS; i++) {
        int near = from + (i % 2 == 0 ? i / 2 : -(i + 1) / 2);
        if (isStart(near, end) && size.applyAsInt(near) == tokens) {
          return before + hide(near, end, needles) + after;
        }
      }
    }
    throw new IllegalArgumentException(
        "no part of the text makes a prompt of exactly %,d tokens; give another text or length"
            .formatted(tokens));
  }

  /** Chooses the sentence with which the used part of the text ends. */
  private int end(double characters, int tokens, RandomGenerator random) {
    int first = 0;
    while (first < ends.length && ends[first] < characters * RESERVE) {
      first++;
    }
    if (first < ends.length) {
      return ends[first + random.nextInt(ends.length - first)];
    }
    int last = ends[ends.length - 1];
    if (last < characters) {
      throw new IllegalArgumentException(
          "the text has about %,d tokens, too few for a prompt of %,d; give a longer text or a shorter length"
              .formatted(Math.round(last / charactersPerToken), tokens));
    }
    return last;
  }

  /** Finds a beginning that makes the size nearly right. */
  private int approach(ToIntFunction<Integer> size, int tokens, int end, int guess) {
    int from = Math.clamp(guess, 0, end);
    for (int i = 0; i < APPROACHES; i++) {
      int excess = size.applyAsInt(from) - tokens;
      if (excess == 0) {
        break;
      }
      int step = (int) Math.round(excess * charactersPerToken);
      int next = Math.clamp(from + (long) (step == 0 ? Integer.signum(excess) : step), 0, end);
      if (next == from || Math.abs(excess) <= 2) {
        break;
      }
      from = next;
    }
    return from;
  }

  /** Tells whether a text may begin here: not with white space, which templates take away. */
  private boolean isStart(int from, int end) {
    return from >= 0
        && from <= end
        && (from == end
            || (!Character.isWhitespace(text.charAt(from))
                && !Character.isLowSurrogate(text.charAt(from))));
  }

  /** Returns a part of the text with the facts in it. */
  String hide(int from, int end, List<Needle> needles) {
    record Place(int at, String sentence) {}
    List<Place> places = new ArrayList<>();
    for (Needle needle : needles) {
      places.add(new Place(place(from, end, needle.depth()), needle.sentence()));
    }
    places.sort(Comparator.comparingInt(Place::at));
    StringBuilder out = new StringBuilder(end - from + 64);
    int done = from;
    for (Place place : places) {
      out.append(text, done, place.at());
      done = place.at();
      if (!out.isEmpty() && !Character.isWhitespace(out.charAt(out.length() - 1))) {
        out.append(' ');
      }
      out.append(place.sentence());
      if (done < end && !Character.isWhitespace(text.charAt(done))) {
        out.append(' ');
      }
    }
    return out.append(text, done, end).toString();
  }

  /** Returns the border between sentences that is nearest to a depth; also the two ends. */
  private int place(int from, int end, double depth) {
    double wanted = from + depth * (end - from);
    int best = wanted - from <= end - wanted ? from : end;
    for (int border : ends) {
      if (border > from && border < end && Math.abs(border - wanted) < Math.abs(best - wanted)) {
        best = border;
      }
    }
    return best;
  }

  /**
   * Returns the positions behind the sentences of a text: behind a full stop, question or
   * exclamation mark and closing quotes, before white space and no small letter; a full stop behind
   * a word of up to three letters that begins with a capital one ("Mr.") ends none.
   */
  static int[] sentenceEnds(String text) {
    IntStream.Builder ends = IntStream.builder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c != '.' && c != '!' && c != '?' || c == '.' && isAbbreviation(text, i)) {
        continue;
      }
      int end = i + 1;
      while (end < text.length() && "\"')\u201d\u2019".indexOf(text.charAt(end)) >= 0) {
        end++;
      }
      int next = end;
      while (next < text.length() && Character.isWhitespace(text.charAt(next))) {
        next++;
      }
      boolean last = next == text.length();
      if (last || (next > end && !Character.isLowerCase(text.charAt(next)))) {
        ends.add(end);
      }
    }
    return ends.build().toArray();
  }

  private static boolean isAbbreviation(String text, int stop) {
    int start = stop;
    while (start > 0 && Character.isLetter(text.charAt(start - 1))) {
      start--;
    }
    int length = stop - start;
    return length >= 1 && length <= 3 && Character.isUpperCase(text.charAt(start));
  }
}
