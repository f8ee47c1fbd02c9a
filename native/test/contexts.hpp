// Contexts with settings, and texts for them.
#pragma once

#include "check.hpp"

#include "llama.h"

#include <cmath>

namespace gatun_test {

struct rope_holder {
    gatun_rope * rope = nullptr;

    explicit rope_holder(gatun_rope_params params) {
        message err;
        if (gatun_rope_new(&params, &rope, err.text, sizeof(err.text)) != GATUN_OK) {
            throw failure(err.text);
        }
    }

    ~rope_holder() { gatun_rope_free(rope); }
    rope_holder(const rope_holder &) = delete;
    rope_holder & operator=(const rope_holder &) = delete;
};

inline gatun_rope_params plain() {
    gatun_rope_params params = {};
    params.attention_factor = 1;
    params.factor = 1;
    return params;
}

inline std::vector<llama_token> prompt(int32_t length) {
    std::vector<llama_token> tokens;
    for (int32_t i = 0; i < length; i++) {
        tokens.push_back(i == 0 ? 1 : 10 + i * 37 % 400);
    }
    return tokens;
}

inline std::vector<float> logits(const llama_context * ctx) {
    const int32_t n = llama_vocab_n_tokens(llama_model_get_vocab(tiny_model()));
    const float * row = llama_get_logits_ith(const_cast<llama_context *>(ctx), -1);
    return {row, row + n};
}

inline double distance(const std::vector<float> & a, const std::vector<float> & b) {
    double most = 0;
    for (size_t i = 0; i < a.size(); i++) {
        most = std::max(most, static_cast<double>(std::fabs(a[i] - b[i])));
    }
    return most;
}

inline std::vector<float> after(context_holder & context, const std::vector<llama_token> & tokens) {
    message err;
    CHECK_EQUAL(context.decode(tokens, err), 0);
    return logits(context.ctx);
}

// A context of one thread whose settings a case may change first.
inline llama_context_params settings(uint32_t n_ctx, uint32_t n_seq_max = 1) {
    llama_context_params params;
    gatun_context_default_params(&params);
    params.n_ctx = n_ctx;
    params.n_batch = n_ctx;
    params.n_seq_max = n_seq_max;
    params.n_threads = params.n_threads_batch = 1; // threads that wait spin: slow on a busy machine
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    return params;
}

// The same with one pool of cells for all sequences.
inline llama_context_params unified(uint32_t n_ctx, uint32_t n_seq_max) {
    llama_context_params params = settings(n_ctx, n_seq_max);
    params.kv_unified = true;
    return params;
}

// Decodes tokens of one sequence from a position on.
inline int32_t decode_at(llama_context * ctx, llama_seq_id seq, llama_pos first, const std::vector<llama_token> & tokens,
                         message & err) {
    llama_batch batch = llama_batch_init(static_cast<int32_t>(tokens.size()), 0, 1);
    batch.n_tokens = static_cast<int32_t>(tokens.size());
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        batch.token[i] = tokens[static_cast<size_t>(i)];
        batch.pos[i] = first + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = seq;
        batch.logits[i] = i == batch.n_tokens - 1;
    }
    const int32_t status = gatun_decode(ctx, &batch, err.text, sizeof(err.text));
    llama_batch_free(batch);
    return status;
}

inline std::vector<int32_t> positions(llama_context * ctx, llama_seq_id seq) {
    message err;
    size_t count = 0;
    CHECK_OK(gatun_cells_positions(ctx, seq, 0, -1, nullptr, 0, &count, err.text, sizeof(err.text)), err);
    std::vector<int32_t> all(count);
    CHECK_OK(gatun_cells_positions(ctx, seq, 0, -1, all.data(), all.size(), &count, err.text, sizeof(err.text)), err);
    return all;
}

inline std::vector<uint8_t> rows(llama_context * ctx, llama_seq_id seq, llama_pos p0 = 0, llama_pos p1 = -1) {
    message err;
    size_t count = 0;
    CHECK_OK(gatun_cells_positions(ctx, seq, p0, p1, nullptr, 0, &count, err.text, sizeof(err.text)), err);
    size_t size = 0;
    CHECK_OK(gatun_cells_bytes(ctx, count, &size, err.text, sizeof(err.text)), err);
    std::vector<uint8_t> bytes(size);
    size_t written = 0;
    CHECK_OK(gatun_cells_read(ctx, seq, p0, p1, bytes.data(), size, &written, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(written, size);
    return bytes;
}

} // namespace gatun_test
