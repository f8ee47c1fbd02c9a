// Attention nodes become ours, and ggml's again.
#include "rope_nodes.hpp"

#include <algorithm>
#include <cmath>

using gatun::require;
using namespace gatun::nodes;

namespace {

// Puts a custom node's function in place of what a node computes.
void become(ggml_tensor * node, const ggml_tensor * custom) {
    node->op = GGML_OP_CUSTOM;
    std::memcpy(node->op_params, custom->op_params, sizeof(node->op_params));
}

// An attention node that became ours remembers in its unused fields what it was.
constexpr int SAVED_PARAMS = 6; // int32 from here on, beyond what a custom node has there
constexpr int FLASH_PARAMS = 6;
constexpr int SAVED_SOURCE = 8; // the rounded keys and values

void become_attention(ggml_tensor * node, const ggml_tensor * custom) {
    int32_t saved[FLASH_PARAMS];
    std::memcpy(saved, node->op_params, sizeof(saved));
    become(node, custom);
    std::memcpy(node->op_params + SAVED_PARAMS, saved, sizeof(saved));
}

bool is_custom(const ggml_tensor * node, const ggml_tensor * custom) {
    return node->op == GGML_OP_CUSTOM && std::memcmp(node->op_params, custom->op_params, sizeof(void *)) == 0;
}

// Upstream's kernel wants half precision and gets float32 keys and values rounded; ours reads what the cache holds.
void read_as_cached(ggml_tensor * attention) {
    for (int i : {1, 2}) {
        ggml_tensor * rounded = attention->src[i];
        if (rounded->op == GGML_OP_CPY && rounded->type == GGML_TYPE_F16 && rounded->src[0]->type == GGML_TYPE_F32) {
            attention->src[i] = rounded->src[0];
            attention->src[SAVED_SOURCE + i - 1] = rounded;
            rounded->op = GGML_OP_NONE; // it is asked about and run before the attention node: nothing is copied
        }
    }
}

void become_flash_attention(ggml_tensor * node) {
    int32_t saved[FLASH_PARAMS];
    std::memcpy(saved, node->op_params + SAVED_PARAMS, sizeof(saved));
    std::memset(node->op_params, 0, sizeof(node->op_params));
    std::memcpy(node->op_params, saved, sizeof(saved));
    node->op = GGML_OP_FLASH_ATTN_EXT;
    for (int i : {1, 2}) {
        ggml_tensor * rounded = node->src[SAVED_SOURCE + i - 1];
        if (rounded != nullptr) {
            rounded->op = GGML_OP_CPY;
            node->src[i] = rounded;
            node->src[SAVED_SOURCE + i - 1] = nullptr;
        }
    }
}

} // namespace

void gatun_rope::change_two_band(ggml_tensor * node) {
    if (node->op == GGML_OP_FLASH_ATTN_EXT) {
        change_attention(node);
        return;
    }
    const int changed = node->op == GGML_OP_CUSTOM ? layer_of_storage(node->src[1], 6) : -1;
    if (changed >= 0 && is_custom(node, custom->attention[static_cast<size_t>(changed)])) {
        watch(node, changed); // of a graph that is run again
        return;
    }
    if (node->op != GGML_OP_ROPE && !is_custom(node, custom->copy)) {
        return;
    }
    const int il = layer_in(node->name);
    const bool query = node->name[0] == 'Q' || node->name[0] == 'q';
    const bool key = node->name[0] == 'K' || node->name[0] == 'k';
    if (il < 0 || (!query && !key)) {
        complain(std::string("rope node ") + node->name + " is neither of queries nor of keys");
        return;
    }
    if (node->op == GGML_OP_ROPE) {
        const int pairs = node->op_params[ROPE_PAIR_WIDTH] / 2;
        const int mode = node->op_params[ROPE_MODE];
        if ((mode != GGML_ROPE_TYPE_NORMAL && mode != GGML_ROPE_TYPE_NEOX) || node->type != GGML_TYPE_F32 ||
            float_param(node, ROPE_EXTRAPOLATION) != 0 ||
            (!factors.empty() && static_cast<int>(factors.size()) < pairs)) {
            complain(std::string("rope node ") + node->name + " has a mode that cannot be replaced");
            return;
        }
        if (model_frequencies.empty()) {
            batch.offset = node->op_params[ROPE_OFFSET];
            batch.adjacent = mode == GGML_ROPE_TYPE_NORMAL;
            set_model_frequencies(pairs, float_param(node, ROPE_BASE), float_param(node, ROPE_SCALE),
                                  node->src[2] != nullptr ? static_cast<const float *>(node->src[2]->data) : nullptr);
        }
        if (pairs != batch.pairs) {
            complain(std::string("rope node ") + node->name + " rotates another number of dimensions than the first");
            return;
        }
        become(node, query ? custom->copy : custom->rotate);
    }
    if (query) {
        if (il <= last_layer) { // a new micro batch
            prepare(static_cast<const int32_t *>(node->src[1]->data), node->src[1]->ne[0]);
            read_cells();
        }
        last_layer = il;
    }
}

