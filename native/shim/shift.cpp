// Shifts of cached positions that are whole when they return.
#include "rope.hpp"

#include "llama-context.h"
#include "llama-kv-cache-iswa.h"
#include "llama-kv-cache.h"
#include "llama-memory-hybrid-iswa.h"
#include "llama-memory-hybrid.h"

#include <algorithm>
#include <limits>

using gatun::fail;
using gatun::guarded;
using gatun::require;

namespace {

// The caches whose cells a shift moves.
std::vector<const llama_kv_cache *> shifted_caches(llama_memory_i * memory) {
    if (auto * both = dynamic_cast<llama_memory_hybrid_iswa *>(memory)) {
        memory = both->get_mem_attn();
    } else if (auto * hybrid = dynamic_cast<llama_memory_hybrid *>(memory)) {
        memory = hybrid->get_mem_attn();
    }
    if (const auto * iswa = dynamic_cast<llama_kv_cache_iswa *>(memory)) {
        return {iswa->get_base(), iswa->get_swa()};
    }
    const auto * cache = dynamic_cast<const llama_kv_cache *>(memory);
    return cache != nullptr ? std::vector<const llama_kv_cache *>{cache} : std::vector<const llama_kv_cache *>{};
}

// Runs a change of positions and turns the cached keys at once, so that nobody sees one without the other.
template <class Change>
void shift(llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, Change && change) {
    llama_memory_i * memory = ctx->get_memory();
    require(memory != nullptr, "the context keeps no memory of a sequence");
    require(memory->get_can_shift(), "the memory of this model cannot be shifted");
    gatun_rope * rope = gatun::rope_of(ctx);
    require(rope != nullptr || ctx->get_cparams().yarn_ext_factor == 0,
            "a context with YaRN's own parameters is shifted only when it was made with a gatun_rope");
    const std::vector<const llama_kv_cache *> caches = shifted_caches(memory);
    for (const llama_kv_cache * cache : caches) {
        const auto & cells = cache->get_cells(seq);
        for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
            if (!cells.is_empty(i) && cells.seq_has(i, seq) && cells.pos_in(i, p0, p1) && cells.seq_count(i) > 1) {
                gatun::refuse("cells of sequence " + std::to_string(seq) +
                              " are shared with another sequence, which a shift would move too");
            }
        }
    }
    change(memory);
    if (rope != nullptr) {
        // A context that only restored a state has not told its scheduler of the callback yet.
        ggml_backend_sched_set_eval_callback(ctx->get_sched(), gatun_rope::on_node, rope);
        const gatun_rope::shift_scope scope(*rope);
        ctx->memory_update(false);
        rope->invalidate_pages();
        if (!rope->problem.empty()) {
            fail(rope->problem);
        }
    } else {
        ctx->memory_update(false);
    }
    if (std::any_of(caches.begin(), caches.end(), [](const llama_kv_cache * cache) { return cache->get_has_shift(); })) {
        fail("the cached keys could not be turned");
    }
}

} // namespace

int32_t gatun_memory_shift(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, llama_pos delta,
                           char * err, size_t err_cap) {
    return guarded("gatun_memory_shift", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr && seq >= 0 && static_cast<uint32_t>(seq) < llama_n_seq_max(ctx), "no such sequence");
        shift(ctx, seq, p0, p1 < 0 ? std::numeric_limits<llama_pos>::max() : p1,
              [&](llama_memory_i * memory) { memory->seq_add(seq, p0, p1, delta); });
        return GATUN_OK;
    });
}

int32_t gatun_memory_discard(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, char * err,
                             size_t err_cap) {
    return guarded("gatun_memory_discard", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr && seq >= 0 && static_cast<uint32_t>(seq) < llama_n_seq_max(ctx), "no such sequence");
        require(p0 >= 0 && p1 > p0, "p1 must lie behind p0");
        shift(ctx, seq, p1, std::numeric_limits<llama_pos>::max(), [&](llama_memory_i * memory) {
            if (!memory->seq_rm(seq, p0, p1)) {
                gatun::refuse("the memory of this model cannot forget a part of a sequence");
            }
            memory->seq_add(seq, p1, -1, p0 - p1);
        });
        return GATUN_OK;
    });
}

int32_t gatun_memory_divide(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, int32_t divisor,
                            char * err, size_t err_cap) {
    return guarded("gatun_memory_divide", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr && seq >= 0 && static_cast<uint32_t>(seq) < llama_n_seq_max(ctx), "no such sequence");
        require(divisor >= 1, "the divisor must be at least 1");
        shift(ctx, seq, p0, p1 < 0 ? std::numeric_limits<llama_pos>::max() : p1,
              [&](llama_memory_i * memory) { memory->seq_div(seq, p0, p1, divisor); });
        return GATUN_OK;
    });
}
