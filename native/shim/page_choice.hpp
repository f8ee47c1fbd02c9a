// Summaries of pages of keys, and the choice of the pages whose keys a query looks at. For the kernel's translation unit
// only.
#pragma once

#include "lanes.hpp"
#include "sparse.hpp"

namespace gatun {
namespace {

typedef float four __attribute__((vector_size(16)));
typedef float eight __attribute__((vector_size(32)));

#if defined(__clang__) || __GNUC__ >= 12
#    define GATUN_SHUFFLE(a, b, w, x, y, z) __builtin_shufflevector(a, b, w, x, y, z)
#else
typedef int32_t four_ints __attribute__((vector_size(16)));
#    define GATUN_SHUFFLE(a, b, w, x, y, z) __builtin_shuffle(a, b, (four_ints){w, x, y, z})
#endif

GATUN_INLINE four fold(lanes v) {
    eight half[2];
    std::memcpy(half, &v, sizeof(v));
    const eight sum = half[0] + half[1];
    four quarter[2];
    std::memcpy(quarter, &sum, sizeof(sum));
    return quarter[0] + quarter[1];
}

// The sums of the lanes of each of four.
GATUN_INLINE void store_sums(float * to, lanes a, lanes b, lanes c, lanes d) {
    const four w = fold(a);
    const four x = fold(b);
    const four y = fold(c);
    const four z = fold(d);
    const four wx = GATUN_SHUFFLE(w, x, 0, 4, 1, 5) + GATUN_SHUFFLE(w, x, 2, 6, 3, 7);
    const four yz = GATUN_SHUFFLE(y, z, 0, 4, 1, 5) + GATUN_SHUFFLE(y, z, 2, 6, 3, 7);
    const four sums = GATUN_SHUFFLE(wx, yz, 0, 1, 4, 5) + GATUN_SHUFFLE(wx, yz, 2, 3, 6, 7);
    std::memcpy(to, &sums, sizeof(sums));
}

GATUN_INLINE lanes positive(lanes x) {
    return x > splat(0.0f) ? x : splat(0.0f); // also of what is not a number
}

constexpr int WHOLE = page_index::BLOCK;

// Puts a centre or, with `part` 1, a spread into a row, and tells its scale. up: rounded so, because a bound must stay one.
GATUN_INLINE float pack(const float * from, int d, int part, bool up, int8_t * row) {
    float most = 0;
    for (int x = 0; x < d; x++) {
        most = std::max(most, std::fabs(from[x]));
    }
    const float inverse = most > 0 && most < std::numeric_limits<float>::max() ? 127 / most : 0.0f;
    for (int x = 0; x < d; x++) {
        const float scaled = from[x] * inverse;
        const float rounded = up ? std::ceil(scaled) : std::floor(scaled + 0.5f);
        row[x / WHOLE * 2 * WHOLE + part * WHOLE + x % LANES * 4 + x % WHOLE / LANES] =
            std::isnan(rounded) ? int8_t{0} : static_cast<int8_t>(std::clamp(rounded, -127.0f, 127.0f));
    }
    return inverse > 0 ? 1 / inverse : 0.0f;
}

GATUN_INLINE lanes unpack(ilanes words, int which) {
    return __builtin_convertvector((words << (24 - 8 * which)) >> 24, lanes);
}

GATUN_INLINE void unpack_row(const int8_t * row, const float * scales, int part, int d, float * to) {
    for (int x = 0; x < d; x += LANES) {
        ilanes words;
        std::memcpy(&words, row + x / WHOLE * 2 * WHOLE + part * WHOLE, sizeof(words));
        const lanes of_row = unpack(words, x % WHOLE / LANES) * scales[part];
        std::memcpy(to + x, &of_row, sizeof(float) * static_cast<size_t>(std::min(LANES, d - x)));
    }
}

// buffers: [16 + 4][d]
GATUN_INLINE void summarise_page(page_index & index, page_index::rows & of, const ggml_tensor * keys, int64_t key_head,
                                 int64_t key_stream, int64_t stream, int64_t page, float * buffers) {
    const int d = static_cast<int>(keys->ne[0]);
    const ggml_to_float_t convert = ggml_get_type_traits(keys->type)->to_float;
    const int32_t * positions = index.positions(stream);
    int n = 0;
    for (int i = 0; i < page_index::PAGE; i++) {
        const int64_t cell = page * page_index::PAGE + i;
        if (cell < keys->ne[1] && positions[cell] >= 0) {
            const char * row = static_cast<const char *>(keys->data) + cell * static_cast<int64_t>(keys->nb[1]) +
                               key_head * static_cast<int64_t>(keys->nb[2]) + key_stream * static_cast<int64_t>(keys->nb[3]);
            to_float(keys->type, convert, row, buffers + n++ * d, d);
        }
    }
    float * centre = buffers + page_index::PAGE * d;
    float * spread = centre + d;
    const size_t at = index.at(stream, page);
    int8_t * row = of.data.data() + at * page_index::row_bytes(d);
    float * scales = of.scales.data() + at * 2;
    std::fill_n(centre, 2 * d, 0.0f);
    const bool bound = index.what().bound;
    for (int x = 0; x < d && n > 0; x++) {
        float least = buffers[x];
        float most = buffers[x];
        float sum = 0;
        for (int i = 0; i < n; i++) {
            least = std::min(least, buffers[i * d + x]);
            most = std::max(most, buffers[i * d + x]);
            sum += buffers[i * d + x];
        }
        centre[x] = bound ? (least + most) / 2 : sum / static_cast<float>(n);
    }
    scales[0] = pack(centre, d, 0, false, row);
    if (bound) {
        unpack_row(row, scales, 0, d, centre);
    }
    for (int i = 0; i < n; i++) {
        for (int x = 0; x < d; x++) {
            const float off = buffers[i * d + x] - centre[x];
            spread[x] = bound ? std::max(spread[x], std::fabs(off)) : spread[x] + off * off / static_cast<float>(n);
        }
    }
    scales[1] = pack(spread, d, 1, bound, row);
}

// From its pages, the empty ones too: those weigh nothing.
GATUN_INLINE void summarise_group(page_index & index, page_index::summaries & of, int d, int64_t stream, int64_t group,
                                  int64_t pages, float * buffers) {
    const int64_t from = group * page_index::GROUP;
    const int64_t to = std::min(from + page_index::GROUP, pages);
    const bool bound = index.what().bound;
    const int32_t * greatest = index.greatest(stream);
    float * centre = buffers + page_index::PAGE * d;
    float * spread = centre + d;
    float * of_page = spread + d; // centre, then spread
    const auto each = [&](auto && body) {
        int n = 0;
        for (int64_t page = from; page < to; page++) {
            if (greatest[page] >= 0) {
                const size_t at = index.at(stream, page);
                const int8_t * row = of.pages.data.data() + at * page_index::row_bytes(d);
                unpack_row(row, of.pages.scales.data() + at * 2, 0, d, of_page);
                unpack_row(row, of.pages.scales.data() + at * 2, 1, d, of_page + d);
                for (int x = 0; x < d; x++) {
                    body(n, x);
                }
                n++;
            }
        }
        return static_cast<float>(std::max(n, 1));
    };
    float * least = buffers;
    float * most = buffers + d;
    std::fill_n(buffers, 2 * d, 0.0f);
    std::fill_n(centre, 2 * d, 0.0f);
    const float n = each([&](int i, int x) {
        const float low = of_page[x] - of_page[d + x];
        const float high = of_page[x] + of_page[d + x];
        least[x] = i == 0 ? low : std::min(least[x], low);
        most[x] = i == 0 ? high : std::max(most[x], high);
        centre[x] += of_page[x];
    });
    for (int x = 0; x < d; x++) {
        centre[x] = bound ? (least[x] + most[x]) / 2 : centre[x] / n;
    }
    const size_t at = index.at(stream, from) / page_index::GROUP;
    int8_t * row = of.groups.data.data() + at * page_index::row_bytes(d);
    float * scales = of.groups.scales.data() + at * 2;
    scales[0] = pack(centre, d, 0, false, row);
    if (bound) {
        unpack_row(row, scales, 0, d, centre);
        for (int x = 0; x < d; x++) {
            spread[x] = std::max(std::fabs(most[x] - centre[x]), std::fabs(least[x] - centre[x]));
        }
    } else {
        each([&](int, int x) {
            const float off = of_page[x] - centre[x];
            spread[x] += (of_page[d + x] + off * off) / n;
        });
    }
    scales[1] = pack(spread, d, 1, bound, row);
}

// Summarises the pages below `pages` that changed, and their groups. keys: [d, cells, key heads, streams].
GATUN_INLINE void summarise(page_index & index, page_index::summaries & of, const ggml_tensor * keys, int64_t key_head,
                            int64_t key_stream, int64_t stream, int64_t pages, std::vector<float> & buffers) {
    uint64_t & seen = of.seen[static_cast<size_t>(stream)];
    int64_t & held = of.held[static_cast<size_t>(stream)];
    const int d = static_cast<int>(keys->ne[0]);
    buffers.resize(static_cast<size_t>(page_index::PAGE + 4) * d);
    for (int64_t from = 0; from < pages; from += page_index::GROUP) {
        const int64_t to = std::min(from + page_index::GROUP, pages);
        const int64_t group = from / page_index::GROUP;
        if (index.group_changed(stream, group) <= seen && to <= held) {
            continue;
        }
        for (int64_t page = from; page < to; page++) {
            if (index.changed(stream, page) > seen || page >= held) {
                summarise_page(index, of.pages, keys, key_head, key_stream, stream, page, buffers.data());
            }
        }
        summarise_group(index, of, d, stream, group, pages, buffers.data());
    }
    seen = index.now();
    held = pages;
}

// What does not depend on the layer: which pages are met in any case, and which there are to choose from.
struct page_plan {
    uint64_t serial = 0;
    int64_t stream = 0;
    int64_t first_token = 0;
    int64_t cells = 0;
    int tokens = 0;
    std::vector<int32_t> always, open;
    std::vector<int32_t> groups;     // that have open pages
    std::vector<int32_t> group_from; // where they begin in `open`; one more for the end
    std::vector<int32_t> newest;     // by group, of the open pages
};

struct page_buffers {
    page_plan plan;
    std::vector<float> rows, queries, ranks, shares;
    std::vector<int32_t> best, few;
    std::vector<int32_t> looked; // pages whose keys are looked at: first those that are met in any case
    size_t always = 0;           // how many those are
    std::vector<float> keys, split, scores, other, weights, gathered, values;
    std::vector<int32_t> chosen;       // of the cells of the pages looked at
    std::vector<const char *> rows_at; // their values
};

// The queries of one unit of work.
struct page_queries {
    const float * forms;   // [variants][max_rows][d], scaled
    int max_rows;
    int rows;
    int heads;             // of each token
    int64_t first_token;   // of the micro batch
    int64_t tile_token;    // the same one, of its stream
    const int32_t * positions; // of the tokens
    int32_t q_min;
    int32_t q_max;
    float slopes[64];      // of ALiBi by row; 0: none
};

// One form of the queries, in whole blocks: [rows] as they are, then [rows] what their spreads are multiplied with.
GATUN_INLINE const float * form_of(const page_buffers & b, int form, int rows, int width) {
    return b.queries.data() + static_cast<size_t>(form * 2 * rows * width);
}

GATUN_INLINE void spread_out(const page_queries & q, int variants, int d, int width, bool bound, page_buffers & b) {
    b.queries.assign(static_cast<size_t>(variants * 2 * q.rows * width), 0.0f);
    for (int form = 0; form < variants; form++) {
        float * to = b.queries.data() + static_cast<size_t>(form * 2 * q.rows * width);
        for (int r = 0; r < q.rows; r++) {
            const float * from = q.forms + static_cast<int64_t>(form * q.max_rows + r) * d;
            for (int x = 0; x < d; x++) {
                to[r * width + x] = from[x];
                to[(q.rows + r) * width + x] = bound ? std::fabs(from[x]) : from[x] * from[x] / 2;
            }
        }
    }
}

GATUN_INLINE void plan_pages(const sparse_attention & sparse, const two_band_map & map, const page_queries & q,
                             int64_t cells, int64_t stream, page_plan & plan) {
    const page_index & index = *sparse.pages;
    const int tokens = q.rows / q.heads;
    if (plan.serial == index.serial() && plan.stream == stream && plan.first_token == q.first_token &&
        plan.tokens == tokens && plan.cells == cells) {
        return;
    }
    plan.serial = index.serial();
    plan.stream = stream;
    plan.first_token = q.first_token;
    plan.tokens = tokens;
    plan.cells = cells;
    for (std::vector<int32_t> * list : {&plan.always, &plan.open, &plan.groups, &plan.group_from, &plan.newest}) {
        list->clear();
    }
    const int64_t pages = (cells + page_index::PAGE - 1) / page_index::PAGE;
    const int32_t * least = index.least(stream);
    const int32_t * greatest = index.greatest(stream);
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
            plan.always.push_back(static_cast<int32_t>(page));
            continue;
        }
        const auto group = static_cast<int32_t>(page / page_index::GROUP);
        if (plan.groups.empty() || plan.groups.back() != group) {
            plan.groups.push_back(group);
            plan.group_from.push_back(static_cast<int32_t>(plan.open.size()));
            plan.newest.push_back(greatest[page]);
        }
        plan.newest.back() = std::max(plan.newest.back(), greatest[page]);
        plan.open.push_back(static_cast<int32_t>(page));
    }
    plan.group_from.push_back(static_cast<int32_t>(plan.open.size()));
}

