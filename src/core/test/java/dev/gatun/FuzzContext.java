package dev.gatun;

import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.OverflowPolicy;
import dev.gatun.rope.Auto;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.TwoBand;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * A model and the options of a context of it, and which refusals these explain.
 *
 * @param model the model
 * @param options options of the context
 */
record FuzzContext(LlamaModel model, ContextOptions options) {

  /** Chooses by chance. */
  static FuzzContext any(List<LlamaModel> models, Random random) {
    LlamaModel model = any(random, models);
    int sequences = random.nextBoolean() ? 1 : 1 + random.nextInt(4);
    List<KvCacheType> types = List.of(KvCacheType.values());
    KvCacheType key =
        switch (random.nextInt(4)) {
          case 0 -> KvCacheType.F32;
          case 1 -> KvCacheType.F16;
          default -> any(random, types);
        };
    KvCacheType value = random.nextInt(3) > 0 ? key : any(random, types);
    FlashAttention attention = any(random, List.of(FlashAttention.values()));
    if (value.isQuantised() && attention == FlashAttention.OFF) {
      attention = FlashAttention.ON; // the options refuse it by themselves
    }
    boolean unified = random.nextBoolean();
    return new FuzzContext(
        model,
        ContextOptions.defaults()
            .withContextTokens(unified ? 256 : 256 * sequences)
            .withBatchTokens(any(random, List.of(16, 64, 512)))
            .withMicroBatchTokens(any(random, List.of(8, 64, 512)))
            .withThreads(1)
            .withBatchThreads(1)
            .withMaxSequences(sequences)
            .withUnifiedKv(unified)
            .withFullSlidingWindow(random.nextBoolean())
            .withFlashAttention(attention)
            .withKeyType(key)
            .withValueType(value)
            .withRopeScaling(scaling(Math.max(1, headSize(model) / 2), random)));
  }

  private static <T> T any(Random random, List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  private static RopeScaling scaling(int pairs, Random random) {
    return switch (random.nextInt(18)) {
      case 0 -> RopeScaling.none();
      case 1 -> RopeScaling.linear(4);
      case 2 -> RopeScaling.ntkAware(4);
      case 3 -> RopeScaling.ntkFixed(4);
      case 4 -> RopeScaling.yarn(4);
      case 5 -> RopeScaling.yarn(3).withTruncate(false);
      case 6 -> RopeScaling.llama3(4);
      case 7 -> new RopeScaling.Frequency(500, 0.5);
      case 8 -> new FactorTable(Collections.nCopies(pairs, 2.5), 1.1);
      case 9 -> RopeScaling.selfExtend();
      case 10 -> RopeScaling.rerope();
      case 11 -> RopeScaling.leakyReRope();
      case 12 -> RopeScaling.dualChunk();
      case 13 -> new Dynamic(any(random, List.of(Dynamic.Family.values())));
      case 14 -> RopeScaling.auto();
      case 15 -> RopeScaling.dualChunk().withLogN(false);
      default -> RopeScaling.modelDefault();
    };
  }

  /** A policy and a budget that work here. */
  SessionOptions sessionOptions(Random random) {
    SessionOptions defaults = SessionOptions.defaults();
    if (isDynamic() || random.nextBoolean()) {
      return random.nextInt(4) > 0 ? defaults : defaults.withBudgetTokens(20 + random.nextInt(200));
    }
    int budget = 20 + random.nextInt(100);
    OverflowPolicy policy =
        switch (random.nextInt(3)) {
          case 0 -> new OverflowPolicy.Streaming(1 + random.nextInt(4), random.nextInt(12), 150);
          case 1 -> OverflowPolicy.shift(random.nextInt(8));
          default -> OverflowPolicy.summarise(3, 5, dropped -> new int[] {7, 8, 9});
        };
    return keysCannotMove() && policy.movesPositions() || recurrent() || sliding()
        ? defaults
        : defaults.withOverflow(policy).withBudgetTokens(budget);
  }

  // ---- what explains a refusal ------------------------------------------------------------------

  private static int headSize(LlamaModel model) {
    return model.metadata().headSizeK().orElse(0);
  }

  boolean recurrent() {
    return model.isRecurrent() || model.isHybrid();
  }

  boolean sliding() {
    return model.slidingWindowTokens() > 0;
  }

  boolean isDynamic() {
    return options.ropeScaling() instanceof Dynamic;
  }

  boolean bands() {
    RopeScaling scaling = options.ropeScaling();
    boolean chosen =
        scaling instanceof Auto
            || (scaling instanceof Dynamic(Dynamic.Family family) && family == Dynamic.Family.AUTO);
    return scaling instanceof TwoBand
        || (chosen && options.flashAttention() != FlashAttention.OFF && !sliding() && !recurrent());
  }

  boolean mayBeRefused() {
    RopeScaling scaling = options.ropeScaling();
    boolean scaled =
        !(scaling instanceof RopeScaling.ModelDefault || scaling instanceof RopeScaling.None);
    return isBroken(options.keyType())
        || isBroken(options.valueType())
        || (bands() && options.flashAttention() == FlashAttention.OFF)
        || (bands() && (sliding() || recurrent()))
        || (scaled && recurrent())
        || (isDynamic() && options.maxSequences() > 1);
  }

  /** Whether a head is no whole blocks of a type. */
  private boolean isBroken(KvCacheType type) {
    return type.isQuantised() && headSize(model) % type.blockElements() != 0;
  }

  boolean keysCannotMove() {
    KvCacheType key = options.keyType();
    return recurrent()
        || (sliding() && !options.fullSlidingWindow())
        || key == KvCacheType.BF16
        || (key.isQuantised() && headSize(model) % 64 != 0);
  }
}
