// Position scaling through the evaluation callback.
#include "rope.hpp"

#include "llama-context.h"
#include "llama-kv-cache-iswa.h"
#include "llama-kv-cache.h"
#include "llama-memory-hybrid-iswa.h"
#include "llama-memory-hybrid.h"
#include "llama-model.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

using gatun::fail;
using gatun::far_kind;
using gatun::guarded;
using gatun::require;

namespace {

// Fields of a rope node's parameters, as ggml_rope_ext writes them.
constexpr int ROPE_PAIR_WIDTH = 1;
constexpr int ROPE_MODE = 2;
constexpr int ROPE_TRAINED = 4;
constexpr int ROPE_BASE = 5;
constexpr int ROPE_SCALE = 6;
constexpr int ROPE_EXTRAPOLATION = 7;
constexpr int ROPE_ATTENTION = 8;
constexpr int ROPE_FAST = 9;
constexpr int ROPE_SLOW = 10;
constexpr int ROPE_OFFSET = 15;

float float_param(const ggml_tensor * node, int index) {
    float value;
    std::memcpy(&value, node->op_params + index, sizeof(value));
    return value;
}

void float_param(ggml_tensor * node, int index, float value) {
    std::memcpy(node->op_params + index, &value, sizeof(value));
}

// "Qcur-12": 12; -1 when the name has no number at its end.
int layer_in(const char * name) {
    const char * dash = std::strrchr(name, '-');
    if (dash == nullptr || dash[1] < '0' || dash[1] > '9') {
        return -1;
    }
    return std::atoi(dash + 1);
}

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

// One custom node for each thing that is put in place of another; only their parameters are used.
struct gatun_rope::templates {
    ggml_context * context;
    ggml_tensor * copy;
    ggml_tensor * rotate;
    std::vector<ggml_tensor *> attention;

