package dev.gatun.gguf;

import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.gguf.SyntheticModel.Shape;
import java.util.Arrays;

/** The random tensors of a {@link SyntheticModel}. */
final class SyntheticTensors {
  static final int STATE_SIZE = 16;
  static final int CONVOLUTION = 4;
  static final int EXPERTS = 4;
  static final int GROUPS = 1;

  private static final double EMBEDDING_DEVIATION = 0.06;
  private static final double BIAS_DEVIATION = 0.1;

  private final Shape shape;
  private final long seed;
  private final GgufWriter writer;

  private SyntheticTensors(Shape shape, long seed, GgufWriter writer) {
    this.shape = shape;
    this.seed = seed;
    this.writer = writer;
  }

  static void add(Shape shape, long seed, GgufWriter writer) {
    new SyntheticTensors(shape, seed, writer).tensors();
  }

  /** Returns the elements inside a recurrent layer. */
  static long inner(Shape shape) {
    return 2L * shape.width();
  }

  static long timeStepRank(Shape shape) {
    return Math.max(1, shape.width() / 16);
  }

  /** Returns the elements of the compressed keys and values of a {@link Family#DEEPSEEK2}. */
  static int rank(Shape shape) {
    return Math.max(32, shape.width() / 2);
  }

  /** Returns the rotated elements beside them. */
  static int rotated(Shape shape) {
    return shape.headSize();
  }

  private void tensors() {
    long width = shape.width();
    long vocabulary = shape.vocabulary();
    random("token_embd.weight", shape.embedding(), EMBEDDING_DEVIATION, width, vocabulary);
    constant("output_norm.weight", 1, width);
    if (!shape.tied()) {
      random("output.weight", shape.embedding(), EMBEDDING_DEVIATION, width, vocabulary);
    }
    for (int i = 0; i < shape.layers(); i++) {
      String layer = "blk." + i + ".";
      constant(layer + "attn_norm.weight", 1, width);
      if (shape.family() == Family.MAMBA2) {
        groupedRecurrentLayer(layer);
      } else if (shape.recurrent(i)) {
        recurrentLayer(layer);
      } else if (shape.family() == Family.DEEPSEEK2) {
        compressedAttentionLayer(layer);
      } else {
        attentionLayer(layer);
      }
      if (shape.family().hasAttention()) {
        feedForward(layer, i);
      }
    }
  }

  private void attentionLayer(String layer) {
    long width = shape.width();
    long kvWidth = shape.kvWidth();
    matrix(layer + "attn_q.weight", width, width);
    matrix(layer + "attn_k.weight", width, kvWidth);
    matrix(layer + "attn_v.weight", width, kvWidth);
    matrix(layer + "attn_output.weight", width, width);
    if (shape.family() == Family.QWEN2) {
      random(layer + "attn_q.bias", GgmlType.F32, BIAS_DEVIATION, width);
      random(layer + "attn_k.bias", GgmlType.F32, BIAS_DEVIATION, kvWidth);
      random(layer + "attn_v.bias", GgmlType.F32, BIAS_DEVIATION, kvWidth);
    }
    if (shape.family() == Family.GEMMA3) {
      constant(layer + "attn_q_norm.weight", 1, shape.headSize());
      constant(layer + "attn_k_norm.weight", 1, shape.headSize());
      constant(layer + "post_attention_norm.weight", 1, width);
      constant(layer + "post_ffw_norm.weight", 1, width);
    }
  }

  private void compressedAttentionLayer(String layer) {
    long width = shape.width();
    long heads = shape.heads();
    long rank = rank(shape);
    long rotated = rotated(shape); // as many of a key are not rotated, and of a value there are
    matrix(layer + "attn_q_a.weight", width, rank);
    constant(layer + "attn_q_a_norm.weight", 1, rank);
    matrix(layer + "attn_q_b.weight", rank, heads * 2 * rotated);
    matrix(layer + "attn_kv_a_mqa.weight", width, rank + rotated);
    constant(layer + "attn_kv_a_norm.weight", 1, rank);
    matrix(layer + "attn_k_b.weight", rotated, rank, heads);
    matrix(layer + "attn_v_b.weight", rank, rotated, heads);
    matrix(layer + "attn_output.weight", heads * rotated, width);
  }

