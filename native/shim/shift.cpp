// Shifts of cached positions that are whole when they return.
#include "cells.hpp"
#include "rope.hpp"

#include "llama-model.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

using gatun::attention_caches;
using gatun::fail;
using gatun::guarded;
using gatun::require;

void gatun::require_turnable(llama_context * ctx) {
    llama_memory_i * memory = ctx->get_memory();
    require(memory != nullptr, "the context keeps no memory of a sequence");
    require(memory->get_can_shift(), "the memory of this model cannot be shifted");
    const llama_cparams & params = ctx->get_cparams();
    require(gatun::rope_of(ctx) != nullptr || (params.yarn_ext_factor == 0 && params.yarn_attn_factor == 1),
            "a context with YaRN's own parameters is shifted only when it was made with a gatun_rope");
    const llama_hparams & hparams = ctx->get_model().hparams;
    for (const llama_kv_cache * cache : attention_caches(memory)) {
        if (cache->get_layer_ids().empty()) {
            continue;
        }
        // What llama.cpp aborts on.
        const ggml_type type = cache->type_k();
        require(type != GGML_TYPE_BF16, "cached keys of type BF16 cannot be turned");
        for (const uint32_t il : cache->get_layer_ids()) {
            require(!ggml_is_quantized(type) ||
                        (hparams.n_embd_head_k(il) % 64 == 0 && hparams.n_embd_head_k(il) == hparams.n_embd_head_k() &&
                         std::getenv("LLAMA_ATTN_ROT_DISABLE") == nullptr),
                    "quantised keys are turned only when 64 divides the size of every head");
        }
    }
}

namespace {

// Rows that no shift may change. A quantised key is taken apart and packed again, also when it is turned by nothing, and
// is then not always what it was.
class untouched_rows {
  public:
    untouched_rows(const llama_context * ctx, const std::vector<llama_kv_cache *> & caches) {
        for (llama_kv_cache * cache : caches) {
            if (!cache->get_has_shift() || !ggml_is_quantized(cache->type_k())) {
                continue;
            }
            for (uint32_t stream = 0; stream < cache->get_n_stream(); stream++) {
                const auto seq = static_cast<llama_seq_id>(stream);
                std::vector<uint32_t> still;
                const llama_kv_cells & cells = cache->get_cells(seq);
                for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
                    if (!cells.is_empty(i) && cells.get_shift(i) == 0) {
                        still.push_back(i);
                    }
                }
                if (!still.empty()) {
                    keep(ctx, cache, seq, still);
                }
            }
        }
    }

    void put_back() const {
        for (const auto & [rows, cells, bytes] : kept) {
            rows.write(cells, bytes.data());
        }
    }

  private:
    struct copy {
        gatun::cell_rows rows;
        std::vector<uint32_t> cells;
        std::vector<uint8_t> bytes;
    };
    std::vector<copy> kept;

    void keep(const llama_context * ctx, llama_kv_cache * cache, llama_seq_id seq, const std::vector<uint32_t> & cells) {
        for (const gatun::cell_rows & rows : gatun::rows_of(ctx, cache, seq)) {
            if (rows.keys) {
                kept.push_back({rows, cells, std::vector<uint8_t>(cells.size() * rows.bytes)});
                rows.read(cells, kept.back().bytes.data());
            }
        }
    }
};

} // namespace

void gatun::turn_keys(llama_context * ctx) {
    const std::vector<llama_kv_cache *> caches = attention_caches(ctx->get_memory());
    for (llama_kv_cache * cache : caches) {
        if (cache->get_layer_ids().empty()) { // it has positions and no keys: llama.cpp would abort
            for (uint32_t stream = 0; stream < cache->get_n_stream(); stream++) {
                gatun::cells_of(cache, static_cast<llama_seq_id>(stream)).reset_shift();
            }
        }
    }
    const untouched_rows others(ctx, caches);
    gatun_rope * rope = gatun::rope_of(ctx);
    if (rope != nullptr) {
        rope->problem.clear();
        // A context that only restored a state has not told its scheduler of the callback yet.
        ggml_backend_sched_set_eval_callback(ctx->get_sched(), gatun_rope::on_node, rope);
        const gatun_rope::shift_scope scope(*rope);
        gatun::update_memory(ctx);
    } else {
        gatun::update_memory(ctx);
    }
    ctx->synchronize();
    gatun_pages_invalidate(ctx);
    others.put_back();
    gatun_pages_invalidate(ctx);
    if (rope != nullptr && !rope->problem.empty()) {
        fail(rope->problem);
    }
    if (std::any_of(caches.begin(), caches.end(), [](const llama_kv_cache * cache) { return cache->get_has_shift(); })) {
        fail("the cached keys could not be turned");
    }
}

namespace {

// Runs a change of positions and turns the cached keys at once, so that nobody sees one without the other.
template <class Change>
void shift(llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, Change && change) {
    gatun::require_turnable(ctx);
    llama_memory_i * memory = ctx->get_memory();
    const std::vector<llama_kv_cache *> caches = attention_caches(memory);
    for (const llama_kv_cache * cache : caches) {
        const auto & cells = cache->get_cells(seq);
        for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
            if (!cells.is_empty(i) && cells.seq_has(i, seq) && cells.pos_in(i, p0, p1) && cells.seq_count(i) > 1) {
                gatun::refuse("cells of sequence " + std::to_string(seq) +
                              " are shared with another sequence, which a shift would move too");
            }
        }
    }
    for (llama_kv_cache * cache : attention_caches(memory)) {
        gatun::enter_all(gatun::cells_of(cache, seq), seq, 0, std::numeric_limits<llama_pos>::max());
    }
    change(memory);
    if (caches.size() > 1) { // one has a sliding window
        for (llama_kv_cache * cache : caches) {
            gatun::search_behind_used(ctx, cache, seq); // a shift lets it begin at the front
        }
    }
    gatun::turn_keys(ctx);
}

} // namespace

int32_t gatun_memory_shift(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, llama_pos delta,
                           char * err, size_t err_cap) {
    return guarded("gatun_memory_shift", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr && seq >= 0 && static_cast<uint32_t>(seq) < llama_n_seq_max(ctx), "no such sequence");
        const llama_memory_i * memory = ctx->get_memory();
        const llama_pos last = memory != nullptr ? memory->seq_pos_max(seq) : -1;
        require(delta <= std::max(0, std::numeric_limits<llama_pos>::max() - 1 - last),
                "delta moves cells beyond the last position");
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
