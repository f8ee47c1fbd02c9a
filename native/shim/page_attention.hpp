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

// Two halves of a word each as a float, times 2^-112.
constexpr float HALF_SCALE = 0x1p112f;
constexpr int PAIRS = 2 * LANES; // halves of a vector of words

GATUN_INLINE lanes even_halves(ilanes words) {
    return (lanes)(((words << 16) >> 3) & static_cast<int32_t>(0x8fffe000u));
}

GATUN_INLINE lanes odd_halves(ilanes words) {
    return (lanes)((words >> 3) & static_cast<int32_t>(0x8fffe000u));
}

GATUN_INLINE ilanes load_words(const void * from) {
    ilanes words;
    std::memcpy(&words, from, sizeof(words));
    return words;
}

// The same of keys in 16-bit floats as they lie in the cache. queries: [R][width], times HALF_SCALE, for each 32
// dimensions the even ones before the odd ones.
template <int R>
GATUN_INLINE void score_sixteen_halves(const char * const * keys, int d, const float * queries, int width, float * out,
                                       int64_t out_stride) {
    for (int i = 0; i < page_index::PAGE; i += 4) {
        lanes sums[4][R] = {};
        for (int x = 0; x < d; x += PAIRS) {
            for (int j = 0; j < 4; j++) {
                const ilanes words = load_words(keys[i + j] + x * 2);
                const lanes even = even_halves(words);
                const lanes odd = odd_halves(words);
                for (int r = 0; r < R; r++) {
                    sums[j][r] += even * load(queries + r * width + x);
                    sums[j][r] += odd * load(queries + r * width + x + LANES);
                }
            }
        }
        for (int r = 0; r < R; r++) {
            store_sums(out + r * out_stride + i, sums[0][r], sums[1][r], sums[2][r], sums[3][r]);
        }
    }
}

// The same of 16-bit floats. weights: times HALF_SCALE; sums: for each 32 dimensions the even ones before the odd ones.
template <int R>
GATUN_INLINE void add_halves(const float * weights, int64_t weight_stride, const char * const * values, int dv, int n,
                             float * sums, int stride) {
    for (int x = 0; x < dv; x += PAIRS) {
        lanes even[R];
        lanes odd[R];
        for (int r = 0; r < R; r++) {
            even[r] = load(sums + r * stride + x);
            odd[r] = load(sums + r * stride + x + LANES);
        }
        for (int i = 0; i < n; i++) {
            const ilanes words = load_words(values[i] + x * 2);
            const lanes evens = even_halves(words);
            const lanes odds = odd_halves(words);
            for (int r = 0; r < R; r++) {
                even[r] += weights[r * weight_stride + i] * evens;
                odd[r] += weights[r * weight_stride + i] * odds;
            }
        }
        for (int r = 0; r < R; r++) {
            store(sums + r * stride + x, even[r]);
            store(sums + r * stride + x + LANES, odd[r]);
        }
    }
}

// 32 floats with the even ones first, and back.
GATUN_INLINE void split_pairs(const float * from, float * to, float scale) {
    for (int i = 0; i < LANES; i++) {
        to[i] = from[2 * i] * scale;
        to[LANES + i] = from[2 * i + 1] * scale;
    }
}

