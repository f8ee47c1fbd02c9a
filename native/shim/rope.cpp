// Position scaling through the evaluation callback: settings, and what is changed where.
#include "rope_nodes.hpp"

#include "llama-kv-cache-iswa.h"
#include "llama-memory-hybrid-iswa.h"
#include "llama-memory-hybrid.h"

#include <algorithm>
#include <cmath>
#include <limits>

using gatun::fail;
using gatun::far_kind;
using gatun::guarded;
using gatun::require;
using namespace gatun::nodes;

namespace {

constexpr int32_t MOST = 1 << 30; // of any number of tokens

std::unique_ptr<ggml_tensor> vector_tensor(std::vector<float> & values) {
    auto tensor = std::make_unique<ggml_tensor>();
    *tensor = {};
    tensor->type = GGML_TYPE_F32;
    tensor->ne[0] = static_cast<int64_t>(values.size());
    tensor->ne[1] = tensor->ne[2] = tensor->ne[3] = 1;
    tensor->nb[0] = sizeof(float);
    tensor->nb[1] = tensor->nb[2] = tensor->nb[3] = sizeof(float) * values.size();
    tensor->data = values.data();
    return tensor;
}

} // namespace

gatun_rope::templates::templates(gatun_rope & rope) {
    const size_t count = rope.layers.size() + 3;
    context = ggml_init({count * (ggml_tensor_overhead() + 64), nullptr, true});
    if (context == nullptr) {
        throw std::bad_alloc();
    }
    ggml_tensor * none = ggml_new_tensor_1d(context, GGML_TYPE_F32, 1);
    const auto make = [&](ggml_custom_op_t function, void * data) {
        return ggml_custom_4d(context, GGML_TYPE_F32, 1, 1, 1, 1, &none, 1, function, GGML_N_TASKS_MAX, data);
    };
    copy = make(gatun::two_band_copy, nullptr);
    rotate = make(gatun::two_band_rotate_keys, &rope.batch);
    for (auto & layer : rope.layers) {
        attention.push_back(make(gatun::two_band_attention, &layer.attention));
    }
}

gatun_rope::gatun_rope(const gatun_rope_params & params) {
    set(params);
}

gatun_rope::~gatun_rope() = default;

void gatun_rope::set(const gatun_rope_params & params) {
    require(params.n_factors >= 0 && (params.factors != nullptr || params.n_factors == 0),
            "factors may be NULL only when n_factors is 0");
    require(params.far_kind >= 0 && params.far_kind <= static_cast<int32_t>(far_kind::dual_chunk),
            "far_kind is none of GATUN_FAR_*");
    require(std::isfinite(params.attention_factor) && params.attention_factor > 0,
            "attention_factor must be positive");
    gatun::two_band_map map;
    map.kind = static_cast<far_kind>(params.far_kind);
    if (map.kind != far_kind::none) {
        map.window = params.window;
        map.group = params.group;
        map.chunk = params.chunk;
        map.factor = params.factor;
        require(map.window >= 1 && map.window <= MOST, "window must be 1 to 2^30");
        require(map.kind != far_kind::self_extend || map.group >= 1, "group must be at least 1");
        require(map.kind != far_kind::leaky_re_rope || (std::isfinite(map.factor) && map.factor >= 1),
                "factor must be at least 1");
        require(map.kind != far_kind::dual_chunk || (map.chunk > map.window && map.chunk <= MOST),
                "chunk must be larger than window and at most 2^30");
        require(params.log_n_tokens == 0 || params.log_n_tokens >= 2, "log_n_tokens must be at least 2");
    }
    for (int32_t i = 0; i < params.n_factors; i++) {
        require(std::isfinite(params.factors[i]) && params.factors[i] > 0, "factors must be positive");
    }
    batch.map = map;
    factors.assign(params.factors, params.factors + params.n_factors);
    factor_tensor = vector_tensor(factors);
    attention_factor = params.attention_factor;
    log_n_tokens = params.log_n_tokens;
    last_layer = 0;
    if (!model_frequencies.empty()) {
        derive_frequencies();
    }
}

