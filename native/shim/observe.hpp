// What queries attended to: softmax probabilities added up for each cell of the cache while a context decodes.
//
// Sources: sums over queries are the accumulated attention of H2O (Zhang et al. 2023), the last query's mean is what TOVA
// ranks by (Oren et al. 2024), sums over a window of queries are SnapKV's votes (Li et al. 2024).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatun {

class attention_observer {
  public:
    struct settings {
        int32_t sequence = -1;       // whose queries are observed; -1: all
        int32_t first_position = 0;  // queries before it are not
        bool heads = false;          // also by layer and head
        int32_t query_tokens = 0;    // queries to keep, of the last observed tokens
        int32_t layers = 0;
        int32_t n_heads = 0;         // of the layer that has most
        int32_t head_size = 0;       // of the layer that has the largest
        int64_t cells_of_stream = 0;
        int64_t streams = 1;
    };

    explicit attention_observer(const settings & settings);

    // Forgets what was observed.
    void reset();

    // Before a micro batch runs on up to `threads` threads. cells: where its tokens go, stream * cells_of_stream + cell,
    // which then hold new keys that nobody has attended to; observed: which tokens' queries count.
    void begin_batch(const std::vector<int64_t> & cells, const std::vector<uint8_t> & observed,
                     const std::vector<int32_t> & positions, int threads);

    // Before and after a decode. When its last micro batch was stopped, the queries of that do not count; what they
    // added stays.
    void begin_decode() { of_batch = 0; }
    void abandon_batch();
    // Keys were copied: the cells get what those that they came from have, in this order.
    void carry(const std::vector<int64_t> & from, const std::vector<int64_t> & to);
    // Cells hold new keys that nobody has attended to.
    void forget(const std::vector<int64_t> & written);

    // Tells that the micro batch runs through so many heads more.
    void will_see(int64_t heads) { heads_of_last += last_token >= 0 ? heads : 0; }

    bool observes(int64_t token) const { return flags[static_cast<size_t>(token)] != 0; }
    bool any(int64_t from, int64_t to) const;
    bool is_last(int64_t token) const { return token == last_token; }
    // Where the query goes; NULL when it is not kept.
    float * query(int layer, int64_t token, int64_t head);

    // Where one query's probabilities are added: the cells of one stream. One thread has a head of a layer at a time.
    struct accumulators {
        float * sums;
        float * maxima;
        float * last;
        float * head_sums; // NULL without `heads`
        float * head_maxima;
    };
    accumulators of(int thread, int layer, int64_t head, int64_t stream);

    // ---- between decodes
    const settings & what() const { return set; }
    int64_t observed_queries() const { return total; }
    float sum(int64_t cell) const;
    float maximum(int64_t cell) const;
    // Mean over layers and heads for the last observed query.
    float last(int64_t cell) const;
    float head_sum(int64_t layer, int64_t head, int64_t cell) const { return head_sums[head_at(layer, head) + cell]; }
    float head_maximum(int64_t layer, int64_t head, int64_t cell) const { return head_maxima[head_at(layer, head) + cell]; }
    // Positions of the kept queries, oldest first, and [layers][tokens][n_heads][head_size].
    std::vector<int32_t> kept_positions() const;
    void kept_queries(float * to) const;

  private:
    struct thread_sums {
        std::vector<float> sums, maxima, last;
    };
    int64_t oldest_kept() const { return std::min(total, std::max({int64_t{0}, total - set.query_tokens, first_kept})); }
    size_t head_at(int64_t layer, int64_t head) const {
        return static_cast<size_t>((layer * set.n_heads + head) * set.cells_of_stream * set.streams);
    }
    size_t query_at(int64_t layer, int64_t slot) const {
        return static_cast<size_t>((layer * set.query_tokens + slot) * set.n_heads * set.head_size);
    }

    settings set;
    int64_t cells;
    std::vector<thread_sums> threads;
    std::vector<float> head_sums, head_maxima;
    std::vector<float> queries;          // ring of query_tokens
    std::vector<int32_t> query_positions; // of the ring
    std::vector<uint8_t> flags;          // of the micro batch
    std::vector<int32_t> slots;          // of the micro batch: place in the ring or -1
    int64_t last_token = -1;
    int64_t total = 0;
    int64_t of_batch = 0;                // how many of them are of the micro batch
    int64_t first_kept = 0;              // earlier ones lost their place to a micro batch that was stopped
    int64_t heads_of_last = 0;           // attention heads that met the last observed query
};

} // namespace gatun
