#include "contexts.hpp"

#include <algorithm>
#include <numeric>

using gatun_test::context_holder;
using gatun_test::decode_at;
using gatun_test::message;
using gatun_test::plain;
using gatun_test::positions;
using gatun_test::prompt;
using gatun_test::rope_holder;
using gatun_test::rows;
using gatun_test::settings;

namespace {

constexpr int32_t LAYERS = 4; // of the tiny model, all of the whole text

struct scores {
    std::vector<int32_t> positions;
    std::vector<float> sums, maxima, last;
};

gatun_attention_shape shape(llama_context * ctx, llama_seq_id seq) {
    message err;
    gatun_attention_shape out;
    CHECK_OK(gatun_attention_info(ctx, seq, &out, err.text, sizeof(err.text)), err);
    return out;
}

scores observed(llama_context * ctx, llama_seq_id seq) {
    message err;
    const auto cells = static_cast<size_t>(shape(ctx, seq).cells);
    scores out = {std::vector<int32_t>(cells), std::vector<float>(cells), std::vector<float>(cells),
                  std::vector<float>(cells)};
    CHECK_OK(gatun_observe_scores(ctx, seq, static_cast<int32_t>(cells), out.positions.data(), out.sums.data(),
                                  out.maxima.data(), out.last.data(), err.text, sizeof(err.text)),
             err);
    CHECK(out.positions == positions(ctx, seq));
    return out;
}

double total(const std::vector<float> & values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

bool near(double actual, double expected) {
    return std::fabs(actual - expected) <= 1e-4 * std::max(1.0, std::fabs(expected));
}

void begin(llama_context * ctx, uint32_t flags = 0, llama_seq_id seq = -1, llama_pos first = 0, int32_t queries = 0) {
    message err;
    CHECK_OK(gatun_observe_begin(ctx, flags, seq, first, queries, err.text, sizeof(err.text)), err);
}

std::vector<int32_t> kept(llama_context * ctx) {
    message err;
    const gatun_attention_shape of = shape(ctx, 0);
    std::vector<int32_t> at(static_cast<size_t>(of.query_tokens));
    std::vector<float> queries(at.size() * LAYERS * static_cast<size_t>(of.heads) * static_cast<size_t>(of.head_size));
    at.reserve(1);
    queries.reserve(1); // no NULL when none is kept
    CHECK_OK(gatun_observe_queries(ctx, of.query_tokens, at.data(), queries.data(), err.text, sizeof(err.text)), err);
    CHECK(std::all_of(queries.begin(), queries.end(), [](float x) { return std::isfinite(x); }));
    return at;
}

} // namespace

TEST("every query gives each head's attention away once, in every pool and for every type") {
    message err;
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_Q8_0}) {
        for (int32_t threads = 1; threads <= (type == GGML_TYPE_F16 ? 2 : 1); threads++) {
            rope_holder rope(plain());
            llama_context_params params = settings(512, 2);
            params.type_k = params.type_v = type;
            params.n_threads = params.n_threads_batch = threads;
            context_holder context(params, rope.rope);
            llama_context * ctx = context.ctx;
            begin(ctx, GATUN_OBSERVE_HEADS, -1, 0, 8);
            // Both sequences in one micro batch.
            llama_batch batch = llama_batch_init(60, 0, 1);
            batch.n_tokens = 60;
            for (int32_t i = 0; i < 60; i++) {
                batch.token[i] = 10 + i;
                batch.pos[i] = i % 30;
                batch.n_seq_id[i] = 1;
                batch.seq_id[i][0] = i / 30;
                batch.logits[i] = i == 59;
            }
            CHECK_EQUAL(gatun_decode(ctx, &batch, err.text, sizeof(err.text)), 0);
            llama_batch_free(batch);
            CHECK_EQUAL(decode_at(ctx, 1, 30, {42}, err), 0);
            const gatun_attention_shape of = shape(ctx, 1);
            CHECK_EQUAL(of.cells, 31);
            CHECK_EQUAL(of.layers, LAYERS);
            CHECK_EQUAL(of.head_size, 64);
            CHECK_EQUAL(of.observed, int64_t{61});
            CHECK_EQUAL(of.query_tokens, 8);
            for (const llama_seq_id seq : {0, 1}) {
                const scores all = observed(ctx, seq);
                CHECK(near(total(all.sums), (30.0 + seq) * LAYERS * of.heads));
                CHECK(near(total(all.last), seq));
                const auto cells = all.positions.size();
                std::vector<float> sums(cells * LAYERS * static_cast<size_t>(of.heads));
                std::vector<float> maxima(sums.size());
                CHECK_OK(gatun_observe_heads(ctx, seq, static_cast<int32_t>(cells), sums.data(), maxima.data(),
                                             err.text, sizeof(err.text)),
                         err);
                for (size_t i = 0; i < cells; i++) {
                    double sum = 0;
                    float most = 0;
                    for (size_t at = i; at < sums.size(); at += cells) {
                        sum += sums[at];
                        most = std::max(most, maxima[at]);
                    }
                    CHECK(near(sum, all.sums[i]));
                    CHECK_EQUAL(most, all.maxima[i]);
                }
            }
            CHECK(kept(ctx).back() == 30);
            CHECK_OK(gatun_observe_reset(ctx, err.text, sizeof(err.text)), err);
            CHECK(total(observed(ctx, 0).sums) == 0);
            CHECK(kept(ctx).empty());
            CHECK_OK(gatun_observe_end(ctx, err.text, sizeof(err.text)), err);
        }
    }
}

