package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;

/** Refuses element types with which llama.cpp has no way to compute. */
final class TensorTypeCheck {
  /** Ends of names of tensors that are added, multiplied or convolved: F32 in every model. */
  private static final String[] PLAIN_ENDS = {
    "norm.weight",
    "norm_1.weight",
    "norm_2.weight",
    "norm_shared.weight",
    "norm_exps.weight",
    "norm1.weight",
    "norm2.weight",
    ".bias",
    ".scale",
    "_scale.weight",
    "token_types.weight",
    "ssm_a",
    "ssm_d",
    "ssm_conv1d.weight",
    "ssm_conv1d_q.weight",
    "ssm_conv1d_k.weight",
    "ssm_conv1d_v.weight",
    "shortconv.conv.weight",
    "attn_sinks",
    "attn_sinks.weight",
    "rope_freqs.weight",
    "rope_factors_long.weight",
    "rope_factors_short.weight",
    "time_mix_first.weight",
    "time_mix_decay.weight",
    "time_mix_ln.weight",
    "time_mix_w0.weight",
    "time_mix_a0.weight",
    "time_mix_v0.weight",
    "time_mix_k_k.weight",
    "time_mix_k_a.weight",
    "time_mix_r_k.weight",
    "gamma.weight"
  };

  private TensorTypeCheck() {}

  static void check(ModelFileCheck file) {
    for (GgufTensor tensor : file.file().tensors()) {
      String name = tensor.name();
      switch (tensor.type()) {
        case F32 -> {}
        case I32, I64 -> {
          if (!name.contains("tid2eid") && !name.contains("d2t") && !name.contains("ordering")) {
            throw fault(file, tensor, "is a table of whole numbers in no model");
          }
        }
        case I8, I16, F64, Q8_1, Q8_K ->
            throw fault(file, tensor, "cannot be computed with as this type");
        default -> {
          boolean vector = tensor.elements() == tensor.dimension(0) && !name.contains("gate_inp");
          if (vector || isPlain(name)) {
            throw fault(file, tensor, "must be of type F32");
          }
        }
      }
    }
  }

  // A regular expression would do, but compiling it is felt when a program starts.
  private static boolean isPlain(String name) {
    for (String end : PLAIN_ENDS) {
      if (name.endsWith(end)) {
        return true;
      }
    }
    return name.contains("_mix_lerp_") || name.contains("ffn_act");
  }

  private static GgufFormatException fault(ModelFileCheck file, GgufTensor tensor, String must) {
    return file.refusal("tensor '" + tensor.name() + "' is of type " + tensor.type(), "it " + must);
  }
}
