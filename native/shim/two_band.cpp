// The attention kernel, and the maps behind it. One file although it is long: what is inlined into the kernel is
// compiled for each instruction set together with it.
#include "two_band.hpp"

#include "lanes.hpp"
#include "observe.hpp"
#include "page_attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace gatun {

double two_band_map::key_position(int32_t p) const {
    switch (kind) {
        case far_kind::self_extend: return p / group;
        case far_kind::re_rope: return 0;
        case far_kind::leaky_re_rope: return p / factor;
        case far_kind::dual_chunk: return p % stride();
        case far_kind::none: break;
    }
    return p;
}

double two_band_map::query_position(int variant, int32_t p) const {
    if (kind == far_kind::dual_chunk) {
        const int32_t local = p % stride();
        return variant == 0 ? local : variant == 1 ? std::min(local + stride(), chunk - 1) : chunk - 1;
    }
    if (variant == 0) {
        return p;
    }
    switch (kind) {
        case far_kind::self_extend: return p / group + window - window / group;
        case far_kind::re_rope: return window;
        case far_kind::leaky_re_rope: return p / factor + window - window / factor;
        case far_kind::dual_chunk:
        case far_kind::none: break;
    }
    return p;
}

int two_band_map::variant(int32_t query, int32_t key) const {
    if (kind == far_kind::dual_chunk) {
        return std::clamp(query / stride() - key / stride(), 0, 2);
    }
    return kind == far_kind::none || query - key < window ? 0 : 1;
}

int32_t two_band_map::turn_index(int32_t p) const {
    return kind == far_kind::self_extend ? p - p / group : p;
}

double two_band_map::turn_scale() const {
    return kind == far_kind::leaky_re_rope ? 1 - 1 / factor : 1;
}

namespace {

constexpr int LOW_BITS = 8;

void append_turns(std::vector<float> & table, const std::vector<double> & frequencies, double position) {
    for (const double frequency : frequencies) {
        table.push_back(static_cast<float>(std::cos(position * frequency)));
        table.push_back(static_cast<float>(std::sin(position * frequency)));
    }
}

} // namespace

void phase_table::reset(std::vector<double> with) {
    frequencies = std::move(with);
    low.clear();
    high.clear();
    for (int p = 0; p < 1 << LOW_BITS; p++) {
        append_turns(low, frequencies, p);
    }
}

void phase_table::reserve(int32_t end) {
    const size_t rows = (static_cast<size_t>(std::max(end, 1)) >> LOW_BITS) + 1;
    for (size_t row = high.size() / (frequencies.size() * 2); row < rows; row++) {
        append_turns(high, frequencies, static_cast<double>(row << LOW_BITS));
    }
}

void phase_table::at(int32_t position, float * out) const {
    const size_t width = frequencies.size() * 2;
    const float * a = low.data() + static_cast<size_t>(position & ((1 << LOW_BITS) - 1)) * width;
    const float * b = high.data() + static_cast<size_t>(position >> LOW_BITS) * width;
    for (size_t i = 0; i < width; i += 2) {
        out[i] = a[i] * b[i] - a[i + 1] * b[i + 1];
        out[i + 1] = a[i + 1] * b[i] + a[i] * b[i + 1];
    }
}

// ---- the kernel -------------------------------------------------------------------------------------------------------
// Flash attention: tiles of queries of the heads that share a key head, blocks of keys, a running maximum and sum. All
// arithmetic in float32. It is compiled once for each instruction set below and chosen at run time.