void gatun_rope::change_plain_attention(ggml_tensor * node) {
    const int il = layer_of_storage(node->src[1], 6);
    if (il < 0) {
        return; // of the current tokens only, or of a sliding window
    }
    ggml_tensor * ours = custom->attention[static_cast<size_t>(il)];
    const bool is_ours = is_custom(node, ours);
    if (node->op == GGML_OP_CUSTOM && !is_ours) {
        return; // the model's own
    }
    // Pages are chosen for few tokens; ggml's kernel reads long texts faster.
    const bool wanted = in_order || watcher != nullptr || (limits != nullptr && (limits->pages == nullptr ||
                                                                     node->src[0]->ne[1] <= limits->pages->what().max_tokens));
    if (!wanted) {
        if (is_ours) {
            become_flash_attention(node);
        }
        return;
    }
    if (!is_ours) {
        describe_attention(node, il);
        gatun::two_band_layer & layer = layers[static_cast<size_t>(il)].attention;
        layer.max_bias = float_param(node, 1);
        layer.hadamard = mixed;
        read_as_cached(node);
        become_attention(node, ours);
    }
    if (watcher != nullptr && watcher->what().query_tokens > 0) {
        layers[static_cast<size_t>(il)].attention.rotation = rotation_of(node->src[0], il);
    }
    watch(node, il);
}

void gatun_rope::change_attention(ggml_tensor * node) {
    const int il = layer_of_storage(node->src[1], 6);
    if (il < 0) {
        complain(std::string("attention node ") + node->name + " does not read the KV cache");
        return;
    }
    if (float_param(node, 1) != 0) {
        complain("the model biases attention by distance");
        return;
    }
    layer_state & state = layers[static_cast<size_t>(il)];
    describe_attention(node, il);
    // From the rope node the query comes straight, or mixed for a quantised cache.
    state.attention.hadamard = 0;
    const ggml_tensor * t = node->src[0];
    for (int depth = 0; depth < 12 && t != nullptr && !is_custom(t, custom->copy); depth++) {
        const bool mixed = t->op == GGML_OP_MUL_MAT;
        if (mixed) {
            state.attention.hadamard = static_cast<int>(t->src[0]->ne[0]);
        }
        t = mixed ? t->src[1] : t->src[0];
    }
    if (t == nullptr || !is_custom(t, custom->copy)) {
        complain("the queries of layer " + std::to_string(il) + " are not rotated");
        return;
    }
    state.seen = true;
    read_as_cached(node);
    become_attention(node, custom->attention[static_cast<size_t>(il)]);
    watch(node, il);
}

void gatun_rope::describe_attention(const ggml_tensor * node, int il) {
    gatun::two_band_layer & layer = layers[static_cast<size_t>(il)].attention;
    layer.softcap = float_param(node, 2);
    layer.scale = float_param(node, 0) / (layer.softcap != 0 ? layer.softcap : 1);
    layer.first_stream = 0;
    for (const ggml_tensor * t = node->src[1]; t != nullptr; t = t->src[0]) {
        if (t->view_src != nullptr && layers_by_storage.count(t->view_src) != 0) {
            layer.first_stream = static_cast<int64_t>(t->view_offs / t->view_src->nb[2]);
            break;
        }
    }
}

