// The attention kernel. What is inlined into it is compiled for each instruction set together with it: it stands in
// headers.
#include "two_band.hpp"

#include "lanes.hpp"
#include "notes.hpp"
#include "page_attention.hpp"
#include "tiles.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace gatun {

// Flash attention: tiles of queries of the heads that share a key head, blocks of keys, a running maximum and sum. All
// arithmetic in float32. It is compiled once for each instruction set below and chosen at run time.

namespace {

// Buffers of one thread.
struct scratch {
    page_buffers pages;
    std::vector<float> queries, side_by_side, keys, near, keys_t, near_t, values, scores, other, sums, state, mask, turn, kept, full;
};

scratch & thread_scratch() {
    static thread_local scratch mine;
    return mine;
}

template <int R>
GATUN_INLINE void attend(ggml_tensor * dst, int ith, int nth, const two_band_layer & layer) {
    const two_band_batch & batch = *layer.batch;
    const two_band_map & map = batch.map;
    const ggml_tensor * q = dst->src[0]; // [d, tokens, heads, streams] float32
    const ggml_tensor * k = dst->src[1]; // [d, cells, key heads, streams]
    const ggml_tensor * v = dst->src[2]; // [dv, cells, key heads, streams]
    const ggml_tensor * mask = dst->src[3]; // [cells, tokens, 1, streams] float16
    const ggml_tensor * sinks = dst->src[4]; // [heads] float32 or NULL

    const int d = static_cast<int>(q->ne[0]);
    const int dv = static_cast<int>(v->ne[0]);
    const int dvp = (dv + LANES - 1) / LANES * LANES;
    const int64_t n_tokens = q->ne[1];
    const int64_t n_heads = q->ne[2];
    const int64_t n_streams = q->ne[3];
    const int64_t n_cells = k->ne[1];
    const int64_t n_key_heads = k->ne[2];
    const int64_t group = n_heads / n_key_heads;
    const int variants = map.variants();
    const bool turns = map.turns_near_keys();
    const bool plain = map.kind == far_kind::none;
    const size_t k_bytes = ggml_row_size(k->type, d);
    const size_t v_bytes = ggml_row_size(v->type, dv);
    const ggml_to_float_t k_float = ggml_get_type_traits(k->type)->to_float;
    const ggml_to_float_t v_float = ggml_get_type_traits(v->type)->to_float;
    // A unit of work: a tile of tokens, for heads that share a key head. With few units the heads are split up too.
    const int64_t tile = std::max<int64_t>(1, std::min(n_tokens, ROWS / group));
    const int64_t tiles = (n_tokens + tile - 1) / tile;
    // What observes adds up for each head: then one thread has all tiles of a head.
    attention_observer * observer = layer.observer;
    const int64_t units_apart = (observer != nullptr ? 1 : tiles) * n_key_heads * n_streams;
    const int64_t splits =
        std::clamp<int64_t>(std::max((nth + units_apart - 1) / units_apart, (group + ROWS - 1) / ROWS), 1, group);
    const int64_t heads_each = (group + splits - 1) / splits;
    const int64_t units = tiles * n_key_heads * n_streams * splits;
    const int64_t owners = observer != nullptr ? units_apart * splits : units;
    const int64_t cells_padded = (n_cells + BLOCK - 1) / BLOCK * BLOCK;

    scratch & s = thread_scratch();
    const int max_rows = static_cast<int>(tile * heads_each);
    const bool few = max_rows <= LANES;
    s.side_by_side.resize(few ? static_cast<size_t>(variants) * d * LANES : 0); // unused lanes are never read out
    s.queries.resize(static_cast<size_t>(variants) * max_rows * d);
    s.keys.resize(static_cast<size_t>(BLOCK) * d);
    s.near.resize(static_cast<size_t>(BLOCK) * d);
    s.keys_t.resize(static_cast<size_t>(BLOCK) * d);
    s.near_t.resize(static_cast<size_t>(BLOCK) * d);
    s.values.resize(static_cast<size_t>(BLOCK) * dvp); // nor is the padding of a row
    s.scores.resize(static_cast<size_t>(max_rows) * BLOCK);
    s.other.resize(static_cast<size_t>(max_rows) * BLOCK);
    s.sums.resize(static_cast<size_t>(max_rows) * dvp);
    s.state.resize(static_cast<size_t>(max_rows) * 2);
    s.mask.resize(static_cast<size_t>(tile) * BLOCK);
    s.turn.resize(static_cast<size_t>(batch.pairs) * 2);
    sparse_attention * sparse = layer.sparse;
    const bool patterned = sparse != nullptr && sparse->pattern.is_static();
    const bool paged = sparse != nullptr && sparse->pages != nullptr && n_tokens <= sparse->pages->what().max_tokens;
    const bool measured = sparse != nullptr && sparse->measure && (patterned || paged);
    if (observer != nullptr || measured) {
        s.kept.resize(static_cast<size_t>(max_rows) * static_cast<size_t>(cells_padded));
    }
    if (measured) {
        s.full.resize(s.kept.size());
    }

    for (int64_t unit = 0; unit < units; unit++) {
        if (unit % owners % nth != ith) {
            continue;
        }
        const int64_t split = unit % splits;
        const int64_t key_head = unit / splits % n_key_heads;
        const int64_t stream = unit / splits / n_key_heads % n_streams;
        const int64_t t0 = unit / splits / n_key_heads / n_streams * tile;
        const int64_t t1 = std::min(t0 + tile, n_tokens);
        const int64_t head0 = key_head * group + split * heads_each;
        const int64_t head1 = std::min(head0 + heads_each, (key_head + 1) * group);
        if (head0 >= head1) {
            continue;
        }
        const int heads = static_cast<int>(head1 - head0);
        const int rows = static_cast<int>(t1 - t0) * heads;
        const int32_t * query_positions = batch.positions.data() + stream * n_tokens;
        const int32_t * cell_positions = batch.cells[static_cast<size_t>(layer.first_stream + stream)].data();
        int32_t q_min = std::numeric_limits<int32_t>::max();
        int32_t q_max = 0;
        const bool observed = observer != nullptr && observer->any(stream * n_tokens + t0, stream * n_tokens + t1);

        for (int64_t t = t0; t < t1; t++) {
            const int64_t token = stream * n_tokens + t;
            q_min = std::min(q_min, query_positions[t]);
            q_max = std::max(q_max, query_positions[t]);
            const float scale = layer.scale * batch.query_scale[static_cast<size_t>(token)];
            for (int h = 0; h < heads; h++) {
                const int r = static_cast<int>(t - t0) * heads + h;
                float * raw = s.keys.data(); // free until the first block
                std::memcpy(raw, row_of(q, t, head0 + h, stream), sizeof(float) * static_cast<size_t>(d));
                if (layer.hadamard > 0 && !plain) {
                    mix(raw, d, layer.hadamard);
                }
                if (observed) {
                    capture(layer, *observer, token, head0 + h, raw, d, plain);
                }
                for (int i = 0; i < variants; i++) {
                    float * out = s.queries.data() + (static_cast<int64_t>(i) * max_rows + r) * d;
                    for (int x = 0; x < d; x++) {
                        out[x] = raw[x] * scale;
                    }
                    if (!plain) {
                        rotate(batch, batch.query_turn(i, token), out);
                    }
                    if (layer.hadamard > 0 && !plain && !(turns && i == 0)) {
                        mix(out, d, layer.hadamard); // it meets keys as the cache has them
                    }
                    if (few) {
                        float * lane = s.side_by_side.data() + static_cast<int64_t>(i) * d * LANES + r;
                        for (int x = 0; x < d; x++) {
                            lane[x * LANES] = out[x];
                        }
                    }
                }
            }
        }
        const bool keep = observed || measured;
        if (keep) {
            std::fill_n(s.kept.data(), rows * cells_padded, MINUS_INFINITY);
        }
        if (measured) {
            std::fill_n(s.full.data(), rows * cells_padded, MINUS_INFINITY);
        }
        bool some = false;
        page_queries unit_queries{};
        if (paged) {
            unit_queries.forms = s.queries.data();
            unit_queries.max_rows = max_rows;
            unit_queries.rows = rows;
            unit_queries.heads = heads;
            unit_queries.first_token = stream * n_tokens + t0;
            unit_queries.tile_token = t0;
            unit_queries.positions = query_positions + t0;
            unit_queries.q_min = q_min;
            unit_queries.q_max = q_max;
            for (int r = 0; r < rows && r < 64; r++) {
                unit_queries.slopes[r] =
                    layer.max_bias > 0 ? bias_slope(layer.max_bias, n_heads, head0 + r % heads) : 0.0f;
            }
            some = rows <= 64 && choose_pages(*sparse, layer, unit_queries, k, key_head, stream,
                                              layer.first_stream + stream, s.pages);
        }
        const auto first_stream = static_cast<size_t>(layer.first_stream + stream);
        std::fill_n(s.sums.data(), static_cast<size_t>(rows) * dvp, 0.0f);
        float * maxima = s.state.data();
        float * totals = s.state.data() + max_rows;
        std::fill_n(maxima, rows, MINUS_INFINITY);
        std::fill_n(totals, rows, 0.0f);

        // The cells of the sequence by position, where they do not lie so.
        const std::vector<int32_t> * list = nullptr;
        if (!patterned && batch.scores == nullptr && first_stream < batch.order.size() &&
            !batch.order[first_stream].empty()) {
            list = &batch.order[first_stream];
        }
        int64_t attended = 0;
        // Two passes when it is measured: first the scores of all, then what is met.
        for (int pass = measured ? 0 : 1; pass < (some ? 1 : 2); pass++)
        for (int64_t c0 = 0, end = pass == 1 && list != nullptr ? static_cast<int64_t>(list->size()) : n_cells; c0 < end;
             c0 += BLOCK) {
            const int32_t * listed = pass == 1 && list != nullptr ? list->data() + c0 : nullptr;
            const auto cell = [&](int i) { return listed != nullptr ? listed[i] : c0 + i; };
            const int n = static_cast<int>(std::min<int64_t>(BLOCK, end - c0));
            const bool limited = patterned && pass == 1;
            if (limited) {
                const auto block = static_cast<size_t>(c0 / BLOCK);
                const int32_t newest = batch.greatest[first_stream][block];
                if (newest < 0 || sparse->pattern.hides_all(q_min, q_max, batch.least[first_stream][block], newest)) {
                    continue;
                }
            }
            // What the mask lets through.
            bool visible = false;
            for (int64_t t = t0; t < t1; t++) {
                float * m = s.mask.data() + (t - t0) * BLOCK;
                const uint16_t * from = mask == nullptr
                                            ? nullptr
                                            : reinterpret_cast<const uint16_t *>(row_of(mask, t, 0, stream));
                uint16_t gathered[BLOCK];
                if (listed != nullptr && from != nullptr) {
                    for (int i = 0; i < n; i++) {
                        gathered[i] = from[listed[i]];
                    }
                    from = gathered;
                } else if (from != nullptr) {
                    from += c0;
                }
                int hidden = 0;
                for (int i = 0; i < n; i++) {
                    const bool is_hidden = from != nullptr && from[i] == 0xFC00;
                    m[i] = is_hidden ? MINUS_INFINITY : from != nullptr ? half_to_float(from[i]) : 0.0f;
                    hidden += is_hidden;
                }
                for (int i = 0; limited && i < n; i++) {
                    if (m[i] != MINUS_INFINITY && sparse->pattern.hides(query_positions[t], cell_positions[c0 + i])) {
                        m[i] = MINUS_INFINITY;
                        hidden++;
                    }
                }
                for (int i = n; i < BLOCK; i++) {
                    m[i] = MINUS_INFINITY;
                }
                visible |= hidden < n;
                attended += pass == 1 ? (n - hidden) * heads : 0;
            }
            if (!visible && batch.scores == nullptr) {
                continue;
            }
            // A cache of many cells is not where the processor expects it: a head's rows stand apart.
            for (int i = 0; i < n; i++) {
                prefetch(row_of(v, cell(i), key_head, stream), v_bytes);
            }
            for (int64_t i = c0 + BLOCK; i < std::min(c0 + 2 * BLOCK, end); i++) {
                prefetch(row_of(k, listed != nullptr ? listed[i - c0] : i, key_head, stream), k_bytes);
            }
            // Keys: float32, and transposed so that the product runs along keys.
            int32_t k_min = std::numeric_limits<int32_t>::max();
            int32_t k_max = 0;
            for (int i = 0; i < BLOCK; i++) {
                float * row = s.keys.data() + static_cast<int64_t>(i) * d;
                if (i < n) {
                    to_float(k->type, k_float, row_of(k, cell(i), key_head, stream), row, d);
                    k_min = std::min(k_min, cell_positions[cell(i)]);
                    k_max = std::max(k_max, cell_positions[cell(i)]);
                } else {
                    std::fill_n(row, d, 0.0f);
                }
            }
            // Which forms of the query meet keys of this block: from the nearest pair to the farthest.
            const int nearest = map.variant(q_min, k_max);
            const int farthest = map.variant(q_max, k_min);
            if (turns && nearest == 0) {
                std::copy_n(s.keys.data(), static_cast<size_t>(BLOCK) * d, s.near.data());
                for (int i = 0; i < n; i++) {
                    float * row = s.near.data() + static_cast<int64_t>(i) * d;
                    if (layer.hadamard > 0) {
                        mix(row, d, layer.hadamard);
                    }
                    batch.turns.at(map.turn_index(cell_positions[cell(i)]), s.turn.data());
                    rotate(batch, s.turn.data(), row);
                }
            }
            if (!few && (!turns || farthest > 0)) {
                transpose(s.keys.data(), s.keys_t.data(), d);
            }
            if (!few && turns && nearest == 0) {
                transpose(s.near.data(), s.near_t.data(), d);
            }
            for (int form = nearest; form <= farthest; form++) {
                const bool turned = turns && form == 0;
                float * c = form == nearest ? s.scores.data() : s.other.data();
                if (few) {
                    score_few(s.side_by_side.data() + static_cast<int64_t>(form) * d * LANES,
                              turned ? s.near.data() : s.keys.data(), c, rows, d);
                } else {
                    multiply<R>(s.queries.data() + static_cast<int64_t>(form) * max_rows * d, d,
                                turned ? s.near_t.data() : s.keys_t.data(), BLOCK, c, BLOCK, rows, BLOCK, d, false);
                }
                if (form != nearest) {
                    for (int r = 0; r < rows; r++) {
                        const int32_t position = query_positions[t0 + r / heads];
                        for (int i = 0; i < n; i++) {
                            if (map.variant(position, cell_positions[cell(i)]) == form) {
                                s.scores[static_cast<size_t>(r) * BLOCK + i] =
                                    s.other[static_cast<size_t>(r) * BLOCK + i];
                            }
                        }
                    }
                }
            }
            if (batch.scores != nullptr) {
                for (int r = 0; r < rows; r++) {
                    const int64_t head = head0 + r % heads;
                    float * out = batch.scores + (head * n_tokens + t0 + r / heads) * n_cells + c0;
                    std::copy_n(s.scores.data() + static_cast<int64_t>(r) * BLOCK, n, out);
                }
                if (!visible) {
                    continue;
                }
            }
            if (pass == 0) {
                for (int r = 0; r < rows; r++) {
                    const float * m = s.mask.data() + static_cast<int64_t>(r / heads) * BLOCK;
                    const float slope =
                        layer.max_bias > 0 ? bias_slope(layer.max_bias, n_heads, head0 + r % heads) : 1.0f;
                    for (int i = 0; i < n; i++) {
                        const float x = s.scores[static_cast<size_t>(r) * BLOCK + i];
                        s.full[static_cast<size_t>(r * cells_padded + c0 + i)] =
                            (layer.softcap > 0 ? layer.softcap * std::tanh(x) : x) + m[i] * slope;
                    }
                }
                continue;
            }
            for (int i = 0; i < n; i++) {
                to_float(v->type, v_float, row_of(v, cell(i), key_head, stream), s.values.data() + i * dvp, dv);
            }
            // Softmax, carried on from the blocks before.
            for (int r = 0; r < rows; r++) {
                float * row = s.scores.data() + static_cast<int64_t>(r) * BLOCK;
                const float * m = s.mask.data() + static_cast<int64_t>(r / heads) * BLOCK;
                if (layer.softcap > 0) {
                    for (int i = 0; i < BLOCK; i++) {
                        row[i] = layer.softcap * std::tanh(row[i]);
                    }
                }
                const float slope = layer.max_bias > 0 ? bias_slope(layer.max_bias, n_heads, head0 + r % heads) : 1.0f;
                lanes best = splat(MINUS_INFINITY);
                for (int i = 0; i < BLOCK; i += LANES) {
                    const lanes x = load(row + i) + load(m + i) * slope;
                    store(row + i, x);
                    best = x > best ? x : best;
                }
                if (keep) {
                    for (int i = 0; i < n; i++) {
                        s.kept[static_cast<size_t>(r * cells_padded + cell(i))] = row[i];
                    }
                }
                const float maximum = std::max(maxima[r], max_of(best));
                if (maximum == MINUS_INFINITY) {
                    std::fill_n(row, BLOCK, 0.0f);
                    continue;
                }
                if (maximum > maxima[r]) {
                    const float shrink = maxima[r] == MINUS_INFINITY ? 0.0f : std::exp(maxima[r] - maximum);
                    totals[r] *= shrink;
                    float * sum = s.sums.data() + static_cast<int64_t>(r) * dvp;
                    for (int x = 0; x < dvp; x++) {
                        sum[x] *= shrink;
                    }
                    maxima[r] = maximum;
                }
                lanes total = {};
                for (int i = 0; i < BLOCK; i += LANES) {
                    const lanes p = exp_lanes(load(row + i) - maximum);
                    store(row + i, p);
                    total += p;
                }
                totals[r] += sum_of(total);
            }
            multiply<R>(s.scores.data(), BLOCK, s.values.data(), dvp, s.sums.data(), dvp, rows, dvp, n, true);
        }
        if (some) {
            attended = attend_pages(layer, unit_queries, k, v, mask, key_head, stream, s.pages,
                                    {s.sums.data(), dvp, maxima, totals, keep ? s.kept.data() : nullptr, cells_padded});
        }

        for (int r = 0; r < rows; r++) {
            const int64_t head = head0 + r % heads;
            const int64_t token = stream * n_tokens + t0 + r / heads;
            float total = totals[r];
            float shrink = 1;
            if (sinks != nullptr) {
                const float sink = static_cast<const float *>(sinks->data)[head];
                const float maximum = std::max(maxima[r], sink);
                shrink = maxima[r] == MINUS_INFINITY ? 0.0f : std::exp(maxima[r] - maximum);
                total = total * shrink + std::exp(sink - maximum);
            }
            const float factor = total > 0 ? shrink / total : 0.0f;
            if (measured) {
                measure(sparse->counts[static_cast<size_t>(ith)], s.full.data() + r * cells_padded,
                        s.kept.data() + r * cells_padded, n_cells);
            }
            if (observed && observer->observes(token) && factor > 0) {
                record(*observer, layer, ith, token, head, layer.first_stream + stream, n_cells,
                       s.kept.data() + r * cells_padded, maxima[r], factor);
            }
            float * out = static_cast<float *>(dst->data) + (token * n_heads + head) * dv;
            const float * sum = s.sums.data() + static_cast<int64_t>(r) * dvp;
            for (int x = 0; x < dv; x++) {
                out[x] = sum[x] * factor;
            }
        }
        if (patterned || paged) {
            sparse_counts & counts = sparse->counts[static_cast<size_t>(ith)];
            counts.rows += rows;
            counts.attended += attended;
            for (int64_t t = t0; t < t1; t++) {
                counts.visible += sparse->visible[static_cast<size_t>(stream * n_tokens + t)] * heads;
            }
        }
    }
}

void attend_any(ggml_tensor * dst, int ith, int nth, const two_band_layer & layer) {
    attend<4>(dst, ith, nth, layer);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma,f16c"))) void attend_avx2(ggml_tensor * dst, int ith, int nth,
                                                           const two_band_layer & layer) {
    attend<4>(dst, ith, nth, layer);
}

__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c"))) void attend_avx512(
    ggml_tensor * dst, int ith, int nth, const two_band_layer & layer) {
    attend<8>(dst, ith, nth, layer);
}
#endif

using attend_function = void (*)(ggml_tensor *, int, int, const two_band_layer &);

attend_function choose() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq")) {
        return attend_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return attend_avx2;
    }
#endif
    return attend_any;
}

} // namespace

void two_band_attention(ggml_tensor * dst, int ith, int nth, void * userdata) {
    static const attend_function function = choose();
    function(dst, ith, nth, *static_cast<const two_band_layer *>(userdata));
}

} // namespace gatun
