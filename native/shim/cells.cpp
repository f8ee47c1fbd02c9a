// The ranged, additive door to the cells of a sequence: positions, rows out, rows in, private copies, compaction.
#include "cells.hpp"

#include "rope.hpp"

#include "llama-kv-cache-iswa.h"
#include "llama-model.h"

#include <algorithm>
#include <limits>

#if defined(__linux__)
#    include <sys/mman.h>
#    include <unistd.h>
#endif

using gatun::attention_caches;
using gatun::cell_rows;
using gatun::cells_of;
using gatun::guarded;
using gatun::require;
using gatun::rows_of;

namespace {

constexpr size_t BLOCK = 1024; // cells that are moved through one buffer
constexpr llama_pos MAX_POSITION = std::numeric_limits<llama_pos>::max() / 2;

// The caches of a memory whose cells are all there is of a sequence.
std::vector<llama_kv_cache *> caches_of(llama_context * ctx) {
    require(ctx != nullptr, "ctx may not be NULL");
    llama_memory_i * memory = ctx->get_memory();
    require(memory != nullptr, "the context keeps no memory of a sequence");
    if (dynamic_cast<llama_kv_cache *>(memory) == nullptr && dynamic_cast<llama_kv_cache_iswa *>(memory) == nullptr) {
        gatun::refuse("this model's memory is not made of key/value cells alone: a recurrent state cannot be taken "
                      "apart by position");
    }
    std::vector<llama_kv_cache *> caches = attention_caches(memory);
    for (const llama_kv_cache * cache : caches) {
        require(!cache->has_cell_ext(), "the cells of this model hold more than a position");
    }
    return caches;
}

void require_sequence(const llama_context * ctx, llama_seq_id seq) {
    require(ctx != nullptr, "ctx may not be NULL");
    const uint32_t count = llama_n_seq_max(ctx);
    if (seq < 0 || static_cast<uint32_t>(seq) >= count) {
        gatun::refuse("sequence " + std::to_string(seq) + " is outside 0.." + std::to_string(count - 1));
    }
}

// Copies that llama.cpp still owes, and what a device still computes.
void settle(llama_context * ctx) {
    gatun::finish_copies(ctx);
    ctx->synchronize();
}

struct found_cells {
    std::vector<llama_pos> positions; // ascending
    std::vector<uint32_t> cells;
};

found_cells find(llama_kv_cache * cache, llama_seq_id seq, llama_pos p0, llama_pos p1) {
    p0 = std::max(p0, 0);
    p1 = p1 < 0 ? std::numeric_limits<llama_pos>::max() : p1;
    const llama_kv_cells & cells = cells_of(cache, seq);
    std::vector<std::pair<llama_pos, uint32_t>> found;
    for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
        if (!cells.is_empty(i) && cells.pos_in(i, p0, p1) && cells.seq_has(i, seq)) {
            found.emplace_back(cells.pos_get(i), i);
        }
    }
    std::sort(found.begin(), found.end());
    found_cells result;
    for (const auto & [position, cell] : found) {
        result.positions.push_back(position);
        result.cells.push_back(cell);
    }
    return result;
}

// The cells of a range in every cache. Sliding-window caches forget: refused when one lacks what another one has.
std::vector<found_cells> find_all(const std::vector<llama_kv_cache *> & caches, llama_seq_id seq, llama_pos p0,
                                  llama_pos p1) {
    std::vector<found_cells> all;
    for (llama_kv_cache * cache : caches) {
        all.push_back(find(cache, seq, p0, p1));
        if (all.back().positions != all.front().positions) {
            gatun::refuse("the sliding-window layers no longer hold all cells of sequence " + std::to_string(seq) +
                          " in this range; make the context with swa_full");
        }
    }
    return all;
}

size_t bytes_of_cell(const llama_context * ctx, const std::vector<llama_kv_cache *> & caches) {
    size_t bytes = 0;
    for (const llama_kv_cache * cache : caches) {
        for (const cell_rows & rows : rows_of(ctx, cache, 0)) {
            bytes += rows.bytes;
        }
    }
    return bytes;
}

// Empty cells: the first run that is long enough, else the first ones. Fewer than n when there are fewer.
std::vector<uint32_t> free_cells(const llama_kv_cells & cells, size_t n) {
    std::vector<uint32_t> found;
    uint32_t run = 0;
    for (uint32_t i = 0; i < cells.size(); i++) {
        run = cells.is_empty(i) ? run + 1 : 0;
        if (run == n) {
            for (uint32_t cell = i + 1 - run; cell <= i; cell++) {
                found.push_back(cell);
            }
            return found;
        }
    }
    for (uint32_t i = 0; i < cells.size() && found.size() < n; i++) {
        if (cells.is_empty(i)) {
            found.push_back(i);
        }
    }
    return found;
}