// Finds the rope node that a plain query comes from.
gatun::query_rotation gatun_rope::rotation_of(const ggml_tensor * query, int il) {
    gatun::query_rotation rotation;
    const ggml_tensor * t = query;
    for (int depth = 0; depth < 12 && t != nullptr && t->op != GGML_OP_ROPE; depth++) {
        switch (t->op) {
            case GGML_OP_VIEW:
            case GGML_OP_RESHAPE:
            case GGML_OP_PERMUTE:
            case GGML_OP_CONT:
            case GGML_OP_SCALE: t = t->src[0]; break;
            case GGML_OP_MUL_MAT:
                if (mixed > 0 && (t->src[0]->flags & GGML_TENSOR_FLAG_INPUT) != 0) {
                    t = t->src[1];
                    break;
                }
                return rotation; // by a weight: nothing was rotated
            default:
                complain("the queries of layer " + std::to_string(il) + " cannot be kept: " + ggml_op_name(t->op) +
                         " stands between their rotation and the attention");
                return rotation;
        }
    }
    if (t == nullptr || t->op != GGML_OP_ROPE) {
        return rotation;
    }
    const int mode = t->op_params[ROPE_MODE];
    if (mode == GGML_ROPE_TYPE_VISION) {
        complain("the queries of layer " + std::to_string(il) + " are rotated as an image's");
        return rotation;
    }
    // As ggml's rope node computes it; positions of several axes are equal for text.
    const int width = t->op_params[ROPE_PAIR_WIDTH];
    const float scale = float_param(t, ROPE_SCALE);
    const float extrapolation = float_param(t, ROPE_EXTRAPOLATION);
    const auto * own = t->src[2] != nullptr ? static_cast<const float *>(t->src[2]->data) : nullptr;
    float ramp[2];
    ggml_rope_yarn_corr_dims(width, t->op_params[ROPE_TRAINED], float_param(t, ROPE_BASE), float_param(t, ROPE_FAST),
                             float_param(t, ROPE_SLOW), ramp);
    for (int i = 0; i < width / 2; i++) {
        const double frequency = std::pow(static_cast<double>(float_param(t, ROPE_BASE)), -2.0 * i / width) /
                                 (own != nullptr ? own[i] : 1.0f);
        const double at = (i - ramp[0]) / std::max(0.001f, ramp[1] - ramp[0]);
        const double mix = extrapolation * (1 - std::clamp(at, 0.0, 1.0));
        rotation.frequencies.push_back(frequency * (scale * (1 - mix) + mix));
    }
    rotation.length = float_param(t, ROPE_ATTENTION);
    if (extrapolation != 0) {
        rotation.length *= 1 + 0.1f * std::log(1 / scale);
    }
    rotation.offset = t->op_params[ROPE_OFFSET];
    rotation.adjacent = mode == GGML_ROPE_TYPE_NORMAL;
    return rotation;
}

void gatun_rope::watch(const ggml_tensor * node, int il) {
    gatun::two_band_layer & layer = layers[static_cast<size_t>(il)].attention;
    layer.observer = watcher.get();
    layer.sparse = nullptr; // nothing is left out when the mask cannot be read
    if (limits != nullptr && new_mask) {
        read_mask(node->src[3]);
        new_mask = false;
    }
    layer.sparse = limits.get();
    if (watcher != nullptr) {
        watcher->will_see(node->src[0]->ne[2]);
    }
}

void gatun_rope::observe(std::unique_ptr<gatun::attention_observer> by) {
    attention_cache();
    watcher = std::move(by);
}

void gatun_rope::leave_out(std::unique_ptr<gatun::sparse_attention> what) {
    attention_cache();
    limits = std::move(what);
}

void gatun_rope::attend_in_order(bool on) {
    attention_cache();
    in_order = on;
}

const llama_kv_cache & gatun_rope::attention_cache() const {
    require(cache != nullptr, "the model has no layers that keep cells of the whole text");
    require(cpu_flash_attention, "attention is observed and limited on the CPU only, in a context with flash attention");
    return *cache;
}

std::vector<int32_t> gatun_rope::attention_layers() const {
    require(cache != nullptr, "the model has no layers that keep cells of the whole text");
    std::vector<int32_t> ids;
    for (const uint32_t il : cache->get_layer_ids()) {
        ids.push_back(static_cast<int32_t>(il));
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

gatun::attention_observer::settings gatun_rope::observed_shape() const {
    attention_cache();
    const auto & hparams = ctx->get_model().hparams;
    gatun::attention_observer::settings shape;
    for (const int32_t il : attention_layers()) {
        shape.layers++;
        shape.n_heads = std::max(shape.n_heads, static_cast<int32_t>(hparams.n_head(static_cast<uint32_t>(il))));
        shape.head_size = std::max(shape.head_size, static_cast<int32_t>(hparams.n_embd_head_k(static_cast<uint32_t>(il))));
    }
    shape.cells_of_stream = cache->get_size();
    shape.streams = cache->get_n_stream();
    return shape;
}

std::unique_ptr<gatun::page_index> gatun_rope::new_page_index(const gatun::page_index::settings & settings) const {
    const llama_kv_cache & of = attention_cache();
    std::vector<gatun::page_index::layer_shape> shapes;
    for (const int32_t il : attention_layers()) {
        const auto head_size = static_cast<int>(ctx->get_model().hparams.n_embd_head_k(static_cast<uint32_t>(il)));
        shapes.push_back({static_cast<int>(of.get_k_storage(il)->ne[0]) / head_size, head_size});
    }
    return std::make_unique<gatun::page_index>(settings, shapes, of.get_size(), of.get_n_stream());
}
