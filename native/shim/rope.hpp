// How Gatun changes positions: an evaluation callback that mends rope and attention nodes before they run.
//
// llama.cpp asks the callback about every node before it computes anything of a graph; the nodes are changed then and
// the callback never asks for a stop in between, so a graph still runs in one go. Four things are done:
//   - a table of frequencies: every rope node of a full-attention layer gets the table as its frequency factors and the
//     attention factor; its own scaling is switched off;
//   - two bands: the rope nodes of keys and queries and the attention node become custom nodes of two_band.hpp;
//   - attention on plain positions: while somebody observes it, the attention nodes of the layers that attend to the whole
//     text become custom nodes of two_band.hpp; when nobody does any more, they become ggml's again;
//   - a shift: the rope nodes that turn cached keys get an attention factor that leaves their length alone (upstream
//     multiplies the whole cache at every shift under YaRN), and the turn that the key's own mapping asks for.
#pragma once

#include "observe.hpp"
#include "shim.hpp"
#include "sparse.hpp"
#include "two_band.hpp"

#include <map>
#include <memory>

class llama_kv_cache;

struct gatun_rope {
  public:
    explicit gatun_rope(const gatun_rope_params & params);
    ~gatun_rope();

    // Changes the settings. The context's memory must be empty.
    void set(const gatun_rope_params & params);
    // Looks at the context that the callback was installed in; fails when the settings cannot work there.
    void bind(llama_context * ctx);

    bool has_factors() const { return !factors.empty(); }
    bool two_bands() const { return batch.map.kind != gatun::far_kind::none; }
    // Whether any node is changed outside of shifts.
    bool changes_decode() const { return two_bands() || !factors.empty() || attention_factor != 1; }

    // Lets attention be observed from the next decode on; NULL: no more. Fails where our kernel cannot run.
    void observe(std::unique_ptr<gatun::attention_observer> by);
    gatun::attention_observer * observer() const { return watcher.get(); }
    // Meets cells by position from the next decode on. Fails where our kernel cannot run, as leave_out does.
    void attend_in_order(bool on);
    // Leaves keys out from the next decode on; NULL: no more.
    void leave_out(std::unique_ptr<gatun::sparse_attention> what);
    gatun::sparse_attention * sparse() const { return limits.get(); }
    std::unique_ptr<gatun::page_index> new_page_index(const gatun::page_index::settings & settings) const;
    // Before a decode, and after one that failed.
    void begin_decode();
    void abandon_batch();
    // Cells of a cache got the keys of other ones, or keys from outside.
    void cells_copied(const llama_kv_cache * of, llama_seq_id seq, const std::vector<uint32_t> & from,
                      const std::vector<uint32_t> & to);
    void cells_written(const llama_kv_cache * of, llama_seq_id seq, const std::vector<uint32_t> & at);
    // Cells got other keys without a decode.
    void invalidate_pages() {
        if (limits != nullptr && limits->pages != nullptr) {
            limits->pages->invalidate();
        }
    }
    // The cache of the layers that attend to the whole text; fails when our attention cannot run.
    const llama_kv_cache & attention_cache() const;
    // These layers; fails when there is no such cache.
    std::vector<int32_t> attention_layers() const;
    gatun::attention_observer::settings observed_shape() const;
    // Blocks in which a quantised cache mixes its keys; 0: not.
    int mixed_width() const { return mixed; }

    // While it lives, graphs are shifts of cached keys.
    class shift_scope {
      public:
        explicit shift_scope(gatun_rope & rope) : rope(rope) { rope.shifting = true; rope.shift_rewritten = false; }
        ~shift_scope() { rope.shifting = false; }
        shift_scope(const shift_scope &) = delete;
        shift_scope & operator=(const shift_scope &) = delete;

      private:
        gatun_rope & rope;
    };

    // Why the last decode must not be believed; empty when it may.
    std::string problem;

    static bool on_node(ggml_tensor * node, bool ask, void * self);

    // Fills the batch for these positions: rotations of queries and keys, as if of one micro batch.
    void prepare(const int32_t * positions, int64_t count);
    // Tells what the model's rope nodes have: the base, a scale of every position, factors of their own (NULL: none).
    void set_model_frequencies(int pairs, double base, double scale, const float * model_factors);

    gatun::two_band_batch batch;

  private:
    struct layer_state {
        gatun::two_band_layer attention;
        bool seen = false; // its attention node was changed at least once
    };
    struct templates; // custom nodes whose parameters are copied

    void change(ggml_tensor * node);
    void change_shift(ggml_tensor * node);
    void change_two_band(ggml_tensor * node);
    void change_attention(ggml_tensor * node);
    bool our_attention() const { return two_bands() || watcher != nullptr || limits != nullptr || in_order; }
    void begin_batch(const ggml_tensor * cells);
    void change_plain_attention(ggml_tensor * node);
    gatun::query_rotation rotation_of(const ggml_tensor * query, int il);
    void describe_attention(const ggml_tensor * node, int il);
    void watch(const ggml_tensor * node, int il);
    void read_mask(const ggml_tensor * mask);
    void read_cells();
    void order_cells();
    void bound_blocks(uint32_t stream, uint32_t used);
    void derive_frequencies();
    std::vector<int64_t> observed_cells(llama_seq_id seq, const std::vector<uint32_t> & of) const;
    void require_factors(const ggml_tensor * node) const;
    int layer_of_storage(const ggml_tensor * node, int depth) const;
    void complain(const std::string & text);

    std::vector<float> factors;       // frequency factors: theta / theta'; empty: the model's
    std::vector<float> shift_factors; // those of a shift, when another frequency turns the cached keys
    float attention_factor = 1;
    double log_n_tokens = 0; // queries are scaled by max(1, ln(p + 1) / ln of it); 0: not
    std::vector<double> model_frequencies; // radians for each position, before any factor
    std::vector<float> model_factors;
    std::vector<double> frequencies;

    llama_context * ctx = nullptr;
    llama_kv_cache * cache = nullptr; // of the layers that attend to the whole text
    bool cpu_flash_attention = false; // whether attention nodes are there and may be changed
    int mixed = 0;
    std::unique_ptr<gatun::attention_observer> watcher;
    std::unique_ptr<gatun::sparse_attention> limits;
    bool in_order = false;            // our kernel, which meets cells by position, in any case
    bool new_mask = false;            // of a micro batch whose mask was not looked at yet
    std::vector<int64_t> written;     // the cells of the micro batch: stream * size + cell
    int last_written_layer = 0;
    std::map<const ggml_tensor *, int> layers_by_storage;
    std::vector<bool> sliding; // by layer: keeps its own positions
    std::vector<layer_state> layers;
    std::unique_ptr<templates> custom;
    bool shifting = false;
    bool shift_rewritten = false;
    int last_layer = 0;
    std::unique_ptr<ggml_tensor> factor_tensor;
    std::unique_ptr<ggml_tensor> shift_factor_tensor;
};

namespace gatun {
// The settings that a context was made with; NULL when it was made without.
gatun_rope * rope_of(const llama_context * ctx);
} // namespace gatun
