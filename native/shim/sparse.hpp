// Attention that leaves keys out: static patterns, and pages of keys chosen anew for every decoded token.
//
// Sources: Quest (Tang et al. 2024, section 3.2: upper bounds of pages from the least and greatest key elements);
// StreamingLLM (Xiao et al. 2023) and LM-Infinite (Han et al. 2023): sinks and a window; Sparse Transformer (Child et al.
// 2019): strided; Longformer (Beltagy et al. 2020): window, dilation, global tokens; BigBird (Zaheer et al. 2020).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace gatun {

enum class sparse_kind : int32_t {
    none = 0,
    pages = 1,
    local = 2,
    dilated = 3,
    blocks = 4,
    strided = 5,
    longformer = 6,
    big_bird = 7
};

// Which keys a query meets, by positions.
struct sparse_pattern {
    sparse_kind kind = sparse_kind::none;
    int32_t window = 0;   // newest keys, the query's own among them; BigBird: blocks
    int32_t sinks = 0;    // first positions, always met; BigBird: blocks
    int32_t stride = 1;   // dilation, or the distance between keys
    int32_t block = 1;    // positions
    int32_t random = 0;   // BigBird: blocks
    uint64_t seed = 0;
    std::vector<int32_t> globals; // Longformer: positions that all meet and that meet all; ascending

    bool is_static() const { return kind != sparse_kind::none && kind != sparse_kind::pages; }
    bool is_global(int32_t position) const { return std::binary_search(globals.begin(), globals.end(), position); }

    // Whether BigBird's query block meets the earlier block by chance.
    bool draws(int32_t query_block, int32_t key_block) const {
        for (int32_t i = 0; i < random; i++) {
            // splitmix64 (Steele et al. 2014)
            uint64_t z = seed + (static_cast<uint64_t>(query_block) * 1024 + static_cast<uint64_t>(i) + 1) *
                                    0x9E3779B97F4A7C15u;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
            z = z ^ (z >> 31);
            if (query_block > 0 && static_cast<int32_t>(z % static_cast<uint64_t>(query_block)) == key_block) {
                return true;
            }
        }
        return false;
    }

    // For key <= query.
    bool hides(int32_t query, int32_t key) const {
        const int32_t distance = query - key;
        switch (kind) {
            case sparse_kind::local: return distance >= window && key >= sinks;
            case sparse_kind::dilated: return distance >= window * stride || distance % stride != 0;
            case sparse_kind::blocks: return query / block != key / block;
            case sparse_kind::strided: return distance >= stride && distance % stride != 0;
            case sparse_kind::longformer:
                return (distance >= window * stride || distance % stride != 0) && !is_global(key) && !is_global(query);
            case sparse_kind::big_bird: {
                const int32_t q = query / block;
                const int32_t k = key / block;
                return q - k >= window && k >= sinks && !draws(q, k);
            }
            case sparse_kind::none:
            case sparse_kind::pages: break;
        }
        return false;
    }

    // Whether surely no query from q_min to q_max meets a key from k_min to k_max.
    bool hides_all(int32_t q_min, int32_t q_max, int32_t k_min, int32_t k_max) const {
        switch (kind) {
            case sparse_kind::local: return q_min - k_max >= window && k_min >= sinks;
            case sparse_kind::dilated: return q_min - k_max >= window * stride;
            case sparse_kind::blocks: return k_max / block < q_min / block;
            case sparse_kind::longformer: {
                const auto within = [&](int32_t from, int32_t to) {
                    const auto at = std::lower_bound(globals.begin(), globals.end(), from);
                    return at != globals.end() && *at <= to;
                };
                return q_min - k_max >= window * stride && !within(k_min, k_max) && !within(q_min, q_max);
            }
            case sparse_kind::big_bird:
                for (int32_t q = q_min / block; q <= q_max / block; q++) {
                    for (int32_t k = k_min / block; k <= k_max / block; k++) {
                        if (q - k < window || k < sinks || draws(q, k)) {
                            return false;
                        }
                    }
                }
                return true;
            case sparse_kind::none:
            case sparse_kind::strided:
            case sparse_kind::pages: break;
        }
        return false;
    }
};

// What was attended to, of one thread.
struct sparse_counts {
    int64_t rows = 0;      // queries of a head
    int64_t attended = 0;  // cells that they met
    int64_t visible = 0;   // cells that full attention would have met
    int64_t measured = 0;  // rows whose recall is known
    double recall = 0;     // sum of the probability that full attention gives to what was met
    double least = 1;
};