// How much the keys behind four summaries are worth to `R` queries: Quest's bound, the greatest score a key can have,
// sum of q * centre + |q| * half the range; or the logarithm of the expected weight of a key, were elements normally
// distributed, sum of q * mean + q^2 * variance / 2.
template <int R>
GATUN_INLINE void rank_four(const int8_t * const * rows, const float * const * scales, const float * queries,
                            const float * factors, int width, float * out, int64_t stride) {
    lanes sums[4][R];
    for (int i = 0; i < 4; i++) {
        lanes centre[R] = {};
        lanes spread[R] = {};
        for (int x = 0; x < width; x += WHOLE) {
            ilanes centres;
            ilanes spreads;
            std::memcpy(&centres, rows[i] + 2 * x, sizeof(centres));
            std::memcpy(&spreads, rows[i] + 2 * x + WHOLE, sizeof(spreads));
            for (int j = 0; j < WHOLE / LANES; j++) {
                const lanes of_centre = unpack(centres, j);
                const lanes of_spread = unpack(spreads, j);
                for (int r = 0; r < R; r++) {
                    centre[r] += of_centre * load(queries + r * width + x + j * LANES);
                    spread[r] += of_spread * load(factors + r * width + x + j * LANES);
                }
            }
        }
        for (int r = 0; r < R; r++) {
            sums[i][r] = centre[r] * scales[i][0] + spread[r] * scales[i][1];
        }
    }
    for (int r = 0; r < R; r++) {
        store_sums(out + r * stride, sums[0][r], sums[1][r], sums[2][r], sums[3][r]);
    }
}

