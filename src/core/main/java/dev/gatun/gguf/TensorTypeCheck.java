package dev.gatun.gguf;

import java.util.regex.Pattern;

/** Refuses element types with which llama.cpp has no way to compute. */
final class TensorTypeCheck {
  /** Tensors that are added, multiplied element by element or convolved: F32 in every model. */
  private static final Pattern PLAIN =
      Pattern.compile(
          "(.*[._])?"
              + "(norm(_[a-z0-9]+)?\\.weight|norm|bias|scale|ssm_a|ssm_d|ssm_conv1d(_[qkv])?\\.weight"
              + "|shortconv\\.conv\\.weight|attn_sinks(\\.weight)?|rope_freqs(\\.weight)?"
              + "|rope_factors_(long|short)\\.weight|time_mix_(lerp_.*|first|decay|ln|w0|a0|v0|k_k"
              + "|k_a|r_k)\\.weight|channel_mix_lerp_[kr]\\.weight|layer_output_scale\\.weight"
              + "|exp_probs_b(\\.bias)?|gamma\\.weight|ffn_act(\\..*)?)");

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
          if (vector || PLAIN.matcher(name).matches()) {
            throw fault(file, tensor, "must be of type F32");
          }
        }
      }
    }
  }

  private static dev.gatun.error.GgufFormatException fault(
      ModelFileCheck file, GgufTensor tensor, String must) {
    return file.refusal("tensor '" + tensor.name() + "' is of type " + tensor.type(), "it " + must);
  }
}