// Places for n cells in every cache; empty when one has no room.
std::vector<std::vector<uint32_t>> places_for(const std::vector<llama_kv_cache *> & caches, llama_seq_id seq,
                                              const std::vector<size_t> & counts) {
    std::vector<std::vector<uint32_t>> places;
    for (size_t c = 0; c < caches.size(); c++) {
        places.push_back(free_cells(cells_of(caches[c], seq), counts[c]));
        if (places.back().size() < counts[c]) {
            return {};
        }
    }
    return places;
}

// Copies rows from one set of cells to another one. No `to` may be a later `from`.
void copy_rows(const std::vector<cell_rows> & all, const std::vector<uint32_t> & from, const std::vector<uint32_t> & to) {
    std::vector<uint8_t> buffer;
    for (const cell_rows & rows : all) {
        for (size_t begin = 0; begin < from.size(); begin += BLOCK) {
            const size_t end = std::min(from.size(), begin + BLOCK);
            buffer.resize((end - begin) * rows.bytes);
            rows.read({from.begin() + begin, from.begin() + end}, buffer.data());
            rows.write({to.begin() + begin, to.begin() + end}, buffer.data());
        }
    }
}

// What was observed of the cells goes with their keys.
void tell_copied(const llama_context * ctx, const llama_kv_cache * cache, llama_seq_id seq,
                 const std::vector<uint32_t> & from, const std::vector<uint32_t> & to) {
    if (gatun_rope * rope = gatun::rope_of(ctx)) {
        rope->cells_copied(cache, seq, from, to);
    }
}

// Gives empty cells to a sequence, as the cache itself does it for a batch; its next search begins behind them.
void occupy(const llama_context * ctx, llama_kv_cache * cache, llama_seq_id seq, const std::vector<uint32_t> & cells,
            const llama_pos * positions) {
    const auto n = static_cast<uint32_t>(cells.size());
    llama_batch_allocr allocator(ctx->get_model().hparams.n_pos_per_embd());
    llama_ubatch batch = allocator.ubatch_reserve(n, 1);
    batch.seq_id_unq[0] = seq;
    for (uint32_t i = 0; i < n; i++) {
        batch.pos[i] = positions[i];
        batch.n_seq_id[i] = 1;
        batch.seq_id[i] = &seq;
    }
    llama_kv_cache::slot_info slot;
    const uint32_t stream = cache->get_n_stream() > 1 ? static_cast<uint32_t>(seq) : 0;
    slot.s0 = slot.s1 = stream;
    slot.resize(1);
    slot.strm[0] = static_cast<llama_seq_id>(stream);
    slot.idxs[0] = cells;
    cache->apply_ubatch(slot, batch);
}

// Gives the memory of unused rows back to the system, where it is plain host memory. They read as zero afterwards.
int64_t release_rows(const cell_rows & rows, size_t used, size_t size) {
#if defined(__linux__)
    ggml_backend_buffer_t buffer = rows.tensor->buffer;
    if (rows.elements != 0 || buffer == nullptr ||
        ggml_backend_buffer_get_type(buffer) != ggml_backend_cpu_buffer_type()) {
        return 0;
    }
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t base = reinterpret_cast<uintptr_t>(rows.tensor->data) + rows.offset;
    const uintptr_t begin = (base + used * rows.stride + page - 1) / page * page;
    const uintptr_t end = (base + size * rows.stride) / page * page;
    if (end <= begin || madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED) != 0) {
        return 0;
    }
    return static_cast<int64_t>(end - begin);
#else
    (void) rows;
    (void) used;
    (void) size;
    return 0;
#endif
}

// Takes a cell's entry to an empty cell; the rows were copied before.
void move_entry(llama_kv_cells & cells, uint32_t from, uint32_t to, bool lean) {
    const llama_pos position = cells.pos_get(from);
    const llama_kv_cell_ext ext = cells.ext_get(from);
    const llama_kv_cells::seq_set_t sequences = cells.seq_get_all(from);
    std::vector<llama_seq_id> holders;
    for (llama_seq_id s = 0; s < LLAMA_MAX_SEQ; s++) {
        if (sequences.test(static_cast<size_t>(s))) {
            holders.push_back(s);
            gatun::enter(cells, from, s);
        }
    }
    cells.rm(from);
    cells.pos_set(to, position);
    cells.ext_set(to, ext);
    for (const llama_seq_id s : holders) {
        if (lean && holders.size() > 1) {
            gatun::join(cells, to, s);
        } else {
            cells.seq_add(to, s);
        }
    }
}