// What the queries expect to give each of the items, pages or groups, together: into shares. newest: positions, by item.
template <class Newest>
GATUN_INLINE void share_out(const two_band_layer & layer, const page_queries & q, const page_index::rows & of,
                            size_t first_row, const std::vector<int32_t> & items, int d, Newest && newest,
                            page_buffers & b) {
    const two_band_map & map = layer.batch->map;
    const size_t bytes = page_index::row_bytes(d);
    const auto width = static_cast<int>(bytes / 2);
    const auto n = static_cast<int64_t>(items.size());
    const int64_t padded = (n + LANES - 1) / LANES * LANES;
    b.ranks.resize(static_cast<size_t>(q.rows * padded));
    for (int64_t i = 0; i < n; i += 4) {
        const int8_t * rows[4];
        const float * scales[4];
        int32_t latest = 0;
        for (int j = 0; j < 4; j++) {
            const auto item = static_cast<size_t>(std::min(i + j, n - 1));
            const size_t row = first_row + static_cast<size_t>(items[item]);
            rows[j] = of.data.data() + row * bytes;
            scales[j] = of.scales.data() + row * 2;
            latest = std::max(latest, newest(item));
            if (i + j + 16 < n) {
                prefetch(of.data.data() + (first_row + static_cast<size_t>(items[static_cast<size_t>(i + j + 16)])) * bytes,
                         bytes);
            }
        }
        // Far keys meet the far form; where two forms meet pages of dual chunk attention, the nearer one stands for both.
        const int form = map.kind == far_kind::none         ? 0
                         : map.kind == far_kind::dual_chunk ? map.variant(q.q_max, latest)
                                                            : 1;
        const float * queries = form_of(b, form, q.rows, width);
        const float * factors = queries + static_cast<int64_t>(q.rows) * width;
        int r = 0;
        for (; r + 2 <= q.rows; r += 2) {
            rank_four<2>(rows, scales, queries + r * width, factors + r * width, width, b.ranks.data() + r * padded + i, padded);
        }
        if (r < q.rows) {
            rank_four<1>(rows, scales, queries + r * width, factors + r * width, width, b.ranks.data() + r * padded + i, padded);
        }
    }
    b.shares.assign(static_cast<size_t>(padded), 0.0f);
    for (int r = 0; r < q.rows; r++) {
        float * ranks = b.ranks.data() + r * padded;
        const int32_t position = q.positions[r / q.heads];
        for (int64_t i = 0; i < n && layer.softcap > 0; i++) {
            ranks[i] = layer.softcap * std::tanh(ranks[i]);
        }
        for (int64_t i = 0; i < n && q.slopes[r] > 0; i++) {
            ranks[i] -= q.slopes[r] * static_cast<float>(position - newest(static_cast<size_t>(i)));
        }
        std::fill(ranks + n, ranks + padded, MINUS_INFINITY);
        lanes best = splat(MINUS_INFINITY);
        for (int64_t i = 0; i < padded; i += LANES) {
            const lanes x = load(ranks + i);
            best = x > best ? x : best;
        }
        const float most = max_of(best);
        lanes total = {};
        for (int64_t i = 0; i < padded; i += LANES) {
            const lanes x = exp_lanes(load(ranks + i) - most);
            store(ranks + i, x);
            total += x;
        }
        const float share = 1 / sum_of(total);
        for (int64_t i = 0; i < padded; i += LANES) {
            store(b.shares.data() + i, load(b.shares.data() + i) + positive(load(ranks + i) * share));
        }
    }
}

