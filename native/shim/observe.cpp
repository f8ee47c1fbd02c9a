// Observation of attention: what is kept, and how it is read.
#include "observe.hpp"

#include "rope.hpp"

#include "llama-context.h"
#include "llama-kv-cache.h"

#include <algorithm>

using gatun::attention_observer;
using gatun::fail;
using gatun::guarded;
using gatun::require;

namespace gatun {

attention_observer::attention_observer(const settings & settings)
    : set(settings), cells(settings.cells_of_stream * settings.streams) {
    if (set.heads) {
        head_sums.resize(head_at(set.layers, 0));
        head_maxima.resize(head_at(set.layers, 0));
    }
    queries.resize(query_at(set.layers, 0));
    query_positions.resize(static_cast<size_t>(set.query_tokens));
}

void attention_observer::reset() {
    for (thread_sums & of : threads) {
        std::fill(of.sums.begin(), of.sums.end(), 0.0f);
        std::fill(of.maxima.begin(), of.maxima.end(), 0.0f);
        std::fill(of.last.begin(), of.last.end(), 0.0f);
    }
    std::fill(head_sums.begin(), head_sums.end(), 0.0f);
    std::fill(head_maxima.begin(), head_maxima.end(), 0.0f);
    total = of_batch = first_kept = 0;
}

void attention_observer::forget(const std::vector<int64_t> & written) {
    for (const int64_t cell : written) {
        const auto at = static_cast<size_t>(cell);
        for (thread_sums & of : threads) {
            of.sums[at] = of.maxima[at] = of.last[at] = 0;
        }
        for (size_t i = at; i < head_sums.size(); i += static_cast<size_t>(cells)) {
            head_sums[i] = head_maxima[i] = 0;
        }
    }
}

void attention_observer::carry(const std::vector<int64_t> & from, const std::vector<int64_t> & to) {
    const auto copy = [&](std::vector<float> & values, size_t base) {
        for (size_t i = 0; i < from.size(); i++) {
            values[base + static_cast<size_t>(to[i])] = values[base + static_cast<size_t>(from[i])];
        }
    };
    for (thread_sums & of : threads) {
        copy(of.sums, 0);
        copy(of.maxima, 0);
        copy(of.last, 0);
    }
    for (size_t base = 0; base < head_sums.size(); base += static_cast<size_t>(cells)) {
        copy(head_sums, base);
        copy(head_maxima, base);
    }
}

void attention_observer::abandon_batch() {
    if (of_batch == 0) {
        return;
    }
    first_kept = std::max(first_kept, std::min(total - of_batch, total - set.query_tokens));
    total -= of_batch;
    of_batch = 0;
    heads_of_last = 0;
}

void attention_observer::begin_batch(const std::vector<int64_t> & written, const std::vector<uint8_t> & observed,
                                     const std::vector<int32_t> & positions, int n_threads) {
    while (static_cast<int>(threads.size()) < n_threads) {
        const auto n = static_cast<size_t>(cells);
        threads.push_back({std::vector<float>(n), std::vector<float>(n), std::vector<float>(n)});
    }
    forget(written);
    flags = observed;
    slots.assign(flags.size(), -1);
    last_token = -1;
    of_batch = std::count_if(flags.begin(), flags.end(), [](uint8_t f) { return f != 0; });
    if (of_batch == 0) {
        return;
    }
    int64_t ordinal = total;
    total += of_batch;
    for (size_t token = 0; token < flags.size(); token++) {
        if (flags[token] == 0) {
            continue;
        }
        last_token = static_cast<int64_t>(token);
        if (ordinal >= total - set.query_tokens) {
            slots[token] = static_cast<int32_t>(ordinal % set.query_tokens);
            query_positions[static_cast<size_t>(slots[token])] = positions[token];
        }
        ordinal++;
    }
    for (thread_sums & of : threads) {
        std::fill(of.last.begin(), of.last.end(), 0.0f);
    }
    heads_of_last = 0;
}

bool attention_observer::any(int64_t from, int64_t to) const {
    return std::any_of(flags.begin() + from, flags.begin() + to, [](uint8_t flag) { return flag != 0; });
}

float * attention_observer::query(int layer, int64_t token, int64_t head) {
    const int32_t slot = slots[static_cast<size_t>(token)];
    return slot < 0 ? nullptr : queries.data() + query_at(layer, slot) + head * set.head_size;
}

attention_observer::accumulators attention_observer::of(int thread, int layer, int64_t head, int64_t stream) {
    const int64_t at = stream * set.cells_of_stream;
    thread_sums & own = threads[static_cast<size_t>(thread)];
    accumulators to = {own.sums.data() + at, own.maxima.data() + at, own.last.data() + at, nullptr, nullptr};
    if (set.heads) {
        to.head_sums = head_sums.data() + head_at(layer, head) + at;
        to.head_maxima = head_maxima.data() + head_at(layer, head) + at;
    }
    return to;
}

float attention_observer::sum(int64_t cell) const {
    float sum = 0;
    for (const thread_sums & of : threads) {
        sum += of.sums[static_cast<size_t>(cell)];
    }
    return sum;
}

float attention_observer::maximum(int64_t cell) const {
    float most = 0;
    for (const thread_sums & of : threads) {
        most = std::max(most, of.maxima[static_cast<size_t>(cell)]);
    }
    return most;
}

float attention_observer::last(int64_t cell) const {
    float sum = 0;
    for (const thread_sums & of : threads) {
        sum += of.last[static_cast<size_t>(cell)];
    }
    return heads_of_last == 0 ? 0 : sum / static_cast<float>(heads_of_last);
}

std::vector<int32_t> attention_observer::kept_positions() const {
    std::vector<int32_t> positions;
    for (int64_t i = oldest_kept(); i < total; i++) {
        positions.push_back(query_positions[static_cast<size_t>(i % set.query_tokens)]);
    }
    return positions;
}

void attention_observer::kept_queries(float * to) const {
    const int64_t width = static_cast<int64_t>(set.n_heads) * set.head_size;
    for (int64_t layer = 0; layer < set.layers; layer++) {
        for (int64_t i = oldest_kept(); i < total; i++) {
            to = std::copy_n(queries.data() + query_at(layer, i % set.query_tokens), width, to);
        }
    }
}

} // namespace gatun

