package dev.gatun.gguf;

import java.util.OptionalLong;

/**
 * Refuses layers that lack a tensor which native code takes for granted although it loads without
 * it. A tensor that native code asks for is left to it.
 */
final class TensorPresenceCheck {
  private static final String LAYER = "blk.";

  private static final int QKV = 1;
  private static final int Q = 1 << 1;
  private static final int K = 1 << 2;
  private static final int V = 1 << 3;
  private static final int GATE = 1 << 4;
  private static final int UP = 1 << 5;
  private static final int DOWN = 1 << 6;
  private static final int SHARED_UP = 1 << 7;
  private static final int SHARED_DOWN = 1 << 8;
  private static final int EXPERTS_UP = 1 << 9;
  private static final int EXPERTS_GATE_UP = 1 << 10;
  private static final int EXPERTS_DOWN = 1 << 11;
  private static final int ROUTER = 1 << 12;
  private static final int RECURRENT_IN = 1 << 13;
  private static final int CONVOLUTION = 1 << 14;
  private static final int LERP_FUSED = 1 << 15;
  private static final int LERP_W = 1 << 16;
  private static final int LERP_K = 1 << 17;
  private static final int LERP_V = 1 << 18;
  private static final int LERP_R = 1 << 19;
  private static final int LERP_G = 1 << 20;
  private static final int MIX_G1 = 1 << 21;
  private static final int MIX_G2 = 1 << 22;
  private static final int MIX_NORM = 1 << 23;
  private static final int MIX_NORM_BIAS = 1 << 24;
  private static final int LERP_ALL = LERP_W | LERP_K | LERP_V | LERP_R | LERP_G;

  private final ModelFileCheck file;
  private final int[] there;

  private TensorPresenceCheck(ModelFileCheck file, int layers) {
    this.file = file;
    this.there = new int[layers];
  }

  static void check(ModelFileCheck file) {
    OptionalLong layers = file.uint32(file.key("block_count"));
    if (layers.isEmpty()) {
      return;
    }
    String extra = file.key("nextn_predict_layers");
    if (file.uint32(extra).orElse(0) > 0
        && file.file().tensor("blk.0.attn_norm.weight").isEmpty()) {
      throw file.refusal(
          "the file holds only the layers that predict more tokens", "the others are needed");
    }
    TensorPresenceCheck check = new TensorPresenceCheck(file, (int) layers.getAsLong());
    for (GgufTensor tensor : file.file().tensors()) {
      check.note(tensor.name());
    }
    for (int i = 0; i < check.there.length; i++) {
      check.layer(i);
    }
  }

  private void note(String name) {
    int dot = name.indexOf('.', LAYER.length());
    if (!name.startsWith(LAYER) || dot < 0 || dot - LAYER.length() > 3) {
      return;
    }
    int layer = 0;
    for (int i = LAYER.length(); i < dot; i++) {
      layer = layer * 10 + Character.digit(name.charAt(i), 10);
    }
    if (layer >= 0 && layer < there.length) {
      there[layer] |= bit(name.substring(dot + 1));
    }
  }

  private static int bit(String name) {
    return switch (name) {
      case "attn_qkv.weight" -> QKV;
      case "attn_q.weight" -> Q;
      case "attn_k.weight" -> K;
      case "attn_v.weight" -> V;
      case "attn_gate.weight" -> GATE;
      case "ffn_up.weight" -> UP;
      case "ffn_down.weight" -> DOWN;
      case "ffn_up_shexp.weight" -> SHARED_UP;
      case "ffn_down_shexp.weight" -> SHARED_DOWN;
      case "ffn_up_exps.weight" -> EXPERTS_UP;
      case "ffn_gate_up_exps.weight" -> EXPERTS_GATE_UP;
      case "ffn_down_exps.weight" -> EXPERTS_DOWN;
      case "ffn_gate_inp.weight" -> ROUTER;
      case "ssm_in.weight" -> RECURRENT_IN;
      case "ssm_conv1d.weight" -> CONVOLUTION;
      case "time_mix_lerp_fused.weight" -> LERP_FUSED;
      case "time_mix_lerp_w.weight" -> LERP_W;
      case "time_mix_lerp_k.weight" -> LERP_K;
      case "time_mix_lerp_v.weight" -> LERP_V;
      case "time_mix_lerp_r.weight" -> LERP_R;
      case "time_mix_lerp_g.weight" -> LERP_G;
      case "time_mix_g1.weight" -> MIX_G1;
      case "time_mix_g2.weight" -> MIX_G2;
      case "time_mix_ln.weight" -> MIX_NORM;
      case "time_mix_ln.bias" -> MIX_NORM_BIAS;
      default -> 0;
    };
  }

  private void layer(int layer) {
    both(layer, UP, DOWN, "ffn_up and ffn_down");
    both(layer, SHARED_UP, SHARED_DOWN, "ffn_up_shexp and ffn_down_shexp");
    both(layer, ROUTER, EXPERTS_DOWN, "ffn_gate_inp and ffn_down_exps");
    if (has(layer, EXPERTS_DOWN)) {
      require(
          layer, has(layer, EXPERTS_UP) || has(layer, EXPERTS_GATE_UP), "an ffn_up_exps tensor");
    }
    switch (file.architecture()) {
      case "phi3", "pockettts" ->
          require(layer, has(layer, QKV) || has(layer, Q | K | V), "attn_q, attn_k and attn_v");
      case "hy_v3", "mimo2" ->
          require(layer, has(layer, DOWN) || has(layer, EXPERTS_DOWN), "a feed-forward part");
      case "qwen35", "qwen35moe" ->
          require(
              layer,
              !has(layer, CONVOLUTION) || has(layer, QKV | GATE),
              "attn_qkv and attn_gate beside ssm_conv1d");
      case "qwen3next" ->
          require(
              layer,
              !has(layer, CONVOLUTION) || has(layer, QKV | GATE) || has(layer, RECURRENT_IN),
              "attn_qkv and attn_gate, or ssm_in, beside ssm_conv1d");
      case "rwkv6", "rwkv6qwen2" ->
          require(
              layer, has(layer, LERP_FUSED) || has(layer, LERP_ALL), "all time_mix_lerp tensors");
      case "arwkv7", "rwkv7" -> {
        both(layer, MIX_G1, MIX_G2, "time_mix_g1 and time_mix_g2");
        both(layer, MIX_NORM, MIX_NORM_BIAS, "time_mix_ln.weight and time_mix_ln.bias");
      }
      default -> {}
    }
  }

  private boolean has(int layer, int bits) {
    return (there[layer] & bits) == bits;
  }

  private void both(int layer, int first, int second, String names) {
    if (has(layer, first) != has(layer, second)) {
      require(layer, false, "both " + names);
    }
  }

  private void require(int layer, boolean met, String what) {
    if (!met) {
      throw file.refusal("layer " + layer + " is incomplete", "it must have " + what);
    }
  }
}