TEST("only what was asked for is observed") {
    message err;
    rope_holder rope(plain());
    llama_context_params params = settings(256, 2);
    params.kv_unified = true;
    context_holder context(params, rope.rope);
    llama_context * ctx = context.ctx;
    begin(ctx, 0, 1, 20, 4);
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(30), err), 0);
    CHECK_EQUAL(shape(ctx, 0).observed, int64_t{0});
    CHECK_EQUAL(decode_at(ctx, 1, 0, prompt(30), err), 0);
    CHECK_EQUAL(shape(ctx, 1).observed, int64_t{10});
    CHECK(kept(ctx) == (std::vector<int32_t>{26, 27, 28, 29}));
    CHECK(total(observed(ctx, 0).sums) == 0);
    CHECK(near(total(observed(ctx, 1).sums), 10.0 * LAYERS * shape(ctx, 1).heads));
}

TEST("sums go with their cells: into private copies, through compaction, and not to written ones") {
    message err;
    rope_holder rope(plain());
    llama_context_params params = settings(256, 3);
    params.kv_unified = true;
    context_holder context(params, rope.rope);
    llama_context * ctx = context.ctx;
    begin(ctx, GATUN_OBSERVE_HEADS);
    CHECK_EQUAL(decode_at(ctx, 2, 0, prompt(50), err), 0);
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(40), err), 0);
    llama_memory_seq_rm(llama_get_memory(ctx), 2, -1, -1); // 50 free cells with sums of their own
    llama_memory_seq_cp(llama_get_memory(ctx), 0, 1, -1, -1);
    const scores before = observed(ctx, 0);
    const auto same = [&](llama_seq_id seq) {
        const scores now = observed(ctx, seq);
        CHECK(now.sums == before.sums);
        CHECK(now.maxima == before.maxima);
        CHECK(now.last == before.last);
    };
    int32_t copied = 0;
    CHECK_OK(gatun_cells_copy_private(ctx, 1, 0, -1, &copied, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(copied, 40);
    same(0);
    same(1);
    gatun_compaction done;
    CHECK_OK(gatun_cells_compact(ctx, &done, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(done.moved, int64_t{40});
    same(0);
    same(1);
    const auto bytes = rows(ctx, 0);
    const gatun_cell_piece piece = {before.positions.data(), before.positions.data(), 40, bytes.data(), bytes.size()};
    CHECK_OK(gatun_cells_write(ctx, 2, &piece, 1, err.text, sizeof(err.text)), err);
    CHECK(total(observed(ctx, 2).sums) == 0);
    same(0);
}

TEST("queries of a micro batch that was stopped are neither counted nor kept") {
    message err;
    rope_holder rope(plain());
    context_holder context(settings(256), rope.rope);
    llama_context * ctx = context.ctx;
    begin(ctx, 0, -1, 0, 6);
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(10), err), 0);
    gatun_interrupt cell = {1, 0, 0};
    gatun_interrupt_attach(ctx, &cell);
    CHECK_EQUAL(decode_at(ctx, 0, 10, prompt(4), err), 2);
    CHECK_EQUAL(shape(ctx, 0).observed, int64_t{10});
    CHECK(kept(ctx) == (std::vector<int32_t>{8, 9})); // the places of the others were taken
    CHECK_EQUAL(decode_at(ctx, 0, 10, prompt(40), err), 2);
    CHECK(kept(ctx).empty());
    gatun_interrupt_attach(ctx, nullptr);
    CHECK_EQUAL(decode_at(ctx, 0, 10, prompt(3), err), 0);
    CHECK_EQUAL(shape(ctx, 0).observed, int64_t{13});
    CHECK(kept(ctx) == (std::vector<int32_t>{10, 11, 12}));
    // No micro batch began.
    CHECK_EQUAL(decode_at(ctx, 0, 13, prompt(250), err), 1);
    CHECK_EQUAL(shape(ctx, 0).observed, int64_t{13});
    CHECK(kept(ctx) == (std::vector<int32_t>{10, 11, 12}));
}

TEST("keys are read as the cache has them, of every pool and type") {
    message err;
    std::vector<float> reference;
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
        rope_holder rope(plain());
        llama_context_params params = settings(512, 2);
        params.type_k = params.type_v = type;
        context_holder context(params, rope.rope);
        llama_context * ctx = context.ctx;
        CHECK_EQUAL(decode_at(ctx, 0, 5, prompt(30), err), 0);
        llama_memory_seq_cp(llama_get_memory(ctx), 0, 1, -1, -1); // waits for the next decode
        std::vector<int32_t> layers(LAYERS);
        CHECK_OK(gatun_attention_layers(ctx, LAYERS, layers.data(), err.text, sizeof(err.text)), err);
        CHECK(layers == (std::vector<int32_t>{0, 1, 2, 3}));
        int32_t width = 0;
        CHECK_OK(gatun_memory_keys(ctx, 1, 0, 0, nullptr, nullptr, &width, err.text, sizeof(err.text)), err);
        CHECK_EQUAL(width, 128);
        std::vector<int32_t> at(30);
        std::vector<float> keys(30 * 128);
        CHECK_OK(gatun_memory_keys(ctx, 1, 0, 30, at.data(), keys.data(), &width, err.text, sizeof(err.text)), err);
        CHECK(at == positions(ctx, 0));
        if (reference.empty()) {
            reference = keys;
            const auto bytes = rows(ctx, 0); // layer by layer, keys first
            CHECK(std::memcmp(bytes.data(), keys.data(), keys.size() * sizeof(float)) == 0);
        }
        double most = 0;
        double off = 0;
        for (size_t i = 0; i < keys.size(); i++) {
            most = std::max(most, static_cast<double>(std::fabs(reference[i])));
            off = std::max(off, static_cast<double>(std::fabs(reference[i] - keys[i])));
        }
        std::printf("%s: largest difference %.2e of %.2e\n", ggml_type_name(type), off, most);
        CHECK(off < most / 50);
    }
}