GATUN_INLINE void join_pairs(float * pairs) {
    float split[PAIRS];
    std::copy_n(pairs, PAIRS, split);
    for (int i = 0; i < LANES; i++) {
        pairs[2 * i] = split[i];
        pairs[2 * i + 1] = split[LANES + i];
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
    b.scores.resize(static_cast<size_t>(q.rows * n));
    b.weights.resize(static_cast<size_t>(q.rows * n));
    b.other.resize(static_cast<size_t>(q.rows * PAGE));
    b.rows.resize(static_cast<size_t>(batch.pairs) * 2);
    const bool key_halves = k->type == GGML_TYPE_F16 && d % PAIRS == 0;
    if (key_halves) {
        b.split.resize(static_cast<size_t>(map.variants() * q.rows * width));
        for (int row = 0; row < map.variants() * q.rows; row++) {
            const float * from = form_of(b, row / q.rows, q.rows, width) + row % q.rows * width;
            for (int x = 0; x < d; x += PAIRS) {
                split_pairs(from + x, b.split.data() + row * width + x, HALF_SCALE);
            }
        }
    }

    for (int64_t i = 0; i < n_pages; i++) {
        const int64_t from = static_cast<int64_t>(b.looked[static_cast<size_t>(i)]) * PAGE;
        const int here = static_cast<int>(std::min<int64_t>(PAGE, cells - from));
        if (i + 1 < n_pages) {
            const int64_t next = static_cast<int64_t>(b.looked[static_cast<size_t>(i + 1)]) * PAGE;
            for (int j = 0; j < PAGE && next + j < cells; j++) {
                prefetch(key(next + j), k_bytes);
            }
        }
        int32_t oldest = 0;
        int32_t newest = 0;
        if (map.kind != far_kind::none) {
            const auto ends = std::minmax_element(cell_positions + from, cell_positions + from + here);
            oldest = *ends.first;
            newest = *ends.second;
        }
        const int nearest = map.variant(q.q_min, newest);
        const int farthest = map.variant(q.q_max, oldest);
        for (int form = nearest; form <= farthest; form++) {
            const bool turned = form == 0 && map.turns_near_keys();
            float * scores = form == nearest ? b.scores.data() + i * PAGE : b.other.data();
            const int64_t apart = form == nearest ? n : PAGE;
            int r = 0;
            if (key_halves && !turned) {
                const char * keys[PAGE];
                for (int j = 0; j < PAGE; j++) {
                    keys[j] = key(from + std::min(j, here - 1));
                }
                const float * queries = b.split.data() + static_cast<int64_t>(form * q.rows) * width;
                for (; r + 2 <= q.rows; r += 2) {
                    score_sixteen_halves<2>(keys, d, queries + r * width, width, scores + r * apart, apart);
                }
                if (r < q.rows) {
                    score_sixteen_halves<1>(keys, d, queries + r * width, width, scores + r * apart, apart);
                }
            } else {
                for (int j = 0; j < PAGE; j++) {
                    float * row = b.keys.data() + j * stride;
                    to_float(k->type, k_float, key(from + std::min(j, here - 1)), row, d);
                    if (turned && layer.hadamard > 0) {
                        mix(row, d, layer.hadamard);
                    }
                    if (turned) {
                        batch.turns.at(map.turn_index(cell_positions[from + std::min(j, here - 1)]), b.rows.data());
                        rotate(batch, b.rows.data(), row);
                    }
                }
                const float * queries = form_of(b, form, q.rows, width);
                for (; r + 2 <= q.rows; r += 2) {
                    score_sixteen<2>(b.keys.data(), stride, queries + r * width, width, scores + r * apart, apart);
                }
                if (r < q.rows) {
                    score_sixteen<1>(b.keys.data(), stride, queries + r * width, width, scores + r * apart, apart);
                }
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
            uint16_t halves[PAGE] = {};
            if (mask != nullptr) {
                std::memcpy(halves,
                            static_cast<const char *>(mask->data) + (q.tile_token + t) * mask->nb[1] +
                                stream * mask->nb[3] + from * static_cast<int64_t>(sizeof(uint16_t)),
                            static_cast<size_t>(here) * sizeof(uint16_t));
            }
            std::fill(halves + here, halves + PAGE, uint16_t{0xFC00});
            float of_mask[PAGE];
            for (int j = 0; j < PAGE; j++) {
                const float bias = half_to_float(halves[j]);
                of_mask[j] = halves[j] == 0xFC00 ? MINUS_INFINITY : bias;
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
    const auto cell_of = [&](int32_t at) {
        return static_cast<int64_t>(b.looked[static_cast<size_t>(at / PAGE)]) * PAGE + at % PAGE;
    };
    if (cells % PAGE != 0) {
        b.chosen.erase(std::remove_if(b.chosen.begin(), b.chosen.end(), [&](int32_t at) { return cell_of(at) >= cells; }),
                       b.chosen.end());
    }
    const auto count = static_cast<int64_t>(b.chosen.size());
    constexpr int AHEAD = 32;
    b.rows_at.resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; i++) {
        b.rows_at[static_cast<size_t>(i)] = value(cell_of(b.chosen[static_cast<size_t>(i)]));
        if (i < AHEAD) {
            prefetch(b.rows_at[static_cast<size_t>(i)], v_bytes);
        }
    }
    const bool value_halves = v->type == GGML_TYPE_F16 && dv % PAIRS == 0;
    int64_t met = 0;
    b.gathered.resize(static_cast<size_t>(q.rows * count));
    for (int r = 0; r < q.rows; r++) {
        const float * weights = b.weights.data() + r * n;
        const float * scores = b.scores.data() + r * n;
        float * to = b.gathered.data() + r * count;
        for (int64_t i = 0; i < count; i++) {
            const int32_t at = b.chosen[static_cast<size_t>(i)];
            out.totals[r] += weights[at];
            met += scores[at] != MINUS_INFINITY;
            to[i] = value_halves ? weights[at] * HALF_SCALE : weights[at];
        }
        for (int64_t i = 0; i < count && out.kept != nullptr; i++) {
            const int32_t at = b.chosen[static_cast<size_t>(i)];
            out.kept[r * out.kept_stride + cell_of(at)] = scores[at];
        }
    }
    b.values.resize(static_cast<size_t>(PAGE * out.dvp));
    for (int64_t i = 0; i < count; i += PAGE) {
        const int here = static_cast<int>(std::min<int64_t>(PAGE, count - i));
        const char * const * rows = b.rows_at.data() + i;
        for (int64_t j = i + AHEAD; j < std::min(count, i + AHEAD + PAGE); j++) {
            prefetch(b.rows_at[static_cast<size_t>(j)], v_bytes);
        }
        const float * weights = b.gathered.data() + i;
        int r = 0;
        if (value_halves) {
            for (; r + 2 <= q.rows; r += 2) {
                add_halves<2>(weights + r * count, count, rows, dv, here, out.sums + r * out.dvp, out.dvp);
            }
            if (r < q.rows) {
                add_halves<1>(weights + r * count, count, rows, dv, here, out.sums + r * out.dvp, out.dvp);
            }
            continue;
        }
        for (int j = 0; j < here; j++) {
            to_float(v->type, v_float, rows[j], b.values.data() + j * out.dvp, dv);
        }
        for (; r + 2 <= q.rows; r += 2) {
            add_values<2>(weights + r * count, count, b.values.data(), out.dvp, here, out.sums + r * out.dvp);
        }
        if (r < q.rows) {
            add_values<1>(weights + r * count, count, b.values.data(), out.dvp, here, out.sums + r * out.dvp);
        }
    }
    for (int r = 0; r < q.rows && value_halves; r++) {
        for (int x = 0; x < dv; x += PAIRS) {
            join_pairs(out.sums + r * out.dvp + x);
        }
    }
    return met;
}

} // namespace
} // namespace gatun
