package dev.gatun.internal;

/**
 * The fields of {@code llama_context_params} that Gatun sets, in C's own terms; the others keep
 * their defaults.
 *
 * @param contextTokens {@code n_ctx}
 * @param batchTokens {@code n_batch}
 * @param microBatchTokens {@code n_ubatch}
 * @param maxSequences {@code n_seq_max}
 * @param threads {@code n_threads}
 * @param batchThreads {@code n_threads_batch}
 * @param polling 0 to 100, of the thread pools
 * @param keyType {@code type_k}
 * @param valueType {@code type_v}
 * @param flashAttention {@code flash_attn_type}
 * @param rope the position scaling
 * @param unifiedKv {@code kv_unified}
 * @param offloadKv {@code offload_kqv}
 * @param fullSlidingWindow {@code swa_full}
 */
public record ContextParameters(
    int contextTokens,
    int batchTokens,
    int microBatchTokens,
    int maxSequences,
    int threads,
    int batchThreads,
    int polling,
    int keyType,
    int valueType,
    int flashAttention,
    RopeParameters rope,
    boolean unifiedKv,
    boolean offloadKv,
    boolean fullSlidingWindow) {}
