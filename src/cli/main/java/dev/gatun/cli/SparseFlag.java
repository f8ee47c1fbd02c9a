package dev.gatun.cli;

import dev.gatun.ContextOptions;
import dev.gatun.kv.OverflowPolicy;
import dev.gatun.kv.SparseAttention;
import java.util.Arrays;
import java.util.List;

/** The flag that says which keys a query meets. */
final class SparseFlag {
  static final String NAME = "--sparse";
  static final String HELP =
      "Keys that attention meets, on the CPU: full, pages[:BUDGET], local:WINDOW[/SINKS],"
          + " dilated:KEYS/STEP, blocks:SIZE, strided:STEP,"
          + " longformer:WINDOW[/STEP][@POSITION,...], bigbird:SIZE/WINDOW/GLOBALS/RANDOM[/SEED]"
          + " (full).";

  private SparseFlag() {}

  static SparseAttention parse(String text) {
    String[] parts = text.split(":", 2);
    try {
      if (parts.length == 1) {
        return switch (parts[0]) {
          case "full" -> SparseAttention.full();
          case "pages" -> SparseAttention.pages();
          default -> throw unknown(text);
        };
      }
      String[] places = parts[1].split("@", 2);
      if (places.length > 1 && !parts[0].equals("longformer")) {
        throw unknown(text);
      }
      int least = parts[0].equals("bigbird") ? 4 : parts[0].equals("dilated") ? 2 : 1;
      int most =
          switch (parts[0]) {
            case "bigbird" -> 5;
            case "local", "dilated", "longformer" -> 2;
            default -> 1;
          };
      String[] fields = places[0].split("/", -1);
      if (fields.length < least || fields.length > most) {
        throw unknown(text);
      }
      int[] n = Arrays.stream(fields).limit(4).mapToInt(Integer::parseInt).toArray();
      return switch (parts[0]) {
        case "pages" -> SparseAttention.pages(n[0]);
        case "local" -> new SparseAttention.LocalWindow(n[0], n.length > 1 ? n[1] : 0);
        case "dilated" -> new SparseAttention.Dilated(n[0], n[1]);
        case "blocks" -> new SparseAttention.Blocks(n[0]);
        case "strided" -> new SparseAttention.Strided(n[0]);
        case "longformer" ->
            new SparseAttention.Longformer(
                n[0], n.length > 1 ? n[1] : 1, places.length > 1 ? list(places[1]) : List.of());
        case "bigbird" ->
            new SparseAttention.BigBird(
                n[0], n[1], n[2], n[3], fields.length > 4 ? Long.parseLong(fields[4]) : 0);
        default -> throw unknown(text);
      };
    } catch (NumberFormatException e) {
      throw unknown(text);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(NAME + " " + text + ": " + e.getMessage());
    }
  }

  private static List<Integer> list(String text) {
    return Arrays.stream(text.split(",", -1)).map(Integer::parseInt).toList();
  }

  private static CliException unknown(String text) {
    return CliException.usage(NAME + " does not know '" + text + "'. " + HELP);
  }

  /**
   * Refuses a pattern that names places in the text where the text moves.
   *
   * @throws CliException if it does
   */
  static void requireFits(SparseAttention sparse, OverflowPolicy overflow) {
    boolean places =
        switch (sparse) {
          case SparseAttention.LocalWindow local -> local.sinks() > 0;
          case SparseAttention.Longformer longformer -> !longformer.globals().isEmpty();
          case SparseAttention.Blocks _, SparseAttention.BigBird _ -> true;
          case SparseAttention.Full _,
              SparseAttention.Pages _,
              SparseAttention.Dilated _,
              SparseAttention.Strided _ ->
              false;
        };
    if (places && overflow.movesPositions()) {
      throw CliException.usage(
          NAME
              + ": "
              + sparse.describe()
              + " are places in the text, and --overflow "
              + overflow.describe()
              + " moves it; take local:WINDOW, dilated, strided, longformer:WINDOW or pages");
    }
  }

  /** Says when pages are never chosen because too many tokens are computed at once. */
  static void warnUnused(Io io, ContextOptions context) {
    if (context.sparseAttention() instanceof SparseAttention.Pages pages
        && context.microBatchTokens() > pages.mostTokens()) {
      io.note(
          NAME
              + " pages are chosen where at most "
              + pages.mostTokens()
              + " tokens are computed at once, and -ub is "
              + context.microBatchTokens()
              + ": reading meets all keys; -ub "
              + pages.mostTokens()
              + " measures the choice");
    }
  }

  /** Says what a static pattern does to a model that was not trained with it. */
  static void warn(Io io, SparseAttention sparse) {
    if (sparse.isStatic()) {
      io.note(
          sparse.describe()
              + ": a model that was not trained with this pattern reads worse under it, often much"
              + " worse");
    }
  }
}
