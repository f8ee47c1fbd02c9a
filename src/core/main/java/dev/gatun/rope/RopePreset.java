package dev.gatun.rope;

import dev.gatun.gguf.GgufFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A table of frequency factors that is kept in a file, with the model that it was made for. On a
 * model of another shape it is refused.
 *
 * <p>The file is JSON. {@code factors} is all that must be there; a table written by hand has
 * {@code attention_factor} besides, and fits every model with as many rotated pairs.
 *
 * @param table the factors
 * @param model the model that it was made for
 * @param search how it was found
 */
public record RopePreset(FactorTable table, Optional<Model> model, Optional<Search> search)
    implements StaticScaling {

  /** Relative difference of two frequency bases that are the same; a file holds a float. */
  private static final double SAME_BASE = 1e-6;

  /** Checks that the table has the model's size. */
  public RopePreset {
    Objects.requireNonNull(table, "table");
    if (model.isPresent() && model.get().dimensions() != 2 * table.factors().size()) {
      throw new IllegalArgumentException(
          "a model that rotates %d dimensions needs %d factors, but there are %d"
              .formatted(
                  model.get().dimensions(), model.get().dimensions() / 2, table.factors().size()));
    }
  }

  /**
   * The model that a table was made for.
   *
   * @param fingerprint {@link GgufFile#fingerprint()}; says which file it was, and is not compared:
   *     the same model with other weight types may use the table
   * @param architecture name of the architecture, such as {@code llama}
   * @param dimensions how many elements of a head are rotated
   * @param base frequency base
   * @param trainedTokens trained length in tokens
   */
  public record Model(
      String fingerprint, String architecture, int dimensions, double base, int trainedTokens) {
    /** Checks that the texts are there. */
    public Model {
      Objects.requireNonNull(fingerprint, "fingerprint");
      Objects.requireNonNull(architecture, "architecture");
    }

    /**
     * Reads it from a model's file.
     *
     * @throws dev.gatun.error.UnsupportedOperationForModelException if the file does not say how
     *     positions are rotated
     */
    public static Model of(GgufFile file) {
      RopeFacts facts = RopeFacts.of(file);
      RopeBasis basis = facts.basis();
      return new Model(
          file.fingerprint(),
          facts.architecture(),
          basis.dimensions(),
          basis.base(),
          basis.trainedTokens());
    }
  }

  /**
   * How a table was found.
   *
   * @param targetTokens length in tokens that it is for
   * @param text name of the text that it was searched on
   * @param seed of the random numbers
   * @param evaluations tables that were tried
   * @param scores what it and others reached
   * @param date when
   */
  public record Search(
      int targetTokens, String text, long seed, int evaluations, List<Score> scores, Instant date) {
    /** Copies the list. */
    public Search {
      Objects.requireNonNull(text, "text");
      Objects.requireNonNull(date, "date");
      scores = List.copyOf(scores);
    }
  }

  /**
   * What a method reached at the target length.
   *
   * @param method name of the method, as a {@link RopeSpec} writes it; {@code search} for the table
   *     itself
   * @param searched perplexity on the part of the text that was searched on; empty when it is not
   *     finite
   * @param heldOut perplexity on the rest of the text; empty when it was not measured or is not
   *     finite
   */
  public record Score(String method, OptionalDouble searched, OptionalDouble heldOut) {
    /** Checks that the name is there. */
    public Score {
      Objects.requireNonNull(method, "method");
    }
  }

  /**
   * Reads a file.
   *
   * @throws IllegalArgumentException if it is not a preset
   * @throws UncheckedIOException if it cannot be read
   */
  public static RopePreset read(Path file) {
    try {
      return parse(Files.readString(file, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the file '" + file + "': " + e, e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + " is no RoPE table: " + e.getMessage(), e);
    }
  }

  /**
   * Reads the content of a file.
   *
   * @throws IllegalArgumentException if it is not a preset
   */
  public static RopePreset parse(String json) {
    return PresetJson.read(json);
  }

  /**
   * Writes a file, whole or not at all; one that is there is replaced.
   *
   * @throws UncheckedIOException if it cannot be written
   */
  public void write(Path file) {
    PresetJson.write(toJson(), file);
  }

  /** Returns the content of a file. */
  public String toJson() {
    return PresetJson.text(this);
  }

  /**
   * Checks that a model has the shape of the one that the table was made for.
   *
   * @throws IllegalArgumentException if it has not
   */
  void requireModel(RopeFacts facts) {
    if (model.isPresent() && !model.get().architecture().equals(facts.architecture())) {
      throw made("for the architecture '" + model.get().architecture() + "'", facts.architecture());
    }
    requireBasis(facts.basis());
  }

  private void requireBasis(RopeBasis basis) {
    if (model.isEmpty()) {
      return;
    }
    Model made = model.get();
    if (made.dimensions() != basis.dimensions()) {
      throw made("for " + made.dimensions() + " rotated dimensions", basis.dimensions());
    }
    if (Math.abs(made.base() - basis.base()) > SAME_BASE * made.base()) {
      throw made("for the frequency base " + Checks.shown(made.base()), Checks.shown(basis.base()));
    }
    if (made.trainedTokens() != basis.trainedTokens()) {
      throw made(
          "for a trained length of " + made.trainedTokens() + " tokens", basis.trainedTokens());
    }
  }

  private static IllegalArgumentException made(String what, Object found) {
    return new IllegalArgumentException(
        "it was made %s, but this model has %s; search one for this model with `gatun rope-search`, or keep only \"factors\" and \"attention_factor\" in the file to use it all the same"
            .formatted(what, found));
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    requireBasis(basis);
    return table.rotation(basis);
  }

  @Override
  public boolean replacesFileScaling() {
    return true;
  }

  @Override
  public String describe() {
    return search
        .map(s -> "a table searched for %,d tokens".formatted(s.targetTokens()))
        .orElseGet(table::describe);
  }
}