// The indices of the `k` <= n largest shares, of equal ones the last, ascending. shares: none negative, padded with
// zeros to whole lanes.
GATUN_INLINE void take_best(const float * shares, int64_t n, int64_t k, std::vector<int32_t> & out) {
    out.clear();
    const auto bits = [&](int64_t i) {
        int32_t x;
        std::memcpy(&x, shares + i, sizeof(x));
        return x;
    };
    const auto count = [&](int32_t least) {
        ilanes sum = {};
        for (int64_t i = 0; i < n; i += LANES) {
            ilanes x;
            std::memcpy(&x, shares + i, sizeof(x));
            sum -= x >= least; // order of the bits is that of the values
        }
        int64_t all = 0;
        for (int i = 0; i < LANES; i++) {
            all += sum[i];
        }
        return all;
    };
    // Bisects for the k-th largest.
    int32_t low = 0;
    int32_t high = std::numeric_limits<int32_t>::max();
    int64_t above = 0; // how many are at least `high`
    bool exact = false;
    while (high - low > 1 && !exact) {
        const int32_t middle = low + (high - low) / 2;
        const int64_t here = count(middle);
        if (here < k) {
            high = middle;
            above = here;
        } else {
            low = middle;
            exact = here == k;
        }
    }
    int64_t equal = 0; // of those at `low`, how many too many come first
    for (int64_t i = 0; i < n && !exact; i++) {
        equal += bits(i) == low;
    }
    equal -= k - above;
    for (int64_t i = 0; i < n; i++) {
        const int32_t x = bits(i);
        if (x > low || (x == low && (exact || equal-- <= 0))) {
            out.push_back(static_cast<int32_t>(i));
        }
    }
}