namespace {

gatun_rope & observable(llama_context * ctx) {
    require(ctx != nullptr, "ctx may not be NULL");
    gatun_rope * rope = gatun::rope_of(ctx);
    require(rope != nullptr, "the context was made without a gatun_rope");
    return *rope;
}

const attention_observer & observing(llama_context * ctx) {
    const gatun_rope & rope = observable(ctx);
    if (rope.observer() == nullptr) {
        fail("nothing is observed; call gatun_observe_begin first");
    }
    return *rope.observer();
}

// The cells of a sequence by position, as stream * size + cell.
struct ordered_cells {
    std::vector<std::pair<int32_t, int64_t>> cells;

    ordered_cells(llama_context * ctx, llama_seq_id seq) {
        const llama_kv_cache & cache = observable(ctx).attention_cache();
        require(seq >= 0 && static_cast<uint32_t>(seq) < llama_n_seq_max(ctx), "no such sequence");
        const int64_t first = cache.get_n_stream() == 1 ? 0 : static_cast<int64_t>(seq) * cache.get_size();
        const auto & of = cache.get_cells(seq);
        for (uint32_t i = 0; i < of.used_max_p1(); i++) {
            if (!of.is_empty(i) && of.seq_has(i, seq)) {
                cells.emplace_back(of.pos_get(i), first + i);
            }
        }
        std::sort(cells.begin(), cells.end());
    }

    void require_room(int32_t cap) const {
        if (static_cast<size_t>(std::max(cap, 0)) < cells.size()) {
            gatun::refuse("the sequence has " + std::to_string(cells.size()) + " cells and there is room for " +
                          std::to_string(cap));
        }
    }
};

} // namespace

int32_t gatun_attention_info(struct llama_context * ctx, llama_seq_id seq, struct gatun_attention_shape * out, char * err,
                             size_t err_cap) {
    return guarded("gatun_attention_info", err, err_cap, [&]() -> int32_t {
        require(out != nullptr, "out may not be NULL");
        const gatun_rope & rope = observable(ctx);
        const attention_observer::settings shape = rope.observed_shape();
        *out = {};
        out->cells = static_cast<int32_t>(ordered_cells(ctx, seq).cells.size());
        out->layers = shape.layers;
        out->heads = shape.n_heads;
        out->head_size = shape.head_size;
        if (rope.observer() != nullptr) {
            out->query_tokens = static_cast<int32_t>(rope.observer()->kept_positions().size());
            out->observed = rope.observer()->observed_queries();
        }
        return GATUN_OK;
    });
}

int32_t gatun_attention_layers(struct llama_context * ctx, int32_t cap, int32_t * layers, char * err, size_t err_cap) {
    return guarded("gatun_attention_layers", err, err_cap, [&]() -> int32_t {
        require(layers != nullptr, "layers may not be NULL");
        const gatun_rope & rope = observable(ctx);
        rope.attention_cache();
        const std::vector<int32_t> all = rope.attention_layers();
        require(cap >= static_cast<int32_t>(all.size()), "there is no room for all layers");
        std::copy(all.begin(), all.end(), layers);
        return GATUN_OK;
    });
}

int32_t gatun_observe_begin(struct llama_context * ctx, uint32_t flags, llama_seq_id seq, llama_pos first_position,
                            int32_t query_tokens, char * err, size_t err_cap) {
    return guarded("gatun_observe_begin", err, err_cap, [&]() -> int32_t {
        gatun_rope & rope = observable(ctx);
        require((flags & ~static_cast<uint32_t>(GATUN_OBSERVE_HEADS)) == 0, "flags has bits that mean nothing");
        require(seq >= -1 && seq < static_cast<llama_seq_id>(llama_n_seq_max(ctx)), "no such sequence");
        require(query_tokens >= 0 && query_tokens <= 4096, "query_tokens must be 0 to 4096");
        attention_observer::settings settings = rope.observed_shape();
        settings.sequence = seq;
        settings.first_position = first_position;
        settings.heads = (flags & GATUN_OBSERVE_HEADS) != 0;
        settings.query_tokens = query_tokens;
        rope.observe(std::make_unique<attention_observer>(settings));
        return GATUN_OK;
    });
}