void gatun_rope::bind(llama_context * context) {
    ctx = context;
    const llama_model & model = ctx->get_model();
    const auto & hparams = model.hparams;
    const int n_layer = static_cast<int>(hparams.n_layer_all); // a draft context's cache is of the last ones
    sliding.clear();
    for (int il = 0; il < n_layer; il++) {
        sliding.push_back(hparams.is_swa(il));
    }
    llama_memory_i * memory = ctx->get_memory();
    const bool whole_text = dynamic_cast<llama_kv_cache *>(memory) != nullptr;
    cache = dynamic_cast<llama_kv_cache *>(memory);
    if (auto * iswa = dynamic_cast<llama_kv_cache_iswa *>(memory)) {
        cache = iswa->get_base();
    } else if (auto * hybrid = dynamic_cast<llama_memory_hybrid *>(memory)) {
        cache = hybrid->get_mem_attn();
    } else if (auto * both = dynamic_cast<llama_memory_hybrid_iswa *>(memory)) {
        cache = both->get_mem_attn()->get_base();
    }
    if (changes_decode()) {
        if (!model.devices.empty()) {
            fail("this position scaling works on the CPU only; keep all layers there, or choose linear, NTK-aware or plain "
                 "YaRN scaling");
        }
        if (hparams.n_pos_per_embd() > 1 || hparams.rope_type == LLAMA_ROPE_TYPE_NONE) {
            fail("this position scaling needs a model with one rotary position for each token");
        }
    }
    if (two_bands()) {
        if (!whole_text || std::any_of(sliding.begin(), sliding.end(), [](bool s) { return s; })) {
            fail("two-band attention needs a model whose layers all attend to the whole text");
        }
        if (!ctx->get_cparams().flash_attn) {
            fail("two-band attention replaces the flash attention node; do not switch flash attention off");
        }
    }
    layers.assign(static_cast<size_t>(n_layer), {});
    layers_by_storage.clear();
    mixed = 0;
    last_written_layer = std::numeric_limits<int>::max();
    cpu_flash_attention = cache != nullptr && model.devices.empty() && ctx->get_cparams().flash_attn;
    if (cache != nullptr) {
        int index = 0;
        for (const int32_t il : attention_layers()) {
            ggml_tensor * storage = cache->get_k_storage(il);
            layers_by_storage[storage] = il;
            layers[static_cast<size_t>(il)].attention.batch = &batch;
            layers[static_cast<size_t>(il)].attention.index = index++;
        }
        const std::unique_ptr<ggml_context, decltype(&ggml_free)> asking(
            ggml_init({2 * ggml_tensor_overhead(), nullptr, true}), ggml_free);
        if (!asking) {
            throw std::bad_alloc();
        }
        const ggml_tensor * mixing = cache->build_input_k_rot(asking.get());
        mixed = mixing != nullptr ? static_cast<int>(mixing->ne[0]) : 0;
    }
    custom = std::make_unique<templates>(*this);
    if (!two_bands()) {
        return;
    }
    // One token, to see that the model's graph has what is to be changed.
    llama_token token = llama_vocab_bos(llama_model_get_vocab(&model));
    if (token < 0) {
        token = 0;
    }
    const int32_t status = llama_decode(ctx, llama_batch_get_one(&token, 1));
    llama_memory_clear(memory, true);
    if (status != 0) {
        fail("two-band attention: the trial token failed with " + std::to_string(status));
    }
    for (const auto & [storage, il] : layers_by_storage) {
        if (problem.empty() && !layers[static_cast<size_t>(il)].seen) {
            complain("layer " + std::to_string(il) + " has no attention node that could be changed");
        }
    }
    if (!problem.empty()) {
        fail("two-band attention does not work on this architecture: " + problem);
    }
}

void gatun_rope::complain(const std::string & text) {
    if (problem.empty()) {
        problem = text;
    }
}

bool gatun_rope::on_node(ggml_tensor * node, bool ask, void * self) {
    auto * rope = static_cast<gatun_rope *>(self);
    const ggml_op op = node->op;
    if (ask && (op == GGML_OP_ROPE || op == GGML_OP_FLASH_ATTN_EXT || op == GGML_OP_CUSTOM || op == GGML_OP_SET_ROWS)) {
        try {
            if (rope->shifting) {
                rope->change_shift(node);
            } else {
                rope->change(node);
            }
        } catch (const gatun::refusal & refused) {
            rope->complain(refused.text);
        } catch (const std::exception & thrown) {
            rope->complain(thrown.what());
        }
    }
    return false; // never stop in between
}

void gatun_rope::change(ggml_tensor * node) {
    if (node->op == GGML_OP_SET_ROWS) {
        const auto found = our_attention() ? layers_by_storage.find(node->view_src) : layers_by_storage.end();
        if (found != layers_by_storage.end()) {
            if (found->second <= last_written_layer) {
                begin_batch(node->src[1]);
            }
            last_written_layer = found->second;
        }
        return;
    }
    if (two_bands()) {
        change_two_band(node);
        return;
    }
    if (node->op == GGML_OP_FLASH_ATTN_EXT || node->op == GGML_OP_CUSTOM) {
        change_plain_attention(node);
        return;
    }
    if (node->op != GGML_OP_ROPE || !changes_decode()) {
        return;
    }
    const int il = layer_in(node->name);
    if (il >= 0 && il < static_cast<int>(sliding.size()) && sliding[static_cast<size_t>(il)]) {
        return; // sliding-window layers never see far positions
    }
    require_factors(node);
    node->src[2] = factor_tensor.get();
    float_param(node, ROPE_SCALE, 1);
    float_param(node, ROPE_EXTRAPOLATION, 0);
    float_param(node, ROPE_ATTENTION, attention_factor);
}