    templates(gatun_rope & rope) {
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

    ~templates() { ggml_free(context); }
    templates(const templates &) = delete;
    templates & operator=(const templates &) = delete;
};

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
        require(map.window >= 1, "window must be at least 1");
        require(map.kind != far_kind::self_extend || map.group >= 1, "group must be at least 1");
        require(map.kind != far_kind::leaky_re_rope || (std::isfinite(map.factor) && map.factor >= 1),
                "factor must be at least 1");
        require(map.kind != far_kind::dual_chunk || map.chunk > map.window, "chunk must be larger than window");
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
    const int n_layer = static_cast<int>(hparams.n_layer());
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
    const int pairs = node->op_params[ROPE_PAIR_WIDTH] / 2;
    if (static_cast<int>(factors.size()) < pairs) {
        complain("the table has " + std::to_string(factors.size()) + " factors, but node " + node->name + " rotates " +
                 std::to_string(pairs) + " pairs");
        return;
    }
    node->src[2] = factor_tensor.get();
    float_param(node, ROPE_SCALE, 1);
    float_param(node, ROPE_EXTRAPOLATION, 0);
    float_param(node, ROPE_ATTENTION, attention_factor);
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

void gatun_rope::set_model_frequencies(int pairs, double base, double scale, const float * own) {
    model_frequencies.clear();
    for (int i = 0; i < pairs; i++) {
        model_frequencies.push_back(scale * std::pow(base, -static_cast<double>(i) / pairs));
    }
    model_factors.assign(own, own != nullptr ? own + pairs : own);
    derive_frequencies();
}

void gatun_rope::derive_frequencies() {
    const std::vector<float> & divisors = factors.empty() ? model_factors : factors;
    frequencies = model_frequencies;
    for (size_t i = 0; i < divisors.size() && i < frequencies.size(); i++) {
        frequencies[i] /= divisors[i];
    }
    batch.pairs = static_cast<int>(frequencies.size());
    std::vector<double> turned = frequencies;
    for (double & frequency : turned) {
        frequency *= batch.map.turn_scale();
    }
    batch.turns.reset(std::move(turned));
}

void gatun_rope::prepare(const int32_t * positions, int64_t count) {
    batch.tokens = static_cast<int32_t>(count);
    batch.positions.assign(positions, positions + count);
    const int variants = batch.map.variants();
    const auto turn = [&](std::vector<float> & to, double position) {
        for (const double frequency : frequencies) {
            to.push_back(static_cast<float>(std::cos(position * frequency)));
            to.push_back(static_cast<float>(std::sin(position * frequency)));
        }
    };
    batch.query_turns.clear();
    for (int variant = 0; variant < variants; variant++) {
        for (int64_t i = 0; i < count; i++) {
            turn(batch.query_turns, batch.map.query_position(variant, positions[i]));
        }
    }
    batch.key_turns.clear();
    batch.query_scale.clear();
    int32_t end = 0;
    for (int64_t i = 0; i < count; i++) {
        turn(batch.key_turns, batch.map.key_position(positions[i]));
        const double log_n =
            log_n_tokens > 0 ? std::max(1.0, std::log(positions[i] + 1.0) / std::log(log_n_tokens)) : 1;
        batch.query_scale.push_back(static_cast<float>(log_n * attention_factor * attention_factor));
        end = std::max(end, positions[i] + 1);
    }
    batch.turns.reserve(end);
}

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

// The cells' positions; the micro batch has its cells already.
void gatun_rope::read_cells() {
    const uint32_t streams = cache->get_n_stream();
    batch.cells.resize(streams);
    int32_t end = 0;
    for (uint32_t s = 0; s < streams; s++) {
        const auto & cells = cache->get_cells(static_cast<llama_seq_id>(s));
        batch.cells[s].resize(cells.size());
        const uint32_t used = cells.used_max_p1();
        for (uint32_t i = 0; i < used; i++) {
            batch.cells[s][i] = cells.is_empty(i) ? -1 : cells.pos_get(i);
        }
        std::fill(batch.cells[s].begin() + used, batch.cells[s].end(), -1);
        if (limits != nullptr) {
            bound_blocks(s, used);
        }
        for (uint32_t i = 0; i < batch.cells[s].size(); i++) {
            batch.cells[s][i] = std::max(batch.cells[s][i], 0);
            end = std::max(end, batch.cells[s][i] + 1);
        }
    }
    if (two_bands()) {
        batch.turns.reserve(end);
    }
}

// For what leaves keys out; the positions are still -1 where a cell is empty.
void gatun_rope::bound_blocks(uint32_t stream, uint32_t used) {
    constexpr uint32_t BLOCK = 64;
    const std::vector<int32_t> & positions = batch.cells[stream];
    const size_t blocks = (positions.size() + BLOCK - 1) / BLOCK;
    batch.least.resize(batch.cells.size());
    batch.greatest.resize(batch.cells.size());
    batch.least[stream].assign(blocks, std::numeric_limits<int32_t>::max());
    batch.greatest[stream].assign(blocks, -1);
    for (uint32_t i = 0; i < used; i++) {
        if (positions[i] >= 0) {
            int32_t & least = batch.least[stream][i / BLOCK];
            int32_t & greatest = batch.greatest[stream][i / BLOCK];
            least = std::min(least, positions[i]);
            greatest = std::max(greatest, positions[i]);
        }
    }
    if (limits->pages != nullptr) {
        limits->pages->see_cells(stream, positions);
    }
}

// A new micro batch: where its tokens go, and on plain positions where they stand. Two bands know that before.
void gatun_rope::begin_batch(const ggml_tensor * cells) {
    const auto * at = static_cast<const int64_t *>(cells->data);
    written.assign(at, at + cells->ne[0]);
    const int64_t size = cache->get_size();
    if (!two_bands()) {
        batch.positions.clear();
        for (const int64_t cell : written) {
            batch.positions.push_back(
                cache->get_cells(static_cast<llama_seq_id>(cell / size)).pos_get(static_cast<uint32_t>(cell % size)));
        }
        batch.tokens = static_cast<int32_t>(written.size());
        batch.query_scale.assign(written.size(), 1);
        read_cells();
    }
    new_mask = true;
    if (limits != nullptr && limits->pages != nullptr) {
        for (const int64_t cell : written) {
            limits->pages->written(cell / size, cell % size);
        }
    }
    if (watcher != nullptr) {
        const llama_seq_id seq = watcher->what().sequence;
        std::vector<uint8_t> observed;
        for (size_t i = 0; i < written.size(); i++) {
            const auto & of = cache->get_cells(static_cast<llama_seq_id>(written[i] / size));
            observed.push_back(batch.positions[i] >= watcher->what().first_position &&
                               (seq < 0 || of.seq_has(static_cast<uint32_t>(written[i] % size), seq)));
        }
        watcher->begin_batch(written, observed, batch.positions,
                             static_cast<int>(std::max(llama_n_threads(ctx), llama_n_threads_batch(ctx))));
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
    const bool wanted = watcher != nullptr || (limits != nullptr && (limits->pages == nullptr ||
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

void gatun_rope::watch(const ggml_tensor * node, int il) {
    layers[static_cast<size_t>(il)].attention.observer = watcher.get();
    layers[static_cast<size_t>(il)].attention.sparse = limits.get();
    if (limits != nullptr && new_mask) {
        new_mask = false;
        read_mask(node->src[3]);
    }
    if (watcher != nullptr) {
        watcher->will_see(node->src[0]->ne[2]);
    }
}

// What the mask, one for all layers, lets through: [cells, tokens, 1, streams].
void gatun_rope::read_mask(const ggml_tensor * mask) {
    if (mask == nullptr || mask->type != GGML_TYPE_F16 || mask->ne[1] * mask->ne[3] != batch.tokens) {
        fail("the attention has a mask of an unknown kind");
    }
    constexpr int PAGE = gatun::page_index::PAGE;
    const int64_t pages = (mask->ne[0] + PAGE - 1) / PAGE;
    limits->visible.assign(static_cast<size_t>(batch.tokens), 0);
    limits->visible_pages_stride = pages;
    limits->counts.resize(static_cast<size_t>(std::max(llama_n_threads(ctx), llama_n_threads_batch(ctx))));
    const bool paged = limits->pages != nullptr && mask->ne[1] <= limits->pages->what().max_tokens;
    limits->page_visible.assign(paged ? static_cast<size_t>(batch.tokens * pages) : 0, 0);
    for (int64_t token = 0; token < batch.tokens; token++) {
        const auto * row = reinterpret_cast<const uint16_t *>(
            static_cast<const char *>(mask->data) + token % mask->ne[1] * static_cast<int64_t>(mask->nb[1]) +
            token / mask->ne[1] * static_cast<int64_t>(mask->nb[3]));
        int64_t visible = 0;
        for (int64_t page = 0; page < pages; page++) {
            int of_page = 0;
            for (int64_t i = page * PAGE; i < std::min((page + 1) * PAGE, mask->ne[0]); i++) {
                of_page += row[i] != 0xFC00;
            }
            visible += of_page;
            if (paged) {
                limits->page_visible[static_cast<size_t>(token * pages + page)] = of_page > 0;
            }
        }
        limits->visible[static_cast<size_t>(token)] = visible;
    }
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

void gatun_rope::leave_out(std::unique_ptr<gatun::sparse_attention> what) {
    attention_cache();
    limits = std::move(what);
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

void gatun_rope::observe(std::unique_ptr<gatun::attention_observer> by) {
    attention_cache();
    watcher = std::move(by);
}

const llama_kv_cache & gatun_rope::attention_cache() const {
    require(cache != nullptr, "the model has no layers that keep cells of the whole text");
    require(cpu_flash_attention, "attention is observed and limited on the CPU only, in a context with flash attention");
    return *cache;
}

std::vector<int32_t> gatun_rope::attention_layers() const {
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

int32_t gatun_two_band_scores(const struct gatun_rope_params * params, int32_t head_size, double base, bool adjacent,
                              int32_t n_tokens, const float * queries, const float * keys, float * scores, char * err,
                              size_t err_cap) {
    return guarded("gatun_two_band_scores", err, err_cap, [&]() -> int32_t {
        require(params != nullptr && queries != nullptr && keys != nullptr && scores != nullptr, "no argument may be NULL");
        require(head_size >= 2 && head_size % 2 == 0 && n_tokens >= 1, "head_size must be even, n_tokens positive");
        gatun_rope rope(*params);
        require(rope.two_bands(), "params must name a far band");
        std::vector<int32_t> positions;
        for (int32_t i = 0; i < n_tokens; i++) {
            positions.push_back(i);
        }
        rope.set_model_frequencies(head_size / 2, base, 1, nullptr);
        rope.batch.adjacent = adjacent;
        rope.prepare(positions.data(), n_tokens);
        rope.batch.cells.assign(1, positions);
        rope.batch.scores = scores;

        const size_t floats = static_cast<size_t>(n_tokens) * static_cast<size_t>(head_size);
        std::unique_ptr<ggml_context, decltype(&ggml_free)> context(
            ggml_init({8 * ggml_tensor_overhead() + 8 * floats * sizeof(float) + (1 << 16), nullptr, false}), ggml_free);
        if (!context) {
            throw std::bad_alloc();
        }
        ggml_tensor * k = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, head_size, 1, n_tokens);
        std::memcpy(k->data, keys, floats * sizeof(float));
        ggml_tensor * cached = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, head_size, 1, n_tokens);
        cached->src[0] = k;
        gatun::two_band_rotate_keys(cached, 0, 1, &rope.batch);
        ggml_tensor * q = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, head_size, n_tokens, 1);
        std::memcpy(q->data, queries, floats * sizeof(float));
        ggml_tensor * out = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, head_size, 1, n_tokens);
        out->src[0] = q;
        out->src[1] = ggml_reshape_3d(context.get(), cached, head_size, n_tokens, 1);
        out->src[2] = out->src[1];
        gatun::two_band_layer layer;
        layer.batch = &rope.batch;
        layer.scale = 1 / std::sqrt(static_cast<float>(head_size));
        gatun::two_band_attention(out, 0, 1, &layer);
        return GATUN_OK;
    });
}