// Moves the used cells of one stream to its front, in their order. Returns how many moved.
int64_t compact_stream(const llama_context * ctx, llama_kv_cache * cache, llama_seq_id seq) {
    llama_kv_cells & cells = cells_of(cache, seq);
    std::vector<uint32_t> from;
    std::vector<uint32_t> to;
    uint32_t next = 0;
    for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
        if (cells.is_empty(i)) {
            continue;
        }
        if (i != next) {
            from.push_back(i);
            to.push_back(next);
        }
        next++;
    }
    copy_rows(rows_of(ctx, cache, seq), from, to);
    tell_copied(ctx, cache, seq, from, to);
    const bool lean = gatun::lean_cache(ctx->get_memory()) == cache;
    for (size_t i = 0; i < from.size(); i++) {
        move_entry(cells, from[i], to[i], lean);
    }
    if (lean) {
        for (uint32_t s = 0; s < llama_n_seq_max(ctx); s++) {
            gatun::enter_ends(cells, static_cast<llama_seq_id>(s));
        }
    }
    gatun::search_behind_used(ctx, cache, seq);
    return static_cast<int64_t>(from.size());
}

} // namespace

void gatun::search_behind_used(const llama_context * ctx, llama_kv_cache * cache, llama_seq_id seq) {
    const uint32_t cell = cells_of(cache, seq).used_max_p1();
    if (cell < cells_of(cache, seq).size()) {
        const llama_pos nowhere = MAX_POSITION + 1;
        occupy(ctx, cache, seq, {cell}, &nowhere);
        cache->seq_rm(seq, nowhere, nowhere + 1); // the next search begins where a cell was freed
    }
}

int32_t gatun_cells_usage(struct llama_context * ctx, llama_seq_id seq, struct gatun_cell_usage * out, char * err,
                          size_t err_cap) {
    return guarded("gatun_cells_usage", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, seq);
        require(out != nullptr, "out may not be NULL");
        const std::vector<llama_kv_cache *> caches = attention_caches(ctx->get_memory());
        require(!caches.empty(), "the memory of this model has no key/value cells");
        const llama_kv_cells & cells = cells_of(caches.front(), seq);
        *out = {};
        out->size = static_cast<int32_t>(cells.size());
        out->used = static_cast<int32_t>(cells.get_used());
        out->extent = static_cast<int32_t>(cells.used_max_p1());
        for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
            if (!cells.is_empty(i)) {
                const bool shared = cells.seq_count(i) > 1;
                const bool held = cells.seq_has(i, seq);
                out->shared += shared ? 1 : 0;
                out->held += held ? 1 : 0;
                out->held_shared += shared && held ? 1 : 0;
            }
        }
        return GATUN_OK;
    });
}

int32_t gatun_cells_positions(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, int32_t * out,
                              size_t cap, size_t * count, char * err, size_t err_cap) {
    return guarded("gatun_cells_positions", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, seq);
        require(count != nullptr && (out != nullptr || cap == 0), "out and count may not be NULL");
        const std::vector<llama_kv_cache *> caches = attention_caches(ctx->get_memory());
        require(!caches.empty(), "the memory of this model has no key/value cells");
        const found_cells found = find_all({caches.front()}, seq, p0, p1).front();
        *count = found.positions.size();
        std::copy_n(found.positions.begin(), std::min(cap, found.positions.size()), out);
        return GATUN_OK;
    });
}

int32_t gatun_cells_bytes(struct llama_context * ctx, size_t n, size_t * out, char * err, size_t err_cap) {
    return guarded("gatun_cells_bytes", err, err_cap, [&]() -> int32_t {
        const std::vector<llama_kv_cache *> caches = caches_of(ctx);
        require(out != nullptr, "out may not be NULL");
        require(n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()), "n is out of range");
        *out = n * bytes_of_cell(ctx, caches);
        return GATUN_OK;
    });
}

int32_t gatun_cells_read(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1, uint8_t * dst,
                         size_t size, size_t * written, char * err, size_t err_cap) {
    return guarded("gatun_cells_read", err, err_cap, [&]() -> int32_t {
        const std::vector<llama_kv_cache *> caches = caches_of(ctx);
        require_sequence(ctx, seq);
        require(written != nullptr, "written may not be NULL");
        *written = 0;
        settle(ctx);
        const std::vector<found_cells> found = find_all(caches, seq, p0, p1);
        const size_t n = found.front().cells.size();
        const size_t needed = n * bytes_of_cell(ctx, caches);
        if (needed > size) {
            gatun::refuse(std::to_string(n) + " cells take " + std::to_string(needed) + " bytes, the buffer has " +
                          std::to_string(size));
        }
        require(dst != nullptr || needed == 0, "dst may not be NULL");
        uint8_t * next = dst;
        for (size_t c = 0; c < caches.size(); c++) {
            for (const cell_rows & rows : rows_of(ctx, caches[c], seq)) {
                rows.read(found[c].cells, next);
                next += n * rows.bytes;
            }
        }
        *written = needed;
        return GATUN_OK;
    });
}

