// What the attention of a micro batch needs: rotations, positions of its cells, what its mask lets through.
#include "rope_nodes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using gatun::fail;

void gatun_rope::set_model_frequencies(int pairs, double base, double scale, const float * own) {
    model_frequencies.clear();
    for (int i = 0; i < pairs; i++) {
        model_frequencies.push_back(scale * std::pow(base, -static_cast<double>(i) / pairs));
    }
    model_factors.assign(own, own != nullptr ? own + pairs : own);
    derive_frequencies();
}

void gatun_rope::derive_frequencies() {
    const std::vector<float> & divisors = factors.empty() ? model_factors : factors;
    frequencies = model_frequencies;
    for (size_t i = 0; i < divisors.size() && i < frequencies.size(); i++) {
        frequencies[i] /= divisors[i];
    }
    batch.pairs = static_cast<int>(frequencies.size());
    std::vector<double> turned = frequencies;
    for (double & frequency : turned) {
        frequency *= batch.map.turn_scale();
    }
    batch.turns.reset(std::move(turned));
}

void gatun_rope::prepare(const int32_t * positions, int64_t count) {
    batch.tokens = static_cast<int32_t>(count);
    batch.positions.assign(positions, positions + count);
    const int variants = batch.map.variants();
    const auto turn = [&](std::vector<float> & to, double position) {
        for (const double frequency : frequencies) {
            to.push_back(static_cast<float>(std::cos(position * frequency)));
            to.push_back(static_cast<float>(std::sin(position * frequency)));
        }
    };
    batch.query_turns.clear();
    for (int variant = 0; variant < variants; variant++) {
        for (int64_t i = 0; i < count; i++) {
            turn(batch.query_turns, batch.map.query_position(variant, positions[i]));
        }
    }
    batch.key_turns.clear();
    batch.query_scale.clear();
    int32_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        turn(batch.key_turns, batch.map.key_position(positions[i]));
        const double log_n =
            log_n_tokens > 0 ? std::max(1.0, std::log(positions[i] + 1.0) / std::log(log_n_tokens)) : 1;
        batch.query_scale.push_back(static_cast<float>(log_n * attention_factor * attention_factor));
        end = std::max(end, positions[i] + 1);
    }
    batch.turns.reserve(end);
}

// A new micro batch: where its tokens go, and on plain positions where they stand. Two bands know that before.
void gatun_rope::begin_batch(const ggml_tensor * cells) {
    const auto * at = static_cast<const int64_t *>(cells->data);
    written.assign(at, at + cells->ne[0]);
    const int64_t size = cache->get_size();
    if (!two_bands()) {
        batch.positions.clear();
        for (const int64_t cell : written) {
            batch.positions.push_back(
                cache->get_cells(static_cast<llama_seq_id>(cell / size)).pos_get(static_cast<uint32_t>(cell % size)));
        }
        batch.tokens = static_cast<int32_t>(written.size());
        batch.query_scale.assign(written.size(), 1);
        read_cells();
    }
    order_cells();
    new_mask = true;
    if (limits != nullptr && limits->pages != nullptr) {
        for (const int64_t cell : written) {
            limits->pages->written(cell / size, cell % size);
        }
    }
    if (watcher != nullptr) {
        const llama_seq_id seq = watcher->what().sequence;
        std::vector<uint8_t> observed;
        for (size_t i = 0; i < written.size(); i++) {
            const auto & of = cache->get_cells(static_cast<llama_seq_id>(written[i] / size));
            observed.push_back(batch.positions[i] >= watcher->what().first_position &&
                               (seq < 0 || of.seq_has(static_cast<uint32_t>(written[i] % size), seq)));
        }
        watcher->begin_batch(written, observed, batch.positions,
                             static_cast<int>(std::max(llama_n_threads(ctx), llama_n_threads_batch(ctx))));
    }
}

// The cells of the sequence that the micro batch is of, by position. The kernel sums in blocks of cells, so that where
// they lie, after other sequences or in gaps that others left, would show in the last bits.
void gatun_rope::order_cells() {
    const auto size = static_cast<int64_t>(cache->get_size());
    batch.order.assign(cache->get_n_stream(), {});
    std::vector<llama_seq_id> sequences(batch.order.size(), -1);
    for (const int64_t at : written) {
        const auto stream = static_cast<size_t>(at / size);
        const auto & cells = cache->get_cells(static_cast<llama_seq_id>(stream));
        const auto cell = static_cast<uint32_t>(at % size);
        const llama_seq_id seq = cells.seq_count(cell) == 1 ? cells.seq_get(cell) : -1;
        if (seq < 0 || (sequences[stream] >= 0 && sequences[stream] != seq)) {
            return; // several sequences: in the order of the cells
        }
        sequences[stream] = seq;
    }
    for (size_t stream = 0; stream < sequences.size(); stream++) {
        if (sequences[stream] < 0) {
            continue;
        }
        const auto & cells = cache->get_cells(static_cast<llama_seq_id>(stream));
        std::vector<int32_t> & order = batch.order[stream];
        std::vector<std::ptrdiff_t> runs = {0}; // where ascending positions begin
        for (uint32_t i = 0; i < cells.used_max_p1(); i++) {
            if (!cells.is_empty(i) && cells.seq_has(i, sequences[stream])) {
                if (!order.empty() && cells.pos_get(i) < cells.pos_get(static_cast<uint32_t>(order.back()))) {
                    runs.push_back(static_cast<std::ptrdiff_t>(order.size()));
                }
                order.push_back(static_cast<int32_t>(i));
            }
        }
        if (runs.size() == 1 && (order.empty() || order.back() + 1 == static_cast<int32_t>(order.size()))) {
            order.clear(); // they lie so
            continue;
        }
        const auto before = [&](int32_t a, int32_t b) {
            return cells.pos_get(static_cast<uint32_t>(a)) < cells.pos_get(static_cast<uint32_t>(b));
        };
        while (runs.size() > 1) { // merged two by two
            std::vector<std::ptrdiff_t> merged;
            for (size_t i = 0; i < runs.size(); i += 2) {
                merged.push_back(runs[i]);
                if (i + 1 < runs.size()) {
                    const auto end = i + 2 < runs.size() ? order.begin() + runs[i + 2] : order.end();
                    std::inplace_merge(order.begin() + runs[i], order.begin() + runs[i + 1], end, before);
                }
            }
            runs = std::move(merged);
        }
    }
}

