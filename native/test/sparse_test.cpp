#include "contexts.hpp"

#include <algorithm>

using gatun_test::after;
using gatun_test::context_holder;
using gatun_test::decode_at;
using gatun_test::distance;
using gatun_test::logits;
using gatun_test::message;
using gatun_test::plain;
using gatun_test::prompt;
using gatun_test::rope_holder;
using gatun_test::rows;
using gatun_test::settings;

namespace {

gatun_sparse_params sparse(int32_t kind) {
    gatun_sparse_params params = {};
    params.kind = kind;
    params.budget_tokens = 32;
    params.window = 16;
    params.sinks = 4;
    params.stride = 3;
    params.block = 16;
    params.random = 1;
    params.max_tokens = 4;
    params.measure = 1;
    return params;
}

void set(llama_context * ctx, const gatun_sparse_params & params) {
    message err;
    CHECK_OK(gatun_sparse_set(ctx, &params, err.text, sizeof(err.text)), err);
}

gatun_sparse_counts counts(llama_context * ctx, bool reset = true) {
    message err;
    gatun_sparse_counts out;
    CHECK_OK(gatun_sparse_read(ctx, reset, &out, err.text, sizeof(err.text)), err);
    return out;
}

// What was met must be a part of what could be, and hold a part of the attention.
void check_left_out(const gatun_sparse_counts & of) {
    CHECK(of.rows > 0);
    CHECK_EQUAL(of.measured, of.rows);
    CHECK(of.attended >= of.rows);
    CHECK(of.attended < of.visible);
    CHECK(of.recall > 0 && of.recall < 1);
    CHECK(of.least >= 0 && of.least <= of.recall);
}

} // namespace

TEST("every pattern leaves keys out, for every type, in every pool, and full attention comes back") {
    message err;
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
        rope_holder rope(plain());
        llama_context_params params = settings(512, 2);
        params.type_k = params.type_v = type;
        context_holder context(params, rope.rope);
        llama_context * ctx = context.ctx;
        std::vector<float> full;
        for (const int32_t kind : {GATUN_SPARSE_NONE, GATUN_SPARSE_LOCAL, GATUN_SPARSE_DILATED, GATUN_SPARSE_BLOCKS,
                                   GATUN_SPARSE_STRIDED, GATUN_SPARSE_LONGFORMER, GATUN_SPARSE_BIG_BIRD,
                                   GATUN_SPARSE_NONE}) {
            gatun_sparse_params chosen = sparse(kind);
            const int32_t globals[] = {0, 50};
            if (kind == GATUN_SPARSE_LONGFORMER) {
                chosen.globals = globals;
                chosen.n_globals = 2;
            } else if (kind == GATUN_SPARSE_BIG_BIRD) {
                chosen.window = chosen.sinks = 1; // blocks
            }
            set(ctx, chosen);
            llama_memory_clear(llama_get_memory(ctx), true);
            CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(20), err), 0);
            CHECK_EQUAL(decode_at(ctx, 1, 0, prompt(90), err), 0);
            CHECK_EQUAL(decode_at(ctx, 1, 90, {42}, err), 0);
            if (kind != GATUN_SPARSE_NONE) {
                check_left_out(counts(ctx));
                CHECK(distance(logits(ctx), full) > 5e-2);
            } else if (full.empty()) {
                full = logits(ctx);
            } else {
                CHECK(logits(ctx) == full);
            }
            CHECK_EQUAL(counts(ctx).rows, int64_t{0});
        }
    }
}

TEST("a pattern that hides nothing changes nothing") {
    message err;
    const auto tokens = prompt(60);
    rope_holder observed(plain());
    context_holder reference(settings(256), observed.rope);
    CHECK_OK(gatun_observe_begin(reference.ctx, 0, -1, 0, 0, err.text, sizeof(err.text)), err); // the same kernel
    const auto expected = after(reference, tokens);
    for (const int32_t kind : {GATUN_SPARSE_LOCAL, GATUN_SPARSE_DILATED, GATUN_SPARSE_BLOCKS, GATUN_SPARSE_STRIDED,
                               GATUN_SPARSE_LONGFORMER, GATUN_SPARSE_BIG_BIRD}) {
        rope_holder rope(plain());
        context_holder context(settings(256), rope.rope);
        gatun_sparse_params params = sparse(kind);
        params.window = 128;
        params.stride = kind == GATUN_SPARSE_STRIDED ? 128 : 1;
        params.block = 128;
        set(context.ctx, params);
        const double off = distance(after(context, tokens), expected);
        std::printf("kind %d: largest difference of a logit %.2e\n", kind, off);
        CHECK(off < 1e-4);
        const gatun_sparse_counts of = counts(context.ctx);
        CHECK(of.rows > 0);
        CHECK_EQUAL(of.attended, of.visible);
        CHECK(of.recall == 1 && of.least == 1);
    }
}