void gatun_rope::require_factors(const ggml_tensor * node) const {
    const int pairs = node->op_params[ROPE_PAIR_WIDTH] / 2;
    if (static_cast<int>(factors.size()) < pairs) {
        fail("the table has " + std::to_string(factors.size()) + " factors, but node " + node->name + " rotates " +
             std::to_string(pairs) + " pairs");
    }
}

int gatun_rope::layer_of_storage(const ggml_tensor * node, int depth) const {
    if (node == nullptr || depth == 0) {
        return -1;
    }
    const auto found = layers_by_storage.find(node);
    if (found != layers_by_storage.end()) {
        return found->second;
    }
    for (const ggml_tensor * next : {static_cast<const ggml_tensor *>(node->view_src),
                                     static_cast<const ggml_tensor *>(node->src[0]),
                                     static_cast<const ggml_tensor *>(node->src[1])}) {
        const int il = layer_of_storage(next, depth - 1);
        if (il >= 0) {
            return il;
        }
    }
    return -1;
}

void gatun_rope::change_shift(ggml_tensor * node) {
    if (node->op != GGML_OP_ROPE) {
        return;
    }
    const float extrapolation = float_param(node, ROPE_EXTRAPOLATION);
    const bool known = layer_of_storage(node->src[0], 8) >= 0;
    if (!known || (factors.empty() && !two_bands())) {
        // As upstream, but without the factor that it applies at every shift.
        const float scale = float_param(node, ROPE_SCALE);
        const bool yarn = extrapolation != 0;
        float_param(node, ROPE_ATTENTION, yarn ? 1 / (1 + 0.1f * std::log(1 / scale)) : 1.0f);
        return;
    }
    if (!factors.empty()) {
        require_factors(node);
        node->src[2] = factor_tensor.get();
    }
    float_param(node, ROPE_SCALE, 1);
    float_param(node, ROPE_EXTRAPOLATION, 0);
    float_param(node, ROPE_ATTENTION, 1);
    if (!two_bands()) {
        return;
    }
    if (batch.map.kind == far_kind::leaky_re_rope) {
        const int pairs = node->op_params[ROPE_PAIR_WIDTH] / 2;
        const auto * own = node->src[2] != nullptr ? static_cast<const float *>(node->src[2]->data) : nullptr;
        if (!shift_rewritten) {
            shift_factors.clear();
            for (int i = 0; i < pairs; i++) {
                shift_factors.push_back(static_cast<float>((own != nullptr ? own[i] : 1.0f) * batch.map.factor));
            }
            shift_factor_tensor = vector_tensor(shift_factors);
            shift_rewritten = true;
        }
        node->src[2] = shift_factor_tensor.get();
        return;
    }
    if (shift_rewritten) {
        return;
    }
    // One tensor of shifts serves all layers: each cell's becomes what its key's mapping moves by.
    shift_rewritten = true;
    auto * shifts = static_cast<int32_t *>(node->src[1]->data);
    const int64_t size = cache->get_size();
    for (int64_t i = 0; i < node->src[1]->ne[0]; i++) {
        if (shifts[i] == 0) {
            continue;
        }
        const auto & cells = cache->get_cells(static_cast<llama_seq_id>(i / size));
        const auto cell = static_cast<uint32_t>(i % size);
        if (cells.is_empty(cell)) {
            shifts[i] = 0;
            continue;
        }
        const int32_t now = cells.pos_get(cell);
        shifts[i] = static_cast<int32_t>(batch.map.key_position(now) - batch.map.key_position(now - shifts[i]));
    }
}

gatun_rope * gatun::rope_of(const llama_context * ctx) {
    const llama_cparams & params = ctx->get_cparams();
    return params.cb_eval == gatun_rope::on_node ? static_cast<gatun_rope *>(params.cb_eval_user_data) : nullptr;
}

// ---- C ----------------------------------------------------------------------------------------------------------------

int32_t gatun_rope_new(const struct gatun_rope_params * params, struct gatun_rope ** out, char * err, size_t err_cap) {
    return guarded("gatun_rope_new", err, err_cap, [&]() -> int32_t {
        require(params != nullptr && out != nullptr, "params and out may not be NULL");
        *out = new gatun_rope(*params);
        return GATUN_OK;
    });
}

int32_t gatun_rope_set(struct gatun_rope * rope, const struct gatun_rope_params * params, char * err, size_t err_cap) {
    return guarded("gatun_rope_set", err, err_cap, [&]() -> int32_t {
        require(rope != nullptr && params != nullptr, "rope and params may not be NULL");
        const bool bands = params->far_kind != GATUN_FAR_NONE;
        require(bands == rope->two_bands(), "a context keeps the kind of attention that it was made with");
        // Nodes of a graph that is run again keep pointing at a table.
        require(rope->has_factors() == (params->n_factors > 0), "a context keeps or lacks its table of factors");
        rope->set(*params);
        return GATUN_OK;
    });
}

void gatun_rope_free(struct gatun_rope * rope) {
    delete rope;
}
