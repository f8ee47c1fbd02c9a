package dev.gatun.eval;

import dev.gatun.rope.RopePreset;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What a search found.
 *
 * @param preset the best table, with what it and the published methods reached
 * @param complete whether the search came to its end; else the best table so far, not measured on
 *     the rest of the text
 * @param time how long it took
 */
public record RopeSearchResult(RopePreset preset, boolean complete, Duration time) {
  /** Checks that all are there. */
  public RopeSearchResult {
    Objects.requireNonNull(preset, "preset");
    Objects.requireNonNull(time, "time");
  }

  /**
   * Returns the published method that foresees the rest of the text best, when it does so better
   * than the table: then the table fits nothing but the windows it was searched on, and the search
   * needs more of them or fewer evaluations. Empty when the rest was not measured.
   */
  public Optional<String> betterMethod() {
    List<RopePreset.Score> scores =
        preset.search().map(RopePreset.Search::scores).orElse(List.of()).stream()
            .filter(score -> score.heldOut().isPresent())
            .toList();
    // Of equals the table is named, which stands last.
    return scores.reversed().stream()
        .min(Comparator.comparingDouble(score -> score.heldOut().getAsDouble()))
        .map(RopePreset.Score::method)
        .filter(method -> !method.equals(RopeSearch.METHOD));
  }
}