TEST("pages are chosen for each decoded token, by weight or by bound, for every type and in every pool") {
    message err;
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_Q8_0}) {
        for (const int32_t by_bound : {0, 1}) {
            rope_holder rope(plain());
            llama_context_params params = settings(512, 2);
            params.type_k = params.type_v = type;
            if (type == GGML_TYPE_F16 && by_bound) {
                params.n_threads = 2;
            }
            context_holder context(params, rope.rope);
            llama_context * ctx = context.ctx;
            gatun_sparse_params chosen = sparse(GATUN_SPARSE_PAGES);
            chosen.by_bound = by_bound;
            set(ctx, chosen);
            CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(30), err), 0);
            CHECK_EQUAL(decode_at(ctx, 1, 0, prompt(150), err), 0);
            CHECK_EQUAL(counts(ctx).rows, int64_t{0}); // many tokens attend to all
            CHECK_EQUAL(decode_at(ctx, 1, 150, prompt(3), err), 0);
            const gatun_sparse_counts of = counts(ctx, false);
            check_left_out(of);
            CHECK_EQUAL(counts(ctx).rows, of.rows);
            CHECK_EQUAL(counts(ctx).rows, int64_t{0});
            // Few cells: all are met.
            CHECK_EQUAL(decode_at(ctx, 0, 30, {42}, err), 0);
            const gatun_sparse_counts all = counts(ctx);
            CHECK(all.rows > 0);
            CHECK_EQUAL(all.attended, all.visible);
        }
    }
}

TEST("pages are summarised anew when cells get other keys") {
    message err;
    const auto text = prompt(250);
    llama_context_params params = settings(512, 2);
    params.kv_unified = true;
    rope_holder from_rope(plain());
    context_holder from(params, from_rope.rope);
    CHECK_EQUAL(decode_at(from.ctx, 0, 0, {text.begin() + 100, text.end()}, err), 0);
    const auto bytes = rows(from.ctx, 0);
    std::vector<int32_t> positions(150);
    for (size_t i = 0; i < positions.size(); i++) {
        positions[i] = static_cast<int32_t>(i);
    }
    // The same cells, in a context whose pages were of another text before and in a new one.
    std::vector<float> results[2];
    for (const int used : {0, 1}) {
        rope_holder rope(plain());
        context_holder context(params, rope.rope);
        llama_context * ctx = context.ctx;
        set(ctx, sparse(GATUN_SPARSE_PAGES));
        if (used) {
            CHECK_EQUAL(decode_at(ctx, 0, 0, {text.begin(), text.begin() + 150}, err), 0);
            CHECK_EQUAL(decode_at(ctx, 0, 150, {42}, err), 0);
            llama_memory_seq_rm(llama_get_memory(ctx), 0, -1, -1);
        }
        const gatun_cell_piece piece = {positions.data(), positions.data(), 150, bytes.data(), bytes.size()};
        CHECK_OK(gatun_cells_write(ctx, 0, &piece, 1, err.text, sizeof(err.text)), err);
        CHECK_EQUAL(decode_at(ctx, 0, 150, {42}, err), 0);
        results[used] = logits(ctx);
        gatun_pages_invalidate(ctx);
        CHECK_OK(gatun_memory_discard(ctx, 0, 16, 48, err.text, sizeof(err.text)), err);
        gatun_compaction done;
        CHECK_OK(gatun_cells_compact(ctx, &done, err.text, sizeof(err.text)), err);
        CHECK_EQUAL(decode_at(ctx, 0, 119, {43}, err), 0);
        const auto moved = logits(ctx);
        results[used].insert(results[used].end(), moved.begin(), moved.end());
    }
    CHECK(results[0] == results[1]);
    gatun_pages_invalidate(nullptr);
    context_holder without(settings(256));
    gatun_pages_invalidate(without.ctx);
}

TEST("a stopped decode does not spoil the next one") {
    message err;
    std::vector<float> results[2];
    for (const int stopped : {0, 1}) {
        rope_holder rope(plain());
        context_holder context(settings(512), rope.rope);
        llama_context * ctx = context.ctx;
        set(ctx, sparse(GATUN_SPARSE_PAGES));
        CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(150), err), 0);
        if (stopped) {
            gatun_interrupt cell = {1, 0, 0};
            gatun_interrupt_attach(ctx, &cell);
            CHECK_EQUAL(decode_at(ctx, 0, 150, prompt(4), err), 2);
            gatun_interrupt_attach(ctx, nullptr);
        }
        CHECK_EQUAL(decode_at(ctx, 0, 150, {42}, err), 0);
        results[stopped] = logits(ctx);
    }
    CHECK(results[0] == results[1]);
}

