#include "contexts.hpp"

#include <cstring>

using gatun_test::after;
using gatun_test::context_holder;
using gatun_test::distance;
using gatun_test::message;
using gatun_test::plain;
using gatun_test::prompt;
using gatun_test::rope_holder;
using gatun_test::tiny_model;

namespace {

constexpr int32_t PAIRS = 32;

gatun_rope_params far(int32_t kind, int32_t window) {
    gatun_rope_params params = plain();
    params.far_kind = kind;
    params.window = window;
    params.group = 4;
    params.chunk = window + 64;
    params.factor = 4;
    return params;
}

} // namespace

TEST("a far band beyond the text changes nothing") {
    const auto tokens = prompt(200);
    context_holder reference(256);
    const auto expected = after(reference, tokens);
    for (int32_t kind = GATUN_FAR_SELF_EXTEND; kind <= GATUN_FAR_DUAL_CHUNK; kind++) {
        gatun_rope_params params = far(kind, 240);
        params.chunk = 480; // one chunk of 240 holds the text
        rope_holder rope(params);
        context_holder context(256, 1, rope.rope);
        const auto actual = after(context, tokens);
        const double off = distance(actual, expected);
        std::printf("kind %d: largest difference of a logit %.2e\n", kind, off);
        CHECK(off < 2e-2); // the reference rounds keys to 16 bits in another rotation
    }
}

TEST("a table of ones changes nothing at all") {
    const auto tokens = prompt(200);
    context_holder reference(256);
    const auto expected = after(reference, tokens);
    const std::vector<float> ones(PAIRS, 1.0f);
    gatun_rope_params params = plain();
    params.factors = ones.data();
    params.n_factors = PAIRS;
    rope_holder rope(params);
    context_holder context(256, 1, rope.rope);
    CHECK(distance(after(context, tokens), expected) == 0);
}

TEST("token by token is as good as at once") {
    const auto tokens = prompt(200);
    for (int32_t kind = GATUN_FAR_SELF_EXTEND; kind <= GATUN_FAR_DUAL_CHUNK; kind++) {
        rope_holder first(far(kind, 16));
        context_holder whole(256, 1, first.rope);
        const auto expected = after(whole, tokens);
        rope_holder second(far(kind, 16));
        context_holder single(256, 1, second.rope, 1); // threads that wait spin: slow on a busy machine
        std::vector<float> actual;
        for (const llama_token token : tokens) {
            actual = after(single, {token});
        }
        const double off = distance(actual, expected);
        std::printf("kind %d: largest difference of a logit %.2e\n", kind, off);
        CHECK(off < 2e-2);
    }
}

TEST("a shift moves the text and nothing else") {
    // A text at 0.. moved by 100 equals a text decoded at 100..
    const auto tokens = prompt(100);
    for (int32_t kind = GATUN_FAR_NONE; kind <= GATUN_FAR_DUAL_CHUNK; kind++) {
        std::vector<float> results[2];
        for (int moved = 0; moved < 2; moved++) {
            rope_holder rope(kind == GATUN_FAR_NONE ? plain() : far(kind, 16));
            context_holder context(512, 1, rope.rope, 1);
            message err;
            llama_batch batch = llama_batch_init(128, 0, 1);
            batch.n_tokens = static_cast<int32_t>(tokens.size());
            for (int32_t i = 0; i < batch.n_tokens; i++) {
                batch.token[i] = tokens[static_cast<size_t>(i)];
                batch.pos[i] = i + (moved ? 0 : 128);
                batch.n_seq_id[i] = 1;
                batch.seq_id[i][0] = 0;
                batch.logits[i] = 0;
            }
            CHECK_EQUAL(gatun_decode(context.ctx, &batch, err.text, sizeof(err.text)), 0);
            llama_batch_free(batch);
            if (moved) {
                CHECK_OK(gatun_memory_shift(context.ctx, 0, 0, -1, 128, err.text, sizeof(err.text)), err);
            }
            results[moved] = after(context, {42});
        }
        const double off = distance(results[0], results[1]);
        std::printf("kind %d: largest difference of a logit %.2e\n", kind, off);
        CHECK(off < 5e-2);
    }
}

