// Cells of a context's key/value caches: where a sequence's are, and their rows.
#pragma once

#include "shim.hpp"

#include "llama-context.h"
#include "llama-kv-cache.h"

namespace gatun {

// The caches of the attention layers, the one that holds every position first; empty when there are none that we know.
std::vector<llama_kv_cache *> attention_caches(llama_memory_i * memory);

// The cells of a cache in which a sequence lives. The cache hands them out to be looked at; what changes them here keeps
// what it relies on.
inline llama_kv_cells & cells_of(llama_kv_cache * cache, llama_seq_id seq) {
    return const_cast<llama_kv_cells &>(cache->get_cells(seq));
}

// A sequence that shares cells is in their sets, and llama.cpp's sorted positions of it have the first and the last one
// only (sharing.cpp). Enters a cell, which the sequence holds, in these.
void enter(llama_kv_cells & cells, uint32_t i, llama_seq_id seq);
// All cells of a range: before llama.cpp removes or moves them.
void enter_all(llama_kv_cells & cells, llama_seq_id seq, llama_pos p0, llama_pos p1);
// The first and the last one: after it.
void enter_ends(llama_kv_cells & cells, llama_seq_id seq);
// The cache whose cells sequences share by their sets alone; NULL when there is more to it: windows, a recurrent state,
// a pool for each sequence, cells that hold more than a position.
llama_kv_cache * lean_cache(llama_memory_i * memory);
// Puts a sequence into the set of such a cell and nothing more; enter_ends has to follow.
void join(llama_kv_cells & cells, uint32_t i, llama_seq_id seq);

// Refuses when cached keys cannot be turned to other positions.
void require_turnable(llama_context * ctx);
// Turns the cached keys by the pending shifts of their cells. The rows of all other cells stay as they are, bit by bit.
void turn_keys(llama_context * ctx);
// Lets the next search for free cells begin behind the used ones. A sliding-window cache takes the cells that have left
// the window, wherever a search meets them; behind the used ones it meets none.
void search_behind_used(const llama_context * ctx, llama_kv_cache * cache, llama_seq_id seq);
// llama.cpp copies a sequence into another pool of cells only with the next decode. Done here, so that a state read now
// has the copy and a state written now is not overwritten by it.
void finish_copies(llama_context * ctx);

// The keys or the values of one layer, for the sequences of one stream.
struct cell_rows {
    ggml_tensor * tensor;
    bool keys;
    size_t offset;   // of the stream, bytes
    size_t bytes;    // of one cell
    size_t stride;   // bytes between cells
    size_t elements; // of one cell; 0: a cell's bytes stand together, else `elements` of `stride` bytes, `pitch` apart
    size_t pitch;

    // Copies the cells' rows, one after another.
    void read(const std::vector<uint32_t> & cells, uint8_t * dst) const;
    void write(const std::vector<uint32_t> & cells, const uint8_t * src) const;
};

// Layer by layer: keys, then values where the model has them.
std::vector<cell_rows> rows_of(const llama_context * ctx, const llama_kv_cache * cache, llama_seq_id seq);

} // namespace gatun
