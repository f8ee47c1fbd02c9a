// The scores of one attention head, for tests.
#include "rope.hpp"

#include <cmath>

using gatun::guarded;
using gatun::require;

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