TEST("what cannot be is refused with the reason") {
    message err;
    gatun_rope * rope = nullptr;
    gatun_rope_params params = far(GATUN_FAR_REROPE, 0);
    CHECK_EQUAL(gatun_rope_new(&params, &rope, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "window");
    params = far(GATUN_FAR_DUAL_CHUNK, 64);
    params.chunk = 64;
    CHECK_EQUAL(gatun_rope_new(&params, &rope, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "chunk");
    params.chunk = INT32_MAX; // positions in a later chunk would overflow
    CHECK_EQUAL(gatun_rope_new(&params, &rope, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "chunk");
    params = far(GATUN_FAR_SELF_EXTEND, 1);
    params.window = INT32_MAX;
    CHECK_EQUAL(gatun_rope_new(&params, &rope, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "window");

    // Cells that two sequences share.
    llama_context_params shared;
    gatun_context_default_params(&shared);
    shared.n_ctx = 256;
    shared.n_seq_max = 2;
    shared.kv_unified = true;
    llama_context * two = nullptr;
    CHECK_OK(gatun_context_new(tiny_model(), &shared, nullptr, &two, err.text, sizeof(err.text)), err);
    std::vector<llama_token> tokens = prompt(10);
    const llama_batch batch = llama_batch_get_one(tokens.data(), 10);
    CHECK_EQUAL(gatun_decode(two, &batch, err.text, sizeof(err.text)), 0);
    CHECK_OK(gatun_memory_shift(two, 0, 0, -1, 5, err.text, sizeof(err.text)), err);
    llama_memory_seq_cp(llama_get_memory(two), 0, 1, -1, -1);
    CHECK_EQUAL(gatun_memory_shift(two, 0, 0, -1, 5, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "shared");
    CHECK_EQUAL(llama_memory_seq_pos_min(llama_get_memory(two), 0), 5);
    llama_free(two);

    // YaRN's own parameters without the callback: upstream would stretch every key.
    shared.rope_scaling_type = LLAMA_ROPE_SCALING_TYPE_YARN;
    shared.rope_freq_scale = 0.25f;
    CHECK_OK(gatun_context_new(tiny_model(), &shared, nullptr, &two, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(gatun_memory_shift(two, 0, 0, -1, 5, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "YaRN");
    llama_free(two);

    // Too few factors for the model.
    const std::vector<float> ones(4, 1.0f);
    gatun_rope_params few = plain();
    few.factors = ones.data();
    few.n_factors = 4;
    rope_holder short_table(few);
    context_holder broken(256, 1, short_table.rope);
    CHECK_EQUAL(broken.decode(prompt(10), err), GATUN_FAILED);
    CHECK_CONTAINS(err, "4 factors");
}

TEST("scores of one head are those of the mapped positions") {
    constexpr int32_t TOKENS = 40;
    constexpr int32_t SIZE = 8;
    constexpr double BASE = 100;
    std::vector<float> queries;
    std::vector<float> keys;
    for (int32_t i = 0; i < TOKENS * SIZE; i++) {
        queries.push_back(std::sin(i * 1.7f));
        keys.push_back(std::cos(i * 0.9f));
    }
    std::vector<float> scores(TOKENS * TOKENS);
    message err;
    const size_t cap = sizeof(err.text);
    gatun_rope_params params = far(GATUN_FAR_REROPE, 16);
    for (const bool adjacent : {false, true}) {
        CHECK_OK(gatun_two_band_scores(&params, SIZE, BASE, adjacent, TOKENS, queries.data(), keys.data(),
                                       scores.data(), err.text, cap),
                 err);
        for (int32_t i = 0; i < TOKENS; i++) {
            for (int32_t j = 0; j <= i; j++) {
                double expected = 0;
                for (int32_t p = 0; p < SIZE / 2; p++) {
                    const double angle = -std::min(i - j, 16) * std::pow(BASE, -2.0 * p / SIZE);
                    const int32_t x = adjacent ? 2 * p : p;
                    const int32_t y = adjacent ? x + 1 : x + SIZE / 2;
                    const float * q = queries.data() + i * SIZE;
                    const float * k = keys.data() + j * SIZE;
                    expected += q[x] * (k[x] * std::cos(angle) - k[y] * std::sin(angle)) +
                                q[y] * (k[x] * std::sin(angle) + k[y] * std::cos(angle));
                }
                CHECK(std::fabs(scores[static_cast<size_t>(i * TOKENS + j)] - expected / std::sqrt(SIZE)) < 1e-5);
            }
        }
    }
    float one = 0;
    CHECK_EQUAL(gatun_two_band_scores(&params, 7, BASE, true, 1, &one, &one, &one, err.text, cap),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_two_band_scores(&params, 8, BASE, true, 0, &one, &one, &one, err.text, cap),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_two_band_scores(&params, 8, BASE, true, 1, nullptr, &one, &one, err.text, cap),
                GATUN_INVALID_ARGUMENT);
    params = plain();
    CHECK_EQUAL(gatun_two_band_scores(&params, 8, BASE, true, 1, &one, &one, &one, err.text, cap),
                GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "far band");
}
