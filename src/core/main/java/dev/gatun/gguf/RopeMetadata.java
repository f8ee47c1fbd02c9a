package dev.gatun.gguf;

import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * What a model file says about its rotary position embedding. An absent value is one the file does
 * not state.
 *
 * <p>Immutable; any thread.
 *
 * @param base frequency base; 10,000 when the file does not state it
 * @param slidingWindowBase frequency base of sliding-window layers
 * @param dimensions how many elements of each head are rotated
 * @param scalingType {@code none}, {@code linear}, {@code yarn}, {@code longrope}, or another name
 * @param scalingFactor by how much the trained length was stretched
 * @param originalContextTokens the trained length before stretching
 * @param attentionFactor factor on the attention's temperature
 * @param yarnExtensionFactor weight of YaRN's interpolation mix
 * @param yarnAttentionFactor YaRN's factor on the attention's temperature
 * @param yarnBetaFast YaRN's bound, in turns, above which a dimension is not interpolated
 * @param yarnBetaSlow YaRN's bound, in turns, below which a dimension is fully interpolated
 * @param yarnLogMultiplier multiplier of the logarithm in YaRN's attention factor
 * @param finetuned whether the file says that the model was tuned with this scaling
 */
public record RopeMetadata(
    double base,
    OptionalDouble slidingWindowBase,
    OptionalLong dimensions,
    Optional<String> scalingType,
    OptionalDouble scalingFactor,
    OptionalLong originalContextTokens,
    OptionalDouble attentionFactor,
    OptionalDouble yarnExtensionFactor,
    OptionalDouble yarnAttentionFactor,
    OptionalDouble yarnBetaFast,
    OptionalDouble yarnBetaSlow,
    OptionalDouble yarnLogMultiplier,
    boolean finetuned) {

  private static final double DEFAULT_BASE = 10_000;

  static RopeMetadata of(GgufFile file, String architecture) {
    String rope = architecture + ".rope.";
    OptionalDouble factor = file.real(rope + "scaling.factor");
    return new RopeMetadata(
        file.real(rope + "freq_base").orElse(DEFAULT_BASE),
        file.real(rope + "freq_base_swa"),
        file.uint32(rope + "dimension_count"),
        file.string(rope + "scaling.type"),
        factor.isPresent() ? factor : file.real(rope + "scale_linear"),
        file.uint32(rope + "scaling.original_context_length"),
        file.real(rope + "scaling.attn_factor"),
        file.real(rope + "scaling.yarn_ext_factor"),
        file.real(rope + "scaling.yarn_attn_factor"),
        betaOf(file, rope, "fast"),
        betaOf(file, rope, "slow"),
        file.real(rope + "scaling.yarn_log_multiplier"),
        file.bool(rope + "scaling.finetuned").orElse(false));
  }

  private static OptionalDouble betaOf(GgufFile file, String rope, String which) {
    // Upstream's key is under "scaling."; some converters write it one level higher.
    OptionalDouble beta = file.real(rope + "scaling.yarn_beta_" + which);
    return beta.isPresent() ? beta : file.real(rope + "yarn_beta_" + which);
  }
}