// Summaries of the cached keys, 16 cells to a page and 8 pages to a group: a centre and a spread for every dimension, in 8
// bits with a scale for each row.
class page_index {
  public:
    static constexpr int PAGE = 16;  // cells
    static constexpr int GROUP = 8;  // pages
    static constexpr int BLOCK = 64; // dimensions; a row is padded to whole blocks
    static constexpr int LOOK = 2;   // times the budget: cells whose keys are looked at
    static constexpr int RANK = 4;   // times the budget: cells of pages that are ranked one by one, when groups were before

    struct settings {
        int32_t budget_tokens = 0;
        int32_t recent_tokens = 0; // newest tokens, always met
        int32_t sink_tokens = 0;   // first positions, always met
        int32_t max_tokens = 0;    // of a micro batch and stream; longer ones attend to all
        bool bound = false;        // rank pages by Quest's bound; else by their expected weight
    };
    struct layer_shape {
        int key_heads;
        int head_size;
    };

    page_index(const settings & settings, const std::vector<layer_shape> & shapes, int64_t cells, int64_t streams);

    // Between micro batches: the positions of a stream's cells, -1 where empty. Pages that changed are summarised anew.
    void see_cells(int64_t stream, const std::vector<int32_t> & positions);
    void written(int64_t stream, int64_t cell) { touch(at(stream, cell / PAGE)); }
    void invalidate();

    const settings & what() const { return set; }
    const int32_t * positions(int64_t stream) const { return cells[static_cast<size_t>(stream)].data(); }
    // Least and greatest position in a page; the greatest is -1 in an empty one.
    const int32_t * least(int64_t stream) const { return mins.data() + at(stream, 0); }
    const int32_t * greatest(int64_t stream) const { return maxs.data() + at(stream, 0); }

    static size_t row_bytes(int head_size) { return static_cast<size_t>((head_size + BLOCK - 1) / BLOCK * BLOCK) * 2; }

    // Rows of centres and spreads, for each 64 dimensions one after the other. A word has the dimensions x, x + 16, x + 32
    // and x + 48 of its 64: four shifts unpack sixteen words.
    struct rows {
        std::vector<int8_t> data;
        std::vector<float> scales; // of the centre and of the spread
    };
    struct summaries {
        std::mutex lock;
        rows pages, groups;
        std::vector<uint64_t> seen; // by stream: the time up to which changes were seen
        std::vector<int64_t> held;  // by stream: how many pages are summarised
    };
    // Of one key head of a layer. Its data may be read without the lock once every page is summarised.
    summaries & of(int layer, int64_t key_head) {
        return *all[static_cast<size_t>(first[static_cast<size_t>(layer)] + key_head)];
    }
    // When a page or a group changed, and now, counted in changes.
    uint64_t changed(int64_t stream, int64_t page) const { return page_times[at(stream, page)]; }
    uint64_t group_changed(int64_t stream, int64_t group) const { return group_times[at(stream, group * GROUP) / GROUP]; }
    uint64_t now() const { return time; }
    // Differs for each micro batch, also of another index.
    uint64_t serial() const { return serial_number; }
    size_t at(int64_t stream, int64_t page) const { return static_cast<size_t>(stream * pages_of_stream + page); }

  private:
    void touch(size_t page) { page_times[page] = group_times[page / GROUP] = ++time; }

    settings set;
    int64_t pages_of_stream; // whole groups
    uint64_t time = 0;
    uint64_t serial_number = 0;
    std::vector<std::vector<int32_t>> cells;
    std::vector<int32_t> mins, maxs;
    std::vector<uint64_t> page_times, group_times;
    std::vector<int64_t> first; // by layer, in `all`
    std::vector<std::unique_ptr<summaries>> all;
};

// What a context leaves out.
struct sparse_attention {
    sparse_pattern pattern;
    std::unique_ptr<page_index> pages; // NULL under a static pattern
    bool measure = false;
    std::vector<sparse_counts> counts; // by thread
    // Of the micro batch, by token: cells that the mask lets through, and whether it does so anywhere in a page.
    std::vector<int64_t> visible;
    std::vector<uint8_t> page_visible;
    int64_t visible_pages_stride = 0;
};

} // namespace gatun