namespace {

void check(const gatun_cell_piece & piece, size_t bytes) {
    require(piece.n == 0 || (piece.stored != nullptr && piece.positions != nullptr && piece.src != nullptr),
            "stored, positions and src may not be NULL");
    require(piece.n <= static_cast<size_t>(std::numeric_limits<int32_t>::max()), "n is out of range");
    if (piece.size != piece.n * bytes) {
        gatun::refuse(std::to_string(piece.n) + " cells take " + std::to_string(piece.n * bytes) +
                      " bytes, but there are " + std::to_string(piece.size));
    }
    for (size_t i = 0; i < piece.n; i++) {
        require(piece.stored[i] >= 0 && piece.stored[i] <= MAX_POSITION && piece.positions[i] >= 0 &&
                    piece.positions[i] <= MAX_POSITION,
                "a position is out of range");
    }
}

// Refuses positions that are given twice or that the sequence holds already.
void require_new(const std::vector<llama_kv_cache *> & caches, llama_seq_id seq, std::vector<llama_pos> positions) {
    std::sort(positions.begin(), positions.end());
    const auto twice = std::adjacent_find(positions.begin(), positions.end());
    if (twice != positions.end()) {
        gatun::refuse("position " + std::to_string(*twice) + " is given twice");
    }
    for (llama_kv_cache * cache : caches) {
        for (const llama_pos present : find(cache, seq, positions.front(), positions.back() + 1).positions) {
            if (std::binary_search(positions.begin(), positions.end(), present)) {
                gatun::refuse("sequence " + std::to_string(seq) + " holds a cell of position " +
                              std::to_string(present) + " already");
            }
        }
    }
}

void write_pieces(llama_context * ctx, llama_seq_id seq, const gatun_cell_piece * pieces, size_t count) {
    const std::vector<llama_kv_cache *> caches = caches_of(ctx);
    require_sequence(ctx, seq);
    const size_t bytes = bytes_of_cell(ctx, caches);
    std::vector<llama_pos> stored;
    std::vector<llama_pos> positions;
    for (size_t p = 0; p < count; p++) {
        check(pieces[p], bytes);
        stored.insert(stored.end(), pieces[p].stored, pieces[p].stored + pieces[p].n);
        positions.insert(positions.end(), pieces[p].positions, pieces[p].positions + pieces[p].n);
    }
    const size_t n = positions.size();
    if (n == 0) {
        return;
    }
    const bool moved = stored != positions;
    if (moved) {
        gatun::require_turnable(ctx);
    }
    settle(ctx);
    require_new(caches, seq, positions);
    const auto places = places_for(caches, seq, std::vector<size_t>(caches.size(), n));
    if (places.empty()) {
        const llama_kv_cells & cells = cells_of(caches.front(), seq);
        throw gatun::refusal{GATUN_NO_ROOM, "no room for " + std::to_string(n) + " cells (" +
                                                std::to_string(cells.get_used()) + " of " +
                                                std::to_string(cells.size()) + " used)"};
    }
    std::vector<const uint8_t *> next(count);
    for (size_t p = 0; p < count; p++) {
        next[p] = pieces[p].src;
    }
    for (size_t c = 0; c < caches.size(); c++) {
        for (const cell_rows & rows : rows_of(ctx, caches[c], seq)) {
            auto place = places[c].begin();
            for (size_t p = 0; p < count; p++) {
                rows.write({place, place + static_cast<std::ptrdiff_t>(pieces[p].n)}, next[p]);
                place += static_cast<std::ptrdiff_t>(pieces[p].n);
                next[p] += pieces[p].n * rows.bytes;
            }
        }
    }
    try {
        for (size_t c = 0; c < caches.size(); c++) {
            if (gatun_rope * rope = gatun::rope_of(ctx)) {
                rope->cells_written(caches[c], seq, places[c]);
            }
            occupy(ctx, caches[c], seq, places[c], stored.data());
            llama_kv_cells & cells = cells_of(caches[c], seq);
            for (size_t i = 0; i < n; i++) {
                if (stored[i] != positions[i]) {
                    cells.pos_add(places[c][i], positions[i] - stored[i]);
                }
            }
        }
        if (moved) {
            gatun::turn_keys(ctx);
        }
    } catch (...) {
        for (size_t c = 0; c < caches.size(); c++) {
            llama_kv_cells & cells = cells_of(caches[c], seq);
            for (const uint32_t cell : places[c]) {
                if (!cells.is_empty(cell)) {
                    cells.rm(cell);
                }
            }
        }
        throw;
    }
}

} // namespace

