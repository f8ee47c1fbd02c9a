package dev.gatun.rope;

/**
 * Dynamic NTK-aware scaling, evaluated once at a length. The scaling that follows a growing text is
 * {@link Dynamic}.
 *
 * @param form whose formula
 * @param factor the configuration's factor, at least 1; exactly 1 in the paper's form, which has
 *     none
 * @param tokens length in tokens at which the formula is evaluated, at most the trained length
 *     changes nothing; 0 in vLLM's form, which takes factor × trained length
 */
public record DynamicNtk(Form form, double factor, int tokens) implements StaticScaling {
  /** Whose formula of dynamic NTK. */
  public enum Form {
    /**
     * {@code s = max(1, l/L)} in NTK-aware scaling. Source: Peng et al., "YaRN", 2023, section 3.3.
     */
    PAPER,
    /**
     * {@code b·(f·l/L - (f-1))^(d/(d-2))}. Source: Hugging Face transformers, {@code
     * modeling_rope_utils}, "dynamic".
     */
    HUGGING_FACE,
    /** Hugging Face's formula at {@code l = f·L}. Source: vLLM, "dynamic". */
    VLLM
  }

  /** Checks the numbers. */
  public DynamicNtk {
    Checks.factor(factor);
    if (form == Form.PAPER && factor != 1) {
      throw new IllegalArgumentException(
          "the paper's dynamic NTK has no factor: it must be 1, but is " + factor);
    }
    if (form == Form.VLLM ? tokens != 0 : tokens < 1) {
      throw new IllegalArgumentException(
          form == Form.VLLM
              ? "vLLM's dynamic NTK has no length: it must be 0, but is " + tokens
              : "the length must be at least 1 token, but is " + tokens);
    }
  }

  /**
   * Returns the paper's form.
   *
   * @param tokens length in tokens
   */
  public static DynamicNtk paper(int tokens) {
    return new DynamicNtk(Form.PAPER, 1, tokens);
  }

  /**
   * Returns Hugging Face's form.
   *
   * @param factor the configuration's factor
   * @param tokens length in tokens
   */
  public static DynamicNtk huggingFace(double factor, int tokens) {
    return new DynamicNtk(Form.HUGGING_FACE, factor, tokens);
  }

  /**
   * Returns vLLM's form.
   *
   * @param factor the configuration's factor
   */
  public static DynamicNtk vllm(double factor) {
    return new DynamicNtk(Form.VLLM, factor, 0);
  }

  /**
   * Returns the factor that NTK-aware scaling needs to do the same: with a factor f at f times the
   * trained length, Hugging Face's is {@code f² - f + 1}.
   */
  public double effectiveFactor(RopeBasis basis) {
    double ratio =
        form == Form.VLLM ? factor : Math.max(1, (double) tokens / basis.trainedTokens());
    return factor * ratio - (factor - 1);
  }

  /** Returns the base that stands for this scaling on a model. */
  public double stretchedBase(RopeBasis basis) {
    return NtkAware.stretchedBase(basis, effectiveFactor(basis));
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    return NtkAware.rotation(basis, effectiveFactor(basis));
  }

  @Override
  public String describe() {
    return switch (form) {
      case PAPER -> "dynamic NTK at " + tokens + " tokens";
      case HUGGING_FACE ->
          "Hugging Face's dynamic NTK with factor %s at %d tokens"
              .formatted(Checks.shown(factor), tokens);
      case VLLM -> "vLLM's dynamic NTK with factor " + Checks.shown(factor);
    };
  }
}
