// Summaries of pages of keys, and the choice of the pages that a query meets. For the kernel's translation unit only.
#pragma once

#include "lanes.hpp"
#include "sparse.hpp"

namespace gatun {
namespace {

typedef uint16_t halves __attribute__((vector_size(32)));

GATUN_INLINE uint16_t upper_half(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

GATUN_INLINE lanes load_upper(const uint16_t * p) {
    halves h;
    std::memcpy(&h, p, sizeof(h));
    return (lanes)(__builtin_convertvector(h, ilanes) << 16);
}

// Summarises the pages below `pages` that changed. keys: [d, cells, key heads, streams].
GATUN_INLINE void summarise(page_index & index, page_index::summaries & of, const ggml_tensor * keys, int64_t key_head,
                            int64_t key_stream, int64_t stream, int64_t pages, float * rows) {
    const int d = static_cast<int>(keys->ne[0]);
    const ggml_to_float_t convert = ggml_get_type_traits(keys->type)->to_float;
    const int32_t * positions = index.positions(stream);
    for (int64_t page = 0; page < pages; page++) {
        uint32_t & seen = of.seen[index.at(stream, page)];
        if (seen == index.version(stream, page)) {
            continue;
        }
        seen = index.version(stream, page);
        int n = 0;
        for (int i = 0; i < page_index::PAGE; i++) {
            const int64_t cell = page * page_index::PAGE + i;
            if (cell < keys->ne[1] && positions[cell] >= 0) {
                const char * row = static_cast<const char *>(keys->data) + cell * static_cast<int64_t>(keys->nb[1]) +
                                   key_head * static_cast<int64_t>(keys->nb[2]) +
                                   key_stream * static_cast<int64_t>(keys->nb[3]);
                to_float(keys->type, convert, row, rows + n++ * d, d);
            }
        }
        uint16_t * to = of.data.data() + index.data_at(stream, page, d) + page % page_index::LANES;
        for (int x = 0; x < d; x++) {
            float centre = 0;
            float spread = 0;
            if (n > 0 && index.what().bound) {
                float least = rows[x];
                float most = rows[x];
                for (int i = 1; i < n; i++) {
                    least = std::min(least, rows[i * d + x]);
                    most = std::max(most, rows[i * d + x]);
                }
                centre = (least + most) / 2;
                spread = (most - least) / 2;
            } else if (n > 0) {
                for (int i = 0; i < n; i++) {
                    centre += rows[i * d + x];
                }
                centre /= static_cast<float>(n);
                for (int i = 0; i < n; i++) {
                    const float off = rows[i * d + x] - centre;
                    spread += off * off;
                }
                spread /= static_cast<float>(n);
            }
            to[(2 * x) * page_index::LANES] = upper_half(centre);
            to[(2 * x + 1) * page_index::LANES] = upper_half(spread);
        }
    }
}

// How much the keys of 16 pages are worth to `R` queries: Quest's bound, the greatest score a key can have,
// sum of q * centre + |q| * half the range; or the logarithm of the expected weight of a key, were elements normally
// distributed, sum of q * mean + q^2 * variance / 2.
template <int R>
GATUN_INLINE void rank_sixteen(const uint16_t * summary, const float * queries, int stride, int d, bool bound, lanes * out) {
    lanes sum[R] = {};
    for (int x = 0; x < d; x++) {
        const lanes centre = load_upper(summary + (2 * x) * page_index::LANES);
        const lanes spread = load_upper(summary + (2 * x + 1) * page_index::LANES);
        for (int r = 0; r < R; r++) {
            const float q = queries[r * stride + x];
            sum[r] += centre * q + spread * (bound ? std::fabs(q) : q * q / 2);
        }
    }
    for (int r = 0; r < R; r++) {
        out[r] = sum[r];
    }
}

struct page_buffers {
    std::vector<float> rows, ranks, shares;
    std::vector<int32_t> order, cells;
    std::vector<uint8_t> chosen;
};

// The queries of one unit of work.
struct page_queries {
    const float * forms;   // [variants][max_rows][d], scaled
    int max_rows;
    int rows;
    int heads;             // of each token
    int64_t first_token;   // of the micro batch
    const int32_t * positions; // of the tokens
    int32_t q_min;
    int32_t q_max;
    float slopes[64];      // of ALiBi by row; 0: none
};

// Chooses the cells that a unit's queries meet, into buffers.cells; false: all of them.
GATUN_INLINE bool choose_cells(const sparse_attention & sparse, const two_band_layer & layer, const page_queries & q,
                               const ggml_tensor * keys, int64_t key_head, int64_t key_stream, int64_t stream,
                               page_buffers & b) {
    page_index & index = *sparse.pages;
    const two_band_map & map = layer.batch->map;
    const int d = static_cast<int>(keys->ne[0]);
    const int64_t cells = keys->ne[1];
    const int64_t pages = (cells + page_index::PAGE - 1) / page_index::PAGE;
    const int32_t * least = index.least(stream);
    const int32_t * greatest = index.greatest(stream);
    // Pages that are met in any case, and those to choose from.
    b.chosen.assign(static_cast<size_t>(pages), 0);
    b.order.clear();
    const int tokens = q.rows / q.heads;
    for (int64_t page = 0; page < pages; page++) {
        bool visible = false;
        for (int t = 0; t < tokens; t++) {
            visible |= sparse.page_visible[static_cast<size_t>((q.first_token + t) * sparse.visible_pages_stride + page)] != 0;
        }
        if (!visible) {
            continue;
        }
        const bool near = map.kind != far_kind::none && map.kind != far_kind::dual_chunk &&
                          map.variant(q.q_min, greatest[page]) == 0;
        if (near || least[page] < index.what().sink_tokens || greatest[page] > q.q_min - index.what().recent_tokens) {
            b.chosen[static_cast<size_t>(page)] = 1;
        } else {
            b.order.push_back(static_cast<int32_t>(page));
        }
    }
    const auto budget = static_cast<size_t>(index.what().budget_tokens / page_index::PAGE);
    if (b.order.size() <= budget) {
        return false;
    }
    page_index::summaries & of = index.of(layer.index, key_head);
    b.rows.resize(static_cast<size_t>(page_index::PAGE) * d);
    {
        const std::lock_guard<std::mutex> lock(of.lock);
        summarise(index, of, keys, key_head, key_stream, stream, pages, b.rows.data());
    }
    const int64_t padded = (pages + LANES - 1) / LANES * LANES;
    b.ranks.resize(static_cast<size_t>(q.rows * padded));
    const bool bound = index.what().bound;
    for (int64_t page = 0; page < padded; page += LANES) {
        const uint16_t * summary = of.data.data() + index.data_at(stream, page, d);
        const size_t bytes = static_cast<size_t>(d) * 2 * LANES * sizeof(uint16_t);
        if (page + LANES < padded) {
            prefetch(reinterpret_cast<const char *>(summary) + bytes, bytes);
        }
        // Far keys meet the far form; where two forms meet a page of dual chunk attention, the nearer one stands for both.
        int32_t newest = -1;
        for (int64_t i = page; i < std::min(page + LANES, pages); i++) {
            newest = std::max(newest, greatest[i]);
        }
        const int form = map.kind == far_kind::none         ? 0
                         : map.kind == far_kind::dual_chunk ? map.variant(q.q_max, std::max(newest, 0))
                                                            : 1;
        const float * queries = q.forms + static_cast<int64_t>(form) * q.max_rows * d;
        lanes out[4];
        int r = 0;
        for (; r + 4 <= q.rows; r += 4) {
            rank_sixteen<4>(summary, queries + r * d, d, d, bound, out);
            for (int i = 0; i < 4; i++) {
                store(b.ranks.data() + (r + i) * padded + page, out[i]);
            }
        }
        for (; r < q.rows; r++) {
            rank_sixteen<1>(summary, queries + r * d, d, d, bound, out);
            store(b.ranks.data() + r * padded + page, out[0]);
        }
    }
    // One choice for all queries: by the sum of what each expects to give a page.
    b.shares.assign(static_cast<size_t>(pages), 0.0f);
    for (int r = 0; r < q.rows; r++) {
        float * ranks = b.ranks.data() + r * padded;
        const int32_t position = q.positions[r / q.heads];
        float most = MINUS_INFINITY;
        for (const int32_t page : b.order) {
            if (layer.softcap > 0) {
                ranks[page] = layer.softcap * std::tanh(ranks[page]);
            }
            if (q.slopes[r] > 0) {
                ranks[page] -= q.slopes[r] * static_cast<float>(position - greatest[page]);
            }
            most = std::max(most, ranks[page]);
        }
        float total = 0;
        for (int64_t page = 0; page < padded; page += LANES) {
            // Those that are met in any case do not matter here; they may be greater than `most`.
            lanes x = load(ranks + page) - most;
            x = x < splat(0.0f) ? x : splat(0.0f);
            store(ranks + page, exp_lanes(x));
        }
        for (const int32_t page : b.order) {
            total += ranks[page];
        }
        for (const int32_t page : b.order) {
            b.shares[static_cast<size_t>(page)] += ranks[page] / total;
        }
    }
    std::nth_element(b.order.begin(), b.order.begin() + static_cast<int64_t>(budget), b.order.end(),
                     [&](int32_t x, int32_t y) {
                         const float a = b.shares[static_cast<size_t>(x)];
                         const float c = b.shares[static_cast<size_t>(y)];
                         return a != c ? a > c : x > y;
                     });
    for (size_t i = 0; i < budget; i++) {
        b.chosen[static_cast<size_t>(b.order[i])] = 1;
    }
    b.cells.clear();
    for (int64_t page = 0; page < pages; page++) {
        if (b.chosen[static_cast<size_t>(page)] != 0) {
            for (int64_t cell = page * page_index::PAGE; cell < std::min((page + 1) * page_index::PAGE, cells); cell++) {
                b.cells.push_back(static_cast<int32_t>(cell));
            }
        }
    }
    return true;
}

} // namespace
} // namespace gatun