// Chooses the pages whose keys a unit's queries look at, into buffers.looked; false: what there is is all to be met.
GATUN_INLINE bool choose_pages(const sparse_attention & sparse, const two_band_layer & layer, const page_queries & q,
                               const ggml_tensor * keys, int64_t key_head, int64_t key_stream, int64_t stream,
                               page_buffers & b) {
    page_index & index = *sparse.pages;
    const two_band_map & map = layer.batch->map;
    const int d = static_cast<int>(keys->ne[0]);
    const page_plan & plan = b.plan;
    plan_pages(sparse, map, q, keys->ne[1], stream, b.plan);
    const auto budget = static_cast<size_t>(index.what().budget_tokens / page_index::PAGE);
    if (plan.open.size() <= budget) {
        return false;
    }
    spread_out(q, map.variants(), d, static_cast<int>(page_index::row_bytes(d) / 2), index.what().bound, b);
    b.looked = plan.always;
    b.always = plan.always.size();
    const size_t look = page_index::LOOK * budget;
    if (plan.open.size() <= look) {
        b.looked.insert(b.looked.end(), plan.open.begin(), plan.open.end());
        return true;
    }
    page_index::summaries & of = index.of(layer.index, key_head);
    {
        const std::lock_guard<std::mutex> lock(of.lock);
        const int64_t pages = (keys->ne[1] + page_index::PAGE - 1) / page_index::PAGE;
        summarise(index, of, keys, key_head, key_stream, stream, pages, b.rows);
    }
    const std::vector<int32_t> * from = &plan.open;
    const size_t groups = page_index::RANK * budget / page_index::GROUP + 1;
    if (groups < plan.groups.size() && groups * page_index::GROUP > look) {
        share_out(layer, q, of.groups, index.at(stream, 0) / page_index::GROUP, plan.groups, d,
                  [&](size_t i) { return plan.newest[i]; }, b);
        take_best(b.shares.data(), static_cast<int64_t>(plan.groups.size()), static_cast<int64_t>(groups), b.best);
        b.few.clear();
        for (const int32_t i : b.best) {
            b.few.insert(b.few.end(), plan.open.begin() + plan.group_from[static_cast<size_t>(i)],
                         plan.open.begin() + plan.group_from[static_cast<size_t>(i) + 1]);
        }
        if (b.few.size() >= look) {
            from = &b.few;
        }
    }
    const int32_t * greatest = index.greatest(stream);
    share_out(layer, q, of.pages, index.at(stream, 0), *from, d,
              [&](size_t i) { return greatest[(*from)[i]]; }, b);
    take_best(b.shares.data(), static_cast<int64_t>(from->size()), static_cast<int64_t>(look), b.best);
    for (const int32_t i : b.best) {
        b.looked.push_back((*from)[static_cast<size_t>(i)]);
    }
    return true;
}

} // namespace
} // namespace gatun
