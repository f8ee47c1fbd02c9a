package dev.gatun;

/** Whether the fused attention kernel is used. Source: {@code enum llama_flash_attn_type}. */
public enum FlashAttention {
  /** On where the devices support it for this model. */
  AUTO(-1),
  /** Always; a device that cannot makes context creation fail. */
  ON(1),
  /** Never. */
  OFF(0);

  private final int nativeValue;

  FlashAttention(int nativeValue) {
    this.nativeValue = nativeValue;
  }

  int nativeValue() {
    return nativeValue;
  }
}
