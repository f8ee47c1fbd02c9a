// Cells of several sequences. llama.cpp keeps, for each sequence, a sorted set of all its positions (48 bytes a cell), of
// which it reads the first and the last one only. A sequence that shares cells gets these two entries; what removes or
// moves cells enters the others before, so that every removal finds what it removes.
#include "cells.hpp"

#include <algorithm>
#include <limits>

using gatun::attention_caches;
using gatun::cells_of;
using gatun::guarded;
using gatun::require;

namespace {

// The set of sequences of a cell, which the cache shows and does not hand out.
llama_kv_cells::seq_set_t & sequences_of(llama_kv_cells & cells, uint32_t i) {
    return const_cast<llama_kv_cells::seq_set_t &>(cells.seq_get_all(i));
}

bool holds(const llama_kv_cells & cells, uint32_t i, llama_seq_id seq) {
    return !cells.is_empty(i) && cells.seq_has(i, seq);
}

void require_sequence(const llama_context * ctx, llama_seq_id seq) {
    require(ctx != nullptr, "ctx may not be NULL");
    require(seq >= 0 && static_cast<uint32_t>(seq) < llama_n_seq_max(ctx), "no such sequence");
    require(ctx->get_memory() != nullptr, "the context keeps no memory of a sequence");
}

} // namespace

llama_kv_cache * gatun::lean_cache(llama_memory_i * memory) {
    auto * cache = dynamic_cast<llama_kv_cache *>(memory);
    return cache != nullptr && cache->get_n_stream() == 1 && !cache->has_cell_ext() ? cache : nullptr;
}

void gatun::enter(llama_kv_cells & cells, uint32_t i, llama_seq_id seq) {
    sequences_of(cells, i).reset(static_cast<size_t>(seq));
    cells.seq_add(i, seq);
}

void gatun::enter_all(llama_kv_cells & cells, llama_seq_id seq, llama_pos p0, llama_pos p1) {
    for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
        if (holds(cells, i, seq) && cells.pos_in(i, p0, p1)) {
            enter(cells, i, seq);
        }
    }
}

void gatun::enter_ends(llama_kv_cells & cells, llama_seq_id seq) {
    const uint32_t end = cells.used_max_p1();
    uint32_t first = end;
    uint32_t last = end;
    for (uint32_t i = 0; i < end; i++) {
        if (holds(cells, i, seq)) {
            first = first == end || cells.pos_get(i) < cells.pos_get(first) ? i : first;
            last = last == end || cells.pos_get(i) > cells.pos_get(last) ? i : last;
        }
    }
    if (first != end) {
        enter(cells, first, seq);
        enter(cells, last, seq);
    }
}

void gatun::join(llama_kv_cells & cells, uint32_t i, llama_seq_id seq) {
    sequences_of(cells, i).set(static_cast<size_t>(seq));
}

int32_t gatun_memory_share(struct llama_context * ctx, llama_seq_id from, llama_seq_id to, llama_pos p0, llama_pos p1,
                           char * err, size_t err_cap) {
    return guarded("gatun_memory_share", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, from);
        require_sequence(ctx, to);
        require(from != to, "a sequence shares with another one");
        llama_memory_i * memory = ctx->get_memory();
        gatun_pages_invalidate(ctx);
        llama_kv_cache * cache = gatun::lean_cache(memory);
        if (cache == nullptr) {
            memory->seq_cp(from, to, p0, p1);
            return GATUN_OK;
        }
        llama_kv_cells & cells = cells_of(cache, from);
        p0 = std::max(p0, 0);
        p1 = p1 < 0 ? std::numeric_limits<llama_pos>::max() : p1;
        for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
            if (holds(cells, i, from) && cells.pos_in(i, p0, p1)) {
                gatun::join(cells, i, to);
            }
        }
        gatun::enter_ends(cells, to);
        return GATUN_OK;
    });
}

int32_t gatun_memory_remove(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, int32_t * removed,
                            char * err, size_t err_cap) {
    return guarded("gatun_memory_remove", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, seq);
        require(removed != nullptr, "removed may not be NULL");
        llama_memory_i * memory = ctx->get_memory();
        llama_kv_cache * cache = gatun::lean_cache(memory);
        if (cache != nullptr) {
            gatun::enter_all(cells_of(cache, seq), seq, std::max(p0, 0),
                             p1 < 0 ? std::numeric_limits<llama_pos>::max() : p1);
        }
        *removed = memory->seq_rm(seq, p0, p1) ? 1 : 0;
        if (cache != nullptr) {
            gatun::enter_ends(cells_of(cache, seq), seq);
        }
        return GATUN_OK;
    });
}