TEST("what cannot be observed is refused") {
    message err;
    const size_t cap = sizeof(err.text);
    gatun_attention_shape out;
    std::vector<int32_t> ints(16);
    std::vector<float> floats(16);
    int32_t width = 0;
    const auto refused = [&](llama_context * ctx) {
        CHECK_EQUAL(gatun_attention_info(ctx, 0, &out, err.text, cap), GATUN_INVALID_ARGUMENT);
        CHECK_EQUAL(gatun_observe_begin(ctx, 0, -1, 0, 0, err.text, cap), GATUN_INVALID_ARGUMENT);
        CHECK_EQUAL(gatun_observe_end(ctx, err.text, cap), GATUN_INVALID_ARGUMENT);
        CHECK_EQUAL(gatun_attention_layers(ctx, 16, ints.data(), err.text, cap), GATUN_INVALID_ARGUMENT);
        CHECK_EQUAL(gatun_memory_keys(ctx, 0, 0, 0, nullptr, nullptr, &width, err.text, cap), GATUN_INVALID_ARGUMENT);
    };
    refused(nullptr);
    context_holder without(settings(256));
    refused(without.ctx);
    CHECK_CONTAINS(err, "gatun_rope");
    llama_context_params params = settings(256);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    rope_holder first(plain());
    context_holder no_flash(params, first.rope);
    refused(no_flash.ctx);
    CHECK_CONTAINS(err, "flash attention");

    rope_holder second(plain());
    context_holder context(settings(256), second.rope);
    llama_context * ctx = context.ctx;
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(20), err), 0);
    int32_t * i = ints.data();
    float * f = floats.data();
    CHECK_EQUAL(gatun_observe_scores(ctx, 0, 16, i, f, f, f, err.text, cap), GATUN_FAILED); // nothing is observed
    CHECK_EQUAL(gatun_observe_heads(ctx, 0, 16, f, f, err.text, cap), GATUN_FAILED);
    CHECK_EQUAL(gatun_observe_queries(ctx, 16, i, f, err.text, cap), GATUN_FAILED);
    CHECK_OK(gatun_observe_reset(ctx, err.text, cap), err);
    CHECK_EQUAL(gatun_observe_begin(ctx, 2, -1, 0, 0, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_begin(ctx, 0, 1, 0, 0, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_begin(ctx, 0, -2, 0, 0, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_begin(ctx, 0, -1, 0, -1, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_begin(ctx, 0, -1, 0, 4097, err.text, cap), GATUN_INVALID_ARGUMENT);
    begin(ctx, 0, -1, 0, 4);
    CHECK_EQUAL(gatun_attention_info(ctx, 0, nullptr, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_attention_info(ctx, 1, &out, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_attention_layers(ctx, 3, i, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_attention_layers(ctx, 4, nullptr, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_scores(ctx, 0, 16, i, f, f, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "20 cells");
    CHECK_EQUAL(gatun_observe_scores(ctx, 0, -1, i, f, f, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_scores(ctx, 0, 20, i, f, nullptr, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_scores(ctx, -1, 20, i, f, f, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_heads(ctx, 0, 20, f, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "GATUN_OBSERVE_HEADS");
    CHECK_EQUAL(gatun_observe_heads(ctx, 0, 20, nullptr, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(decode_at(ctx, 0, 20, prompt(4), err), 0);
    CHECK_EQUAL(gatun_observe_queries(ctx, 3, i, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_observe_queries(ctx, 4, nullptr, f, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_keys(ctx, 0, 4, 0, nullptr, nullptr, &width, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_keys(ctx, 0, 0, 3, i, f, &width, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_keys(ctx, 0, 0, 3, nullptr, f, &width, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_keys(ctx, 1, 0, 24, i, f, &width, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_keys(ctx, 0, 0, 0, nullptr, nullptr, nullptr, err.text, cap), GATUN_INVALID_ARGUMENT);
}