TEST("two bands leave keys out and are observed too") {
    message err;
    for (int32_t kind = GATUN_FAR_SELF_EXTEND; kind <= GATUN_FAR_DUAL_CHUNK; kind++) {
        gatun_rope_params far = plain();
        far.far_kind = kind;
        far.window = 32;
        far.group = 4;
        far.chunk = 64;
        far.factor = 4;
        rope_holder rope(far);
        llama_context_params params = settings(256);
        params.type_k = GGML_TYPE_Q8_0;
        context_holder context(params, rope.rope);
        llama_context * ctx = context.ctx;
        CHECK_OK(gatun_observe_begin(ctx, GATUN_OBSERVE_HEADS, 0, 0, 4, err.text, sizeof(err.text)), err);
        for (const int32_t what : {GATUN_SPARSE_LOCAL, GATUN_SPARSE_PAGES}) {
            llama_memory_clear(llama_get_memory(ctx), true);
            set(ctx, sparse(what));
            CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(150), err), 0);
            CHECK_EQUAL(decode_at(ctx, 0, 150, {42}, err), 0);
            check_left_out(counts(ctx));
        }
        gatun_attention_shape of;
        CHECK_OK(gatun_attention_info(ctx, 0, &of, err.text, sizeof(err.text)), err);
        CHECK_EQUAL(of.observed, int64_t{302});
    }
}

TEST("what cannot be left out is refused, and what was set stays") {
    message err;
    const size_t cap = sizeof(err.text);
    gatun_sparse_params params = sparse(GATUN_SPARSE_LOCAL);
    gatun_sparse_counts out;
    CHECK_EQUAL(gatun_sparse_set(nullptr, &params, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_sparse_read(nullptr, false, &out, err.text, cap), GATUN_INVALID_ARGUMENT);
    context_holder without(settings(256));
    CHECK_EQUAL(gatun_sparse_set(without.ctx, &params, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "gatun_rope");
    CHECK_EQUAL(gatun_sparse_read(without.ctx, false, &out, err.text, cap), GATUN_INVALID_ARGUMENT);
    llama_context_params slow = settings(256);
    slow.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    rope_holder first(plain());
    context_holder no_flash(slow, first.rope);
    CHECK_EQUAL(gatun_sparse_set(no_flash.ctx, &params, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "flash attention");

    rope_holder second(plain());
    context_holder context(settings(256), second.rope);
    llama_context * ctx = context.ctx;
    CHECK_EQUAL(gatun_sparse_set(ctx, nullptr, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_sparse_read(ctx, false, nullptr, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(counts(ctx).rows, int64_t{0});
    set(ctx, params);
    constexpr int32_t TOO_MANY = (1 << 24) + 1;
    const int32_t falling[] = {5, 3};
    const auto refused = [&](int32_t kind, auto && change, const char * why) {
        gatun_sparse_params wrong = sparse(kind);
        change(wrong);
        CHECK_EQUAL(gatun_sparse_set(ctx, &wrong, err.text, cap), GATUN_INVALID_ARGUMENT);
        CHECK_CONTAINS(err, why);
    };
    using P = gatun_sparse_params;
    refused(-1, [](P &) {}, "kind");
    refused(8, [](P &) {}, "kind");
    refused(GATUN_SPARSE_LOCAL, [](P & p) { p.window = 0; }, "window");
    refused(GATUN_SPARSE_LOCAL, [](P & p) { p.window = -1; }, "window");
    refused(GATUN_SPARSE_LOCAL, [](P & p) { p.window = TOO_MANY; }, "window");
    refused(GATUN_SPARSE_LOCAL, [](P & p) { p.sinks = -1; }, "sinks");
    refused(GATUN_SPARSE_DILATED, [](P & p) { p.stride = 0; }, "stride");
    refused(GATUN_SPARSE_DILATED, [](P & p) { p.stride = p.window = 1 << 20; }, "window times stride");
    refused(GATUN_SPARSE_STRIDED, [](P & p) { p.stride = -3; }, "stride");
    refused(GATUN_SPARSE_BLOCKS, [](P & p) { p.block = 0; }, "block");
    refused(GATUN_SPARSE_BIG_BIRD, [](P & p) { p.random = 1025; }, "random");
    refused(GATUN_SPARSE_LONGFORMER, [](P & p) { p.n_globals = 2; }, "globals");
    refused(GATUN_SPARSE_LONGFORMER, [](P & p) { p.n_globals = -1; }, "globals");
    refused(GATUN_SPARSE_LONGFORMER, [&](P & p) { p.globals = falling, p.n_globals = 2; }, "ascend");
    refused(GATUN_SPARSE_PAGES, [](P & p) { p.budget_tokens = 15; }, "budget_tokens");
    refused(GATUN_SPARSE_PAGES, [](P & p) { p.max_tokens = 0; }, "max_tokens");
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(60), err), 0);
    check_left_out(counts(ctx));
}
