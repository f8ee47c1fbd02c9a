package dev.gatun.rope;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.DoubleFunction;

/**
 * A position scaling in one word of text, such as {@code yarn:8} or {@code rerope:64,logn=off}. A
 * factor that is left out follows from the length of the context.
 *
 * <p>Immutable; any thread. The grammar is in {@link #usage()}.
 */
public final class RopeSpec {
  private static final List<String> FORMS =
      List.of(
          "auto",
          "auto-fast",
          "none",
          "model",
          "linear[:FACTOR]",
          "ntk[:FACTOR]",
          "ntk-fixed[:FACTOR]",
          "dynamic[:yarn|ntk|linear|auto]",
          "dynamic-hf[:FACTOR]",
          "by-parts[:FACTOR]",
          "by-parts-paper[:FACTOR]",
          "yarn[:FACTOR]",
          "llama3[:FACTOR]",
          "self-extend[:GROUP]",
          "rerope[:WINDOW]",
          "leaky-rerope[:FACTOR]",
          "dual-chunk[:CHUNK/LOCAL]",
          "table:FILE",
          "hf:FILE",
          "{\"rope_type\":...}");

  private final String name;
  private final boolean followsLength;
  private final DoubleFunction<RopeScaling> scaling;

  private RopeSpec(String name, boolean followsLength, DoubleFunction<RopeScaling> scaling) {
    this.name = name;
    this.followsLength = followsLength;
    this.scaling = scaling;
  }

  /**
   * Reads a spec. {@code table:} and {@code hf:} read a file.
   *
   * @param text the spec
   * @throws IllegalArgumentException if it is not one; the message lists what there is
   */
  public static RopeSpec parse(String text) {
    if (text.stripLeading().startsWith("{")) {
      return fixed("hf", HuggingFaceRope.parse(text));
    }
    if (text.startsWith("hf:")) {
      return fixed("hf", HuggingFaceRope.parse(read(text.substring(3))));
    }
    if (text.startsWith("table:")) {
      return fixed("table", table(text.substring(6)));
    }
    return new RopeSpecReader(text).read();
  }

  static RopeSpec fixed(String name, RopeScaling scaling) {
    return new RopeSpec(name, false, _ -> scaling);
  }

  /** Makes a spec whose factor is the ratio that it is asked for; checked at once. */
  static RopeSpec following(String name, DoubleFunction<RopeScaling> scaling) {
    Objects.requireNonNull(scaling.apply(1));
    return new RopeSpec(name, true, scaling);
  }

  /** Returns what can be written, one form a line. */
  public static String usage() {
    return String.join("\n", FORMS)
        + "\n\nafter a comma: logn=on|off and window=TOKENS (two-band methods); original=TOKENS (by-parts, yarn, llama3); fast=N, slow=N and truncate=on|off (by-parts, yarn); temperature=on|off|FACTOR (yarn)";
  }

  /** Returns the forms that can be written, for a message. */
  static String forms() {
    return String.join(", ", FORMS);
  }

  /** Returns the method's name as it is written. */
  public String name() {
    return name;
  }

  /** Returns whether the factor was left out and follows from the length of the context. */
  public boolean followsLength() {
    return followsLength;
  }

  /**
   * Returns the scaling for a context.
   *
   * @param ratio length of the context over the trained length
   * @return the scaling; the model's own where the factor was left out and the context fits into
   *     the trained length
   */
  public RopeScaling at(double ratio) {
    if (!followsLength) {
      return scaling.apply(1);
    }
    return ratio > 1 ? scaling.apply(ratio) : RopeScaling.modelDefault();
  }

  @Override
  public String toString() {
    return name;
  }

  /** A table with the model that it was made for, where the file says so. */
  private static StaticScaling table(String file) {
    try {
      RopePreset preset = RopePreset.read(Path.of(file));
      return preset.model().isPresent() ? preset : preset.table();
    } catch (UncheckedIOException | InvalidPathException e) {
      throw new IllegalArgumentException("cannot read the file '" + file + "': " + e, e);
    }
  }

  private static String read(String file) {
    try {
      return Files.readString(Path.of(file), StandardCharsets.UTF_8);
    } catch (IOException | InvalidPathException e) {
      throw new IllegalArgumentException("cannot read the file '" + file + "': " + e, e);
    }
  }
}
