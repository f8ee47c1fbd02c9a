package dev.gatun;

import dev.gatun.internal.ContextParameters;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.RopeParameters;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.RopeScaling;

/** A native context that takes what sessions do not hand down: any parameters, mixed batches. */
final class RawContext implements AutoCloseable {
  private final NativeContext context;
  private final int vocabulary;

  /** One token of a batch. */
  record Entry(int token, int position, int sequence) {}

  RawContext(
      LlamaModel model,
      int tokens,
      int sequences,
      boolean unified,
      FlashAttention attention,
      RopeParameters rope) {
    vocabulary = model.vocabularySize();
    int f32 = KvCacheType.F32.ggmlType();
    context =
        new NativeContext(
            model.nativeModel(),
            new ContextParameters(
                tokens,
                512,
                512,
                sequences,
                1,
                1,
                50,
                f32,
                f32,
                attention.nativeValue(),
                rope,
                unified,
                true,
                false),
            "raw context");
  }

  /** Returns what Gatun itself would hand down. */
  static RopeParameters parameters(LlamaModel model, RopeScaling scaling, int tokens) {
    return PositionScaling.of(model, ContextOptions.defaults().withRopeScaling(scaling), tokens)
        .parameters();
  }

  /** Decodes a batch and returns the logits of every entry. */
  double[][] decode(java.util.List<Entry> entries) {
    context.guard().enter();
    try {
      for (int i = 0; i < entries.size(); i++) {
        Entry entry = entries.get(i);
        context.put(i, entry.token(), entry.position(), entry.sequence(), true);
      }
      int status = context.decode(entries.size());
      if (status != 0) {
        throw new IllegalStateException(status + ": " + context.error().message());
      }
      double[][] logits = new double[entries.size()][];
      for (int i = 0; i < logits.length; i++) {
        logits[i] = Differences.copy(context.logits(i, vocabulary));
      }
      return logits;
    } finally {
      context.guard().exit();
    }
  }

  @Override
  public void close() {
    context.close();
  }
}