  private void feedForward(String layer, int index) {
    long width = shape.width();
    constant(layer + "ffn_norm.weight", 1, width);
    if (shape.family() == Family.LLAMA_MOE) {
      experts(layer, shape.feedForward());
    } else if (shape.family() == Family.DEEPSEEK2 && index > 0) {
      experts(layer, shape.feedForward() / 2);
      feedForwardPart(layer, "_shexp", shape.feedForward() / 2);
    } else {
      feedForwardPart(layer, "", shape.feedForward());
    }
  }

  private void feedForwardPart(String layer, String suffix, long inner) {
    long width = shape.width();
    matrix(layer + "ffn_gate" + suffix + ".weight", width, inner);
    matrix(layer + "ffn_up" + suffix + ".weight", width, inner);
    matrix(layer + "ffn_down" + suffix + ".weight", inner, width);
  }

  private void experts(String layer, long inner) {
    long width = shape.width();
    long experts = EXPERTS;
    random(layer + "ffn_gate_inp.weight", GgmlType.F32, 1 / Math.sqrt(width), width, experts);
    matrix(layer + "ffn_gate_exps.weight", width, inner, experts);
    matrix(layer + "ffn_up_exps.weight", width, inner, experts);
    matrix(layer + "ffn_down_exps.weight", inner, width, experts);
  }

  private void groupedRecurrentLayer(String layer) {
    long width = shape.width();
    long inner = inner(shape);
    long heads = timeStepRank(shape);
    long convolved = inner + 2L * GROUPS * STATE_SIZE;
    matrix(layer + "ssm_in.weight", width, inner + convolved + heads);
    random(layer + "ssm_conv1d.weight", GgmlType.F32, 0.5, CONVOLUTION, convolved);
    random(layer + "ssm_conv1d.bias", GgmlType.F32, BIAS_DEVIATION, convolved);
    constant(layer + "ssm_dt.bias", -2, heads);
    tensor(layer + "ssm_a", GgmlType.F32, RandomWeights.ramp(-1, -1, 1, heads), 1, heads);
    tensor(layer + "ssm_d", GgmlType.F32, RandomWeights.ramp(1, 0, 1, heads), 1, heads);
    tensor(
        layer + "ssm_norm.weight",
        GgmlType.F32,
        RandomWeights.ramp(1, 0, inner / GROUPS, GROUPS),
        inner / GROUPS,
        GROUPS);
    matrix(layer + "ssm_out.weight", inner, width);
  }

  private void recurrentLayer(String layer) {
    long width = shape.width();
    long inner = inner(shape);
    long rank = timeStepRank(shape);
    matrix(layer + "ssm_in.weight", width, 2 * inner);
    random(layer + "ssm_conv1d.weight", GgmlType.F32, 0.5, CONVOLUTION, inner);
    random(layer + "ssm_conv1d.bias", GgmlType.F32, BIAS_DEVIATION, inner);
    random(
        layer + "ssm_x.weight", GgmlType.F16, 1 / Math.sqrt(inner), inner, rank + 2 * STATE_SIZE);
    random(layer + "ssm_dt.weight", GgmlType.F16, 1 / Math.sqrt(rank), rank, inner);
    constant(layer + "ssm_dt.bias", -2, inner);
    // The decay of each state element: minus its rank, as in a trained model's start.
    tensor(
        layer + "ssm_a",
        GgmlType.F32,
        RandomWeights.ramp(-1, -1, STATE_SIZE, inner),
        STATE_SIZE,
        inner);
    constant(layer + "ssm_d", 1, inner);
    matrix(layer + "ssm_out.weight", inner, width);
    if (shape.family() == Family.JAMBA) {
      constant(layer + "ssm_dt_norm.weight", 1, rank);
      constant(layer + "ssm_b_norm.weight", 1, STATE_SIZE);
      constant(layer + "ssm_c_norm.weight", 1, STATE_SIZE);
    }
  }

  private void matrix(String name, long... dimensions) {
    random(name, shape.matrices(), 1 / Math.sqrt(dimensions[0]), dimensions);
  }

  private void random(String name, GgmlType type, double deviation, long... dimensions) {
    long elements = Arrays.stream(dimensions).reduce(1, Math::multiplyExact);
    long tensorSeed = seed * 31 + name.hashCode();
    tensor(name, type, RandomWeights.of(type, elements, deviation, tensorSeed), dimensions);
  }

  private void constant(String name, float value, long size) {
    tensor(name, GgmlType.F32, RandomWeights.ramp(value, 0, size, 1), size);
  }

  private void tensor(String name, GgmlType type, GgufWriter.TensorData data, long... dimensions) {
    writer.tensor(name, type, Arrays.stream(dimensions).boxed().toList(), data);
  }
}