int32_t gatun_observe_end(struct llama_context * ctx, char * err, size_t err_cap) {
    return guarded("gatun_observe_end", err, err_cap, [&]() -> int32_t {
        observable(ctx).observe(nullptr);
        return GATUN_OK;
    });
}

int32_t gatun_observe_reset(struct llama_context * ctx, char * err, size_t err_cap) {
    return guarded("gatun_observe_reset", err, err_cap, [&]() -> int32_t {
        if (attention_observer * observer = observable(ctx).observer()) {
            observer->reset();
        }
        return GATUN_OK;
    });
}

int32_t gatun_observe_scores(struct llama_context * ctx, llama_seq_id seq, int32_t cap, int32_t * positions, float * sums,
                             float * maxima, float * last, char * err, size_t err_cap) {
    return guarded("gatun_observe_scores", err, err_cap, [&]() -> int32_t {
        require(positions != nullptr && sums != nullptr && maxima != nullptr && last != nullptr, "no array may be NULL");
        const attention_observer & observer = observing(ctx);
        const ordered_cells order(ctx, seq);
        order.require_room(cap);
        for (size_t i = 0; i < order.cells.size(); i++) {
            const auto [position, cell] = order.cells[i];
            positions[i] = position;
            sums[i] = observer.sum(cell);
            maxima[i] = observer.maximum(cell);
            last[i] = observer.last(cell);
        }
        return GATUN_OK;
    });
}

int32_t gatun_observe_heads(struct llama_context * ctx, llama_seq_id seq, int32_t cap, float * sums, float * maxima,
                            char * err, size_t err_cap) {
    return guarded("gatun_observe_heads", err, err_cap, [&]() -> int32_t {
        require(sums != nullptr && maxima != nullptr, "no array may be NULL");
        const attention_observer & observer = observing(ctx);
        require(observer.what().heads, "heads are observed only with GATUN_OBSERVE_HEADS");
        const ordered_cells order(ctx, seq);
        order.require_room(cap);
        size_t at = 0;
        for (int32_t layer = 0; layer < observer.what().layers; layer++) {
            for (int32_t head = 0; head < observer.what().n_heads; head++) {
                for (const auto & cell : order.cells) {
                    sums[at] = observer.head_sum(layer, head, cell.second);
                    maxima[at++] = observer.head_maximum(layer, head, cell.second);
                }
            }
        }
        return GATUN_OK;
    });
}

int32_t gatun_observe_queries(struct llama_context * ctx, int32_t cap, int32_t * positions, float * queries, char * err,
                              size_t err_cap) {
    return guarded("gatun_observe_queries", err, err_cap, [&]() -> int32_t {
        require(positions != nullptr && queries != nullptr, "no array may be NULL");
        const attention_observer & observer = observing(ctx);
        const std::vector<int32_t> kept = observer.kept_positions();
        require(cap >= static_cast<int32_t>(kept.size()), "there is no room for all kept queries");
        std::copy(kept.begin(), kept.end(), positions);
        observer.kept_queries(queries);
        return GATUN_OK;
    });
}

int32_t gatun_memory_keys(struct llama_context * ctx, llama_seq_id seq, int32_t layer, int32_t cap, int32_t * positions,
                          float * keys, int32_t * width, char * err, size_t err_cap) {
    return guarded("gatun_memory_keys", err, err_cap, [&]() -> int32_t {
        require(width != nullptr, "width may not be NULL");
        require((positions != nullptr && keys != nullptr) || cap == 0, "arrays may be NULL only when cap is 0");
        gatun_rope & rope = observable(ctx);
        const std::vector<int32_t> layers = rope.attention_layers();
        require(std::find(layers.begin(), layers.end(), layer) != layers.end(), "the layer has no cells of the whole text");
        const ggml_tensor * storage = rope.attention_cache().get_k_storage(layer);
        const auto n = static_cast<int32_t>(storage->ne[0]);
        *width = n;
        if (cap == 0) {
            return GATUN_OK;
        }
        gatun::update_memory(ctx); // copies between streams wait for the next decode
        const ordered_cells order(ctx, seq);
        order.require_room(cap);
        const ggml_to_float_t convert = ggml_get_type_traits(storage->type)->to_float;
        for (const auto & [position, cell] : order.cells) {
            *positions++ = position;
            const char * row = static_cast<const char *>(storage->data) + static_cast<size_t>(cell) * storage->nb[1];
            if (storage->type == GGML_TYPE_F32) {
                std::memcpy(keys, row, sizeof(float) * static_cast<size_t>(n));
            } else {
                convert(row, keys, n);
            }
            if (rope.mixed_width() > 0) {
                gatun::two_band_unmix(keys, n, rope.mixed_width());
            }
            keys += n;
        }
        return GATUN_OK;
    });
}