// The cells' positions; the micro batch has its cells already.
void gatun_rope::read_cells() {
    const uint32_t streams = cache->get_n_stream();
    batch.cells.resize(streams);
    int32_t end = 0;
    for (uint32_t s = 0; s < streams; s++) {
        const auto & cells = cache->get_cells(static_cast<llama_seq_id>(s));
        batch.cells[s].resize(cells.size());
        const uint32_t used = cells.used_max_p1();
        for (uint32_t i = 0; i < used; i++) {
            batch.cells[s][i] = cells.is_empty(i) ? -1 : cells.pos_get(i);
        }
        std::fill(batch.cells[s].begin() + used, batch.cells[s].end(), -1);
        if (limits != nullptr) {
            bound_blocks(s, used);
        }
        for (uint32_t i = 0; i < batch.cells[s].size(); i++) {
            batch.cells[s][i] = std::max(batch.cells[s][i], 0);
            end = std::max(end, batch.cells[s][i] + 1);
        }
    }
    if (two_bands()) {
        batch.turns.reserve(end);
    }
}

// For what leaves keys out; the positions are still -1 where a cell is empty.
void gatun_rope::bound_blocks(uint32_t stream, uint32_t used) {
    constexpr uint32_t BLOCK = 64;
    const std::vector<int32_t> & positions = batch.cells[stream];
    const size_t blocks = (positions.size() + BLOCK - 1) / BLOCK;
    batch.least.resize(batch.cells.size());
    batch.greatest.resize(batch.cells.size());
    batch.least[stream].assign(blocks, std::numeric_limits<int32_t>::max());
    batch.greatest[stream].assign(blocks, -1);
    for (uint32_t i = 0; i < used; i++) {
        if (positions[i] >= 0) {
            int32_t & least = batch.least[stream][i / BLOCK];
            int32_t & greatest = batch.greatest[stream][i / BLOCK];
            least = std::min(least, positions[i]);
            greatest = std::max(greatest, positions[i]);
        }
    }
    if (limits->pages != nullptr) {
        limits->pages->see_cells(stream, positions);
    }
}

// What the mask, one for all layers, lets through: [cells, tokens, 1, streams].
void gatun_rope::read_mask(const ggml_tensor * mask) {
    if (mask == nullptr || mask->type != GGML_TYPE_F16 || mask->ne[1] * mask->ne[3] != batch.tokens) {
        fail("the attention has a mask of an unknown kind");
    }
    constexpr int PAGE = gatun::page_index::PAGE;
    const int64_t pages = (mask->ne[0] + PAGE - 1) / PAGE;
    limits->visible.assign(static_cast<size_t>(batch.tokens), 0);
    limits->visible_pages_stride = pages;
    limits->counts.resize(static_cast<size_t>(std::max(llama_n_threads(ctx), llama_n_threads_batch(ctx))));
    const bool paged = limits->pages != nullptr && mask->ne[1] <= limits->pages->what().max_tokens;
    limits->page_visible.assign(paged ? static_cast<size_t>(batch.tokens * pages) : 0, 0);
    for (int64_t token = 0; token < batch.tokens; token++) {
        const auto * row = reinterpret_cast<const uint16_t *>(
            static_cast<const char *>(mask->data) + token % mask->ne[1] * static_cast<int64_t>(mask->nb[1]) +
            token / mask->ne[1] * static_cast<int64_t>(mask->nb[3]));
        int64_t visible = 0;
        for (int64_t page = 0; page < pages; page++) {
            int of_page = 0;
            for (int64_t i = page * PAGE; i < std::min((page + 1) * PAGE, mask->ne[0]); i++) {
                of_page += row[i] != 0xFC00;
            }
            visible += of_page;
            if (paged) {
                limits->page_visible[static_cast<size_t>(token * pages + page)] = of_page > 0;
            }
        }
        limits->visible[static_cast<size_t>(token)] = visible;
    }
}

void gatun_rope::begin_decode() {
    problem.clear();
    if (watcher != nullptr) {
        watcher->begin_decode();
    }
}

void gatun_rope::abandon_batch() {
    if (watcher != nullptr) {
        watcher->abandon_batch();
    }
}

std::vector<int64_t> gatun_rope::observed_cells(llama_seq_id seq, const std::vector<uint32_t> & of) const {
    const int64_t first = cache->get_n_stream() > 1 ? static_cast<int64_t>(seq) * cache->get_size() : 0;
    std::vector<int64_t> cells;
    for (const uint32_t cell : of) {
        cells.push_back(first + cell);
    }
    return cells;
}

void gatun_rope::cells_copied(const llama_kv_cache * of, llama_seq_id seq, const std::vector<uint32_t> & from,
                              const std::vector<uint32_t> & to) {
    if (watcher != nullptr && of == cache) {
        watcher->carry(observed_cells(seq, from), observed_cells(seq, to));
    }
}

void gatun_rope::cells_written(const llama_kv_cache * of, llama_seq_id seq, const std::vector<uint32_t> & at) {
    if (watcher != nullptr && of == cache) {
        watcher->forget(observed_cells(seq, at));
    }
}