namespace {

constexpr int BLOCK = 64; // keys at a time
constexpr int ROWS = 64;  // query rows at a time, about

// c[r][n] = or += sum_k a[r][k] b[k][n], for `R` rows; n a multiple of LANES.
template <int R>
GATUN_INLINE void multiply_rows(const float * a, int lda, const float * b, int ldb, float * c, int ldc, int n, int k,
                                bool add) {
    for (int n0 = 0; n0 < n; n0 += LANES) {
        lanes sum[R];
        for (int r = 0; r < R; r++) {
            sum[r] = add ? load(c + r * ldc + n0) : lanes{};
        }
        for (int i = 0; i < k; i++) {
            const lanes bi = load(b + static_cast<int64_t>(i) * ldb + n0);
            for (int r = 0; r < R; r++) {
                sum[r] += a[r * lda + i] * bi;
            }
        }
        for (int r = 0; r < R; r++) {
            store(c + r * ldc + n0, sum[r]);
        }
    }
}

template <int R>
GATUN_INLINE void multiply(const float * a, int lda, const float * b, int ldb, float * c, int ldc, int rows, int n, int k,
                           bool add) {
    int r = 0;
    for (; r + R <= rows; r += R) {
        multiply_rows<R>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
    }
    if (R > 4 && r + 4 <= rows) {
        multiply_rows<4>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
        r += 4;
    }
    if (r + 2 <= rows) {
        multiply_rows<2>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
        r += 2;
    }
    if (r < rows) {
        multiply_rows<1>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
    }
}

// Scores of a few query rows, as when one token is decoded: the rows stand side by side in the lanes, so that the keys
// need not be transposed. queries: [d][LANES]; keys: [BLOCK][d]; scores: [rows][BLOCK].
GATUN_INLINE void score_few(const float * queries, const float * keys, float * scores, int rows, int d) {
    constexpr int KEYS = 4;
    for (int b = 0; b < BLOCK; b += KEYS) {
        lanes sum[KEYS] = {};
        const float * key = keys + static_cast<int64_t>(b) * d;
        for (int x = 0; x < d; x++) {
            const lanes q = load(queries + static_cast<int64_t>(x) * LANES);
            for (int i = 0; i < KEYS; i++) {
                sum[i] += key[i * d + x] * q;
            }
        }
        for (int i = 0; i < KEYS; i++) {
            for (int r = 0; r < rows; r++) {
                scores[r * BLOCK + b + i] = sum[i][r];
            }
        }
    }
}

// [BLOCK][d] to [d][BLOCK].
GATUN_INLINE void transpose(const float * from, float * to, int d) {
    for (int i = 0; i < BLOCK; i++) {
        for (int x = 0; x < d; x++) {
            to[static_cast<int64_t>(x) * BLOCK + i] = from[static_cast<int64_t>(i) * d + x];
        }
    }
}

// Buffers of one thread.
struct scratch {
    page_buffers pages;
    std::vector<float> queries, side_by_side, keys, near, keys_t, near_t, values, scores, other, sums, state, mask, turn, kept, full;
};

scratch & thread_scratch() {
    static thread_local scratch mine;
    return mine;
}

const char * row_of(const ggml_tensor * t, int64_t i1, int64_t i2, int64_t i3) {
    return static_cast<const char *>(t->data) + i1 * t->nb[1] + i2 * t->nb[2] + i3 * t->nb[3];
}

// The slope of a head, as ggml's attention has it.
GATUN_INLINE float bias_slope(float max_bias, int64_t n_heads, int64_t head) {
    int64_t power = 1;
    while (power * 2 <= n_heads) {
        power *= 2;
    }
    return head < power ? std::pow(std::exp2(-max_bias / static_cast<float>(power)), static_cast<float>(head + 1))
                        : std::pow(std::exp2(-max_bias / 2 / static_cast<float>(power)),
                                   static_cast<float>(2 * (head - power) + 1));
}

// Keeps an observed query as it was before the rotation.
GATUN_INLINE void capture(const two_band_layer & layer, attention_observer & observer, int64_t token, int64_t head,
                          const float * query, int d, bool plain) {
    float * to = observer.query(layer.index, token, head);
    if (to == nullptr) {
        return;
    }
    std::memcpy(to, query, sizeof(float) * static_cast<size_t>(d));
    if (!plain) {
        return; // it came without rotation, and is no longer mixed
    }
    if (layer.hadamard > 0) {
        mix(to, d, layer.hadamard);
    }
    const query_rotation & rotation = layer.rotation;
    const int pairs = static_cast<int>(rotation.frequencies.size());
    float * x = to + rotation.offset;
    float * y = x + (rotation.adjacent ? 1 : pairs);
    const int step = rotation.adjacent ? 2 : 1;
    const int32_t position = layer.batch->positions[static_cast<size_t>(token)];
    for (int i = 0; i < pairs; i++) {
        const double angle = position * rotation.frequencies[static_cast<size_t>(i)];
        const float c = static_cast<float>(std::cos(angle)) / rotation.length;
        const float s = static_cast<float>(std::sin(angle)) / rotation.length;
        const float a = x[i * step];
        const float b = y[i * step];
        x[i * step] = a * c + b * s;
        y[i * step] = b * c - a * s;
    }
}

// Adds the probabilities of one query of one head. scores: padded to whole blocks; they become the probabilities.
GATUN_INLINE void record(attention_observer & observer, const two_band_layer & layer, int thread, int64_t token,
                         int64_t head, int64_t stream, int64_t n_cells, float * scores, float maximum, float factor) {
    for (int64_t i = 0; i < n_cells; i += LANES) {
        store(scores + i, exp_lanes(load(scores + i) - maximum) * factor);
    }
    const auto add = [&](float * sums) {
        for (int64_t i = 0; i < n_cells; i++) {
            sums[i] += scores[i];
        }
    };
    const auto most = [&](float * maxima) {
        for (int64_t i = 0; i < n_cells; i++) {
            maxima[i] = std::max(maxima[i], scores[i]);
        }
    };
    const attention_observer::accumulators to = observer.of(thread, layer.index, head, stream);
    add(to.sums);
    most(to.maxima);
    if (observer.is_last(token)) {
        add(to.last);
    }
    if (to.head_sums != nullptr) {
        add(to.head_sums);
        most(to.head_maxima);
    }
}

// Adds how much of a query's full attention falls on what it met. full: scores of all cells; met: minus infinity where not.
GATUN_INLINE void measure(sparse_counts & counts, const float * full, const float * met, int64_t n_cells) {
    float most = MINUS_INFINITY;
    for (int64_t i = 0; i < n_cells; i++) {
        most = std::max(most, full[i]);
    }
    if (most == MINUS_INFINITY) {
        return;
    }
    double all = 0;
    double of_met = 0;
    for (int64_t i = 0; i < n_cells; i++) {
        const double weight = std::exp(static_cast<double>(full[i]) - most);
        all += weight;
        of_met += met[i] == MINUS_INFINITY ? 0 : weight;
    }
    counts.measured++;
    counts.recall += of_met / all;
    counts.least = std::min(counts.least, of_met / all);
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
    const int64_t splits = std::clamp<int64_t>((nth + units_apart - 1) / units_apart, 1, group);
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

        int64_t attended = 0;
        // Two passes when it is measured: first the scores of all, then what is met.
        for (int pass = measured ? 0 : 1; pass < (some ? 1 : 2); pass++)
        for (int64_t c0 = 0; c0 < n_cells; c0 += BLOCK) {
            const auto cell = [&](int i) { return c0 + i; };
            const int n = static_cast<int>(std::min<int64_t>(BLOCK, n_cells - c0));
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
                if (from != nullptr) {
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
            for (int64_t i = c0 + BLOCK; i < std::min(c0 + 2 * BLOCK, n_cells); i++) {
                prefetch(row_of(k, i, key_head, stream), k_bytes);
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

template <class Row>
void for_rows(ggml_tensor * dst, int ith, int nth, Row && row) {
    const ggml_tensor * from = dst->src[0];
    const int64_t heads = dst->ne[1];
    const int64_t n = heads * dst->ne[2];
    for (int64_t i = n * ith / nth; i < n * (ith + 1) / nth; i++) {
        const char * in = row_of(from, i % heads, i / heads, 0);
        float * out = reinterpret_cast<float *>(const_cast<char *>(row_of(dst, i % heads, i / heads, 0)));
        if (static_cast<const void *>(in) != out) {
            std::memcpy(out, in, sizeof(float) * static_cast<size_t>(dst->ne[0]));
        }
        row(i / heads, out);
    }
}

} // namespace

void two_band_copy(ggml_tensor * dst, int ith, int nth, void *) {
    for_rows(dst, ith, nth, [](int64_t, float *) {});
}

void two_band_rotate_keys(ggml_tensor * dst, int ith, int nth, void * userdata) {
    const auto & batch = *static_cast<const two_band_batch *>(userdata);
    for_rows(dst, ith, nth, [&](int64_t token, float * row) {
        rotate(batch, batch.key_turns.data() + token * batch.pairs * 2, row);
    });
}

void two_band_unmix(float * row, int width, int n) {
    mix(row, width, n);
}

void two_band_attention(ggml_tensor * dst, int ith, int nth, void * userdata) {
    static const attend_function function = choose();
    function(dst, ith, nth, *static_cast<const two_band_layer *>(userdata));
}

} // namespace gatun
