package dev.gatun.rope;

/**
 * A scaling that replaces the rotation's frequencies once and for all: a table of inverse
 * frequencies and a factor on the attention.
 *
 * <p>It is computed from the model's plain frequencies {@code base^(-2i/d)}, not from what the file
 * makes of them: on a file that is already scaled it replaces that scaling, and it must say so by
 * stating the original length ({@link #replacesFileScaling}).
 */
public sealed interface StaticScaling extends RopeScaling
    permits Linear,
        NtkAware,
        NtkFixed,
        DynamicNtk,
        NtkByParts,
        Yarn,
        LongRope,
        Llama3,
        FactorTable,
        RopePreset {

  /**
   * Returns the table for a model.
   *
   * @throws IllegalArgumentException if the scaling does not fit the model, such as a table of
   *     another length
   */
  Rotation rotation(RopeBasis basis);

  /**
   * Returns whether this is a whole scaling that takes the place of the file's own: it states the
   * length from which it starts, or every frequency.
   */
  default boolean replacesFileScaling() {
    return false;
  }
}