int32_t gatun_cells_write(struct llama_context * ctx, llama_seq_id seq, const struct gatun_cell_piece * pieces,
                          size_t n_pieces, char * err, size_t err_cap) {
    return guarded("gatun_cells_write", err, err_cap, [&]() -> int32_t {
        require(pieces != nullptr || n_pieces == 0, "pieces may not be NULL");
        gatun_pages_invalidate(ctx);
        write_pieces(ctx, seq, pieces, n_pieces);
        return GATUN_OK;
    });
}

int32_t gatun_cells_copy_private(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                 int32_t * copied, char * err, size_t err_cap) {
    return guarded("gatun_cells_copy_private", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, seq);
        require(copied != nullptr, "copied may not be NULL");
        *copied = 0;
        const std::vector<llama_kv_cache *> caches = attention_caches(ctx->get_memory());
        std::vector<std::vector<uint32_t>> shared;
        std::vector<size_t> counts;
        for (llama_kv_cache * cache : caches) {
            const llama_kv_cells & cells = cells_of(cache, seq);
            shared.emplace_back();
            for (const uint32_t cell : find(cache, seq, p0, p1).cells) {
                if (cells.seq_count(cell) > 1) {
                    shared.back().push_back(cell);
                }
            }
            counts.push_back(shared.back().size());
            *copied = std::max(*copied, static_cast<int32_t>(shared.back().size()));
        }
        if (*copied == 0) {
            return GATUN_OK;
        }
        settle(ctx);
        const auto places = places_for(caches, seq, counts);
        if (places.empty()) {
            const int32_t needed = *copied;
            *copied = 0;
            const llama_kv_cells & cells = cells_of(caches.front(), seq);
            throw gatun::refusal{GATUN_NO_ROOM, "no room to copy the " + std::to_string(needed) +
                                                    " cells that sequence " + std::to_string(seq) +
                                                    " shares with others (" + std::to_string(cells.get_used()) +
                                                    " of " + std::to_string(cells.size()) + " used)"};
        }
        gatun_pages_invalidate(ctx);
        for (size_t c = 0; c < caches.size(); c++) {
            copy_rows(rows_of(ctx, caches[c], seq), shared[c], places[c]);
            tell_copied(ctx, caches[c], seq, shared[c], places[c]);
        }
        for (size_t c = 0; c < caches.size(); c++) {
            llama_kv_cells & cells = cells_of(caches[c], seq);
            for (size_t i = 0; i < shared[c].size(); i++) {
                const llama_pos position = cells.pos_get(shared[c][i]);
                const llama_kv_cell_ext ext = cells.ext_get(shared[c][i]);
                gatun::enter(cells, shared[c][i], seq);
                cells.seq_rm(shared[c][i], seq);
                cells.pos_set(places[c][i], position);
                cells.ext_set(places[c][i], ext);
                cells.seq_add(places[c][i], seq);
            }
        }
        return GATUN_OK;
    });
}

int32_t gatun_cells_compact(struct llama_context * ctx, struct gatun_compaction * out, char * err, size_t err_cap) {
    return guarded("gatun_cells_compact", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr && out != nullptr, "ctx and out may not be NULL");
        *out = {};
        const std::vector<llama_kv_cache *> caches = attention_caches(ctx->get_memory());
        require(!caches.empty(), "the memory of this model has no key/value cells");
        require(ctx->get_model().hparams.n_pos_per_embd() == 1, "the cells of this model hold more than a position");
        settle(ctx);
        gatun_pages_invalidate(ctx);
        for (llama_kv_cache * cache : caches) {
            for (uint32_t stream = 0; stream < cache->get_n_stream(); stream++) {
                const auto seq = static_cast<llama_seq_id>(stream);
                const llama_kv_cells & cells = cells_of(cache, seq);
                if (cache == caches.front()) {
                    out->extent_before += cells.used_max_p1();
                    out->extent_after += cells.get_used();
                }
                out->moved += compact_stream(ctx, cache, seq);
                for (const cell_rows & rows : rows_of(ctx, cache, seq)) {
                    out->released_bytes += release_rows(rows, cells.used_max_p1(), cells.size());
                }
            }
        }
        return GATUN_OK;
    });
}
