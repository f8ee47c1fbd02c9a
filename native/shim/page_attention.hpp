// Attention to the cells that matter most among the pages looked at. For the kernel's translation unit only.
//
// Of these pages all keys are scored; the best cells within the budget, by the sum of what the queries give them, and the
// pages that are met in any case get into the sum. Nothing is carried on: the scores of all fit side by side.
#pragma once

#include "page_choice.hpp"

namespace gatun {
namespace {

// Scores of 16 keys. keys: [16][stride]; queries: [R][width]; both padded with zeros to whole lanes.
template <int R>
GATUN_INLINE void score_sixteen(const float * keys, int stride, const float * queries, int width, float * out,
                                int64_t out_stride) {
    for (int i = 0; i < page_index::PAGE; i += 4) {
        lanes sums[4][R] = {};
        for (int x = 0; x < stride; x += LANES) {
            for (int j = 0; j < 4; j++) {
                const lanes key = load(keys + (i + j) * stride + x);
                for (int r = 0; r < R; r++) {
                    sums[j][r] += key * load(queries + r * width + x);
                }
            }
        }
        for (int r = 0; r < R; r++) {
            store_sums(out + r * out_stride + i, sums[0][r], sums[1][r], sums[2][r], sums[3][r]);
        }
    }
}

// sums[r][x] += weights[r][i] * values[i][x], for `n` values.
template <int R>
GATUN_INLINE void add_values(const float * weights, int64_t weight_stride, const float * values, int dvp, int n, float * sums) {
    for (int x = 0; x < dvp; x += LANES) {
        lanes of[R];
        for (int r = 0; r < R; r++) {
            of[r] = load(sums + r * dvp + x);
        }
        for (int i = 0; i < n; i++) {
            const lanes value = load(values + i * dvp + x);
            for (int r = 0; r < R; r++) {
                of[r] += weights[r * weight_stride + i] * value;
            }
        }
        for (int r = 0; r < R; r++) {
            store(sums + r * dvp + x, of[r]);
        }
    }
}

// What comes out, by row.
struct page_sums {
    float * sums; // [rows][dvp]: of the values, not divided yet
    int dvp;
    float * maxima;
    float * totals;
    float * kept; // [rows][kept_stride]: scores of the cells that are met; NULL: not wanted
    int64_t kept_stride;
};

// Attends to the pages in buffers.looked. Returns how many cells the rows met together.
GATUN_INLINE int64_t attend_pages(const two_band_layer & layer, const page_queries & q, const ggml_tensor * k,
                                  const ggml_tensor * v, const ggml_tensor * mask, int64_t key_head, int64_t stream,
                                  page_buffers & b, const page_sums & out) {
    constexpr int PAGE = page_index::PAGE;
    const two_band_batch & batch = *layer.batch;
    const two_band_map & map = batch.map;
    const int d = static_cast<int>(k->ne[0]);
    const int dv = static_cast<int>(v->ne[0]);
    const int width = static_cast<int>(page_index::row_bytes(d) / 2);
    const int stride = (d + LANES - 1) / LANES * LANES;
    const int64_t cells = k->ne[1];
    const int tokens = q.rows / q.heads;
    const int32_t * cell_positions = batch.cells[static_cast<size_t>(layer.first_stream + stream)].data();
    const ggml_to_float_t k_float = ggml_get_type_traits(k->type)->to_float;
    const ggml_to_float_t v_float = ggml_get_type_traits(v->type)->to_float;
    const size_t k_bytes = ggml_row_size(k->type, d);
    const size_t v_bytes = ggml_row_size(v->type, dv);
    const auto key = [&](int64_t cell) {
        return static_cast<const char *>(k->data) + cell * k->nb[1] + key_head * k->nb[2] + stream * k->nb[3];
    };
    const auto value = [&](int64_t cell) {
        return static_cast<const char *>(v->data) + cell * v->nb[1] + key_head * v->nb[2] + stream * v->nb[3];
    };
    const auto n_pages = static_cast<int64_t>(b.looked.size());
    const int64_t n = n_pages * PAGE;
    b.keys.assign(static_cast<size_t>(PAGE * stride), 0.0f);
    b.near.assign(static_cast<size_t>(PAGE * stride), 0.0f);
    b.scores.resize(static_cast<size_t>(q.rows * n));
    b.weights.resize(static_cast<size_t>(q.rows * n));
    b.gathered.resize(static_cast<size_t>(q.rows * PAGE));
    b.rows.resize(static_cast<size_t>(batch.pairs) * 2);

    for (int64_t i = 0; i < n_pages; i++) {
        const int64_t from = static_cast<int64_t>(b.looked[static_cast<size_t>(i)]) * PAGE;
        const int here = static_cast<int>(std::min<int64_t>(PAGE, cells - from));
        if (i + 1 < n_pages) {
            const int64_t next = static_cast<int64_t>(b.looked[static_cast<size_t>(i + 1)]) * PAGE;
            for (int j = 0; j < PAGE && next + j < cells; j++) {
                prefetch(key(next + j), k_bytes);
            }
        }
        int32_t oldest = std::numeric_limits<int32_t>::max();
        int32_t newest = 0;
        for (int j = 0; j < here; j++) {
            to_float(k->type, k_float, key(from + j), b.keys.data() + j * stride, d);
            oldest = std::min(oldest, cell_positions[from + j]);
            newest = std::max(newest, cell_positions[from + j]);
        }
        for (int j = here; j < PAGE; j++) {
            std::fill_n(b.keys.data() + j * stride, d, 0.0f);
        }
        const int nearest = map.variant(q.q_min, newest);
        const int farthest = map.variant(q.q_max, oldest);
        for (int form = nearest; form <= farthest; form++) {
            const float * keys = b.keys.data();
            if (form == 0 && map.turns_near_keys()) {
                std::copy(b.keys.begin(), b.keys.end(), b.near.begin());
                for (int j = 0; j < here; j++) {
                    float * row = b.near.data() + j * stride;
                    if (layer.hadamard > 0) {
                        mix(row, d, layer.hadamard);
                    }
                    batch.turns.at(map.turn_index(cell_positions[from + j]), b.rows.data());
                    rotate(batch, b.rows.data(), row);
                }
                keys = b.near.data();
            }
            const float * queries = form_of(b, form, q.rows, width);
            float * scores = form == nearest ? b.scores.data() + i * PAGE : b.gathered.data();
            const int64_t apart = form == nearest ? n : PAGE;
            int r = 0;
            for (; r + 2 <= q.rows; r += 2) {
                score_sixteen<2>(keys, stride, queries + r * width, width, scores + r * apart, apart);
            }
            if (r < q.rows) {
                score_sixteen<1>(keys, stride, queries + r * width, width, scores + r * apart, apart);
            }
            for (r = 0; r < q.rows && form != nearest; r++) {
                for (int j = 0; j < here; j++) {
                    if (map.variant(q.positions[r / q.heads], cell_positions[from + j]) == form) {
                        b.scores[static_cast<size_t>(r * n + i * PAGE + j)] = scores[r * PAGE + j];
                    }
                }
            }
        }
        for (int t = 0; t < tokens; t++) {
            float of_mask[PAGE];
            for (int j = 0; j < PAGE; j++) {
                uint16_t half = 0xFC00;
                if (j < here) {
                    half = mask == nullptr ? uint16_t{0}
                                           : reinterpret_cast<const uint16_t *>(
                                                 static_cast<const char *>(mask->data) + (q.tile_token + t) * mask->nb[1] +
                                                 stream * mask->nb[3])[from + j];
                }
                of_mask[j] = half == 0xFC00 ? MINUS_INFINITY : half_to_float(half);
            }
            for (int r = t * q.heads; r < (t + 1) * q.heads; r++) {
                float * scores = b.scores.data() + r * n + i * PAGE;
                for (int j = 0; j < PAGE && layer.softcap > 0; j++) {
                    scores[j] = layer.softcap * std::tanh(scores[j]);
                }
                store(scores, load(scores) + load(of_mask) * (layer.max_bias > 0 ? q.slopes[r] : 1.0f));
            }
        }
    }

    b.shares.assign(static_cast<size_t>(n), 0.0f);
    for (int r = 0; r < q.rows; r++) {
        const float * scores = b.scores.data() + r * n;
        float * weights = b.weights.data() + r * n;
        lanes best = splat(MINUS_INFINITY);
        for (int64_t i = 0; i < n; i += LANES) {
            const lanes x = load(scores + i);
            best = x > best ? x : best;
        }
        out.maxima[r] = max_of(best);
        if (out.maxima[r] == MINUS_INFINITY) {
            std::fill_n(weights, n, 0.0f);
            continue;
        }
        lanes total = {};
        for (int64_t i = 0; i < n; i += LANES) {
            const lanes x = exp_lanes(load(scores + i) - out.maxima[r]);
            store(weights + i, x);
            total += x;
        }
        const float share = 1 / sum_of(total);
        for (int64_t i = 0; i < n; i += LANES) {
            store(b.shares.data() + i, load(b.shares.data() + i) + positive(load(weights + i) * share));
        }
    }

    // Those that are met in any case, then the best of the others.
    const auto always = static_cast<int64_t>(b.always) * PAGE;
    const int64_t budget = std::min<int64_t>(layer.sparse->pages->what().budget_tokens / PAGE * PAGE, n - always);
    take_best(b.shares.data() + always, n - always, budget, b.best);
    b.chosen.clear();
    for (int64_t i = 0; i < always; i++) {
        b.chosen.push_back(static_cast<int32_t>(i));
    }
    for (const int32_t i : b.best) {
        b.chosen.push_back(static_cast<int32_t>(always) + i);
    }
    const auto cell_of = [&](size_t i) {
        const int32_t at = b.chosen[i];
        return std::min<int64_t>(static_cast<int64_t>(b.looked[static_cast<size_t>(at / PAGE)]) * PAGE + at % PAGE, cells - 1);
    };
    const size_t count = b.chosen.size();
    constexpr size_t AHEAD = 16;
    for (size_t i = 0; i < std::min(count, AHEAD); i++) {
        prefetch(value(cell_of(i)), v_bytes);
    }
    b.values.resize(static_cast<size_t>(PAGE * out.dvp));
    int64_t met = 0;
    for (size_t i = 0; i < count; i += PAGE) {
        const int here = static_cast<int>(std::min<size_t>(PAGE, count - i));
        for (size_t j = i + AHEAD; j < std::min(count, i + AHEAD + PAGE); j++) {
            prefetch(value(cell_of(j)), v_bytes);
        }
        for (int j = 0; j < here; j++) {
            const size_t at = i + static_cast<size_t>(j);
            to_float(v->type, v_float, value(cell_of(at)), b.values.data() + j * out.dvp, dv);
            for (int r = 0; r < q.rows; r++) {
                const auto of = static_cast<size_t>(r * n + b.chosen[at]);
                b.gathered[static_cast<size_t>(r * PAGE + j)] = b.weights[of];
                out.totals[r] += b.weights[of];
                met += b.scores[of] != MINUS_INFINITY;
                if (out.kept != nullptr && b.scores[of] != MINUS_INFINITY) {
                    out.kept[r * out.kept_stride + cell_of(at)] = b.scores[of];
                }
            }
        }
        int r = 0;
        for (; r + 2 <= q.rows; r += 2) {
            add_values<2>(b.gathered.data() + r * PAGE, PAGE, b.values.data(), out.dvp, here, out.sums + r * out.dvp);
        }
        if (r < q.rows) {
            add_values<1>(b.gathered.data() + r * PAGE, PAGE, b.values.data(), out.dvp, here, out.sums + r * out.dvp);
        }
    }
    return met;
}

} // namespace
} // namespace gatun
