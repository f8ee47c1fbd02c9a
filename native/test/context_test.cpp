#include "check.hpp"

#include <atomic>
#include <chrono>
#include <thread>

using gatun_test::context_holder;
using gatun_test::message;
using gatun_test::tiny_model;

namespace {

std::vector<llama_token> prompt(int32_t length) {
    std::vector<llama_token> tokens;
    for (int32_t i = 0; i < length; i++) {
        tokens.push_back(i == 0 ? 1 : 10 + i % 200);
    }
    return tokens;
}

struct memory {
    int64_t model = 0;
    int64_t context = 0;
    int64_t compute = 0;
};

memory measure(const llama_context * ctx) {
    message err;
    size_t count = 0;
    CHECK_OK(gatun_memory_breakdown(ctx, nullptr, 0, &count, err.text, sizeof(err.text)), err);
    CHECK(count > 0);
    std::vector<gatun_memory_entry> entries(count);
    CHECK_OK(gatun_memory_breakdown(ctx, entries.data(), count, &count, err.text, sizeof(err.text)), err);
    memory total;
    for (const auto & entry : entries) {
        CHECK(entry.device[0] != '\0' && entry.buffer_type[0] != '\0');
        total.model += entry.model_bytes;
        total.context += entry.context_bytes;
        total.compute += entry.compute_bytes;
    }
    return total;
}

} // namespace

TEST("memory is broken down: the weights once, the cells twice for twice the context") {
    context_holder small(256);
    context_holder large(512);
    const memory a = measure(small.ctx);
    const memory b = measure(large.ctx);
    CHECK_EQUAL(a.model, b.model);
    // Where the processor's kernels want weights rearranged (AMX), they are there beside the mapped file.
    CHECK(a.model > 5'000'000 && a.model < 14'000'000);
    // 4 layers, 2 heads of 64, K and V in 16 bits
    CHECK_EQUAL(a.context, int64_t{256} * 4 * 2 * 64 * 2 * 2);
    CHECK_EQUAL(b.context, 2 * a.context);
    CHECK(a.compute > 0);
}

TEST("a YaRN context leaves the model's trained length alone") {
    const int32_t before = llama_model_n_ctx_train(tiny_model());
    llama_context_params params;
    gatun_context_default_params(&params);
    params.n_ctx = 1024;
    params.rope_scaling_type = LLAMA_ROPE_SCALING_TYPE_YARN;
    params.rope_freq_scale = 0.25f;
    params.yarn_orig_ctx = 256;
    llama_context * ctx = nullptr;
    message err;
    CHECK_OK(gatun_context_new(tiny_model(), &params, nullptr, &ctx, err.text, sizeof(err.text)), err);
    llama_free(ctx);
    CHECK_EQUAL(llama_model_n_ctx_train(tiny_model()), before);
    CHECK_EQUAL(before, 256);
}

TEST("a context that cannot be made says why") {
    gatun_log_install(GGML_LOG_LEVEL_ERROR);
    llama_context_params params;
    gatun_context_default_params(&params);
    params.n_batch = 0;
    params.n_ubatch = 0;
    llama_context * ctx = nullptr;
    message err;
    CHECK_EQUAL(gatun_context_new(tiny_model(), &params, nullptr, &ctx, err.text, sizeof(err.text)), GATUN_FAILED);
    CHECK_CONTAINS(err, "n_batch");
    CHECK(ctx == nullptr);
}

TEST("a token outside the vocabulary is refused by decode, and the context stays usable") {
    gatun_log_install(GGML_LOG_LEVEL_ERROR);
    context_holder holder(64);
    message err;
    CHECK_EQUAL(holder.decode({1, 1'000'000}, err), -1);
    CHECK_CONTAINS(err, "1000000");
    CHECK_EQUAL(holder.decode({1, 40}, err), 0);
    CHECK_EQUAL(std::string(err), "");
}

TEST("a batch that llama.cpp would abort on is refused, and the context stays usable") {
    llama_context_params params;
    gatun_context_default_params(&params);
    params.n_ctx = 256;
    params.n_batch = 64;
    params.n_ubatch = 32;
    context_holder holder(params);
    message err;
    CHECK_EQUAL(holder.decode(prompt(65), err), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "65 tokens, the context takes 64");
    std::vector<llama_token> tokens = prompt(33);
    llama_batch batch = llama_batch_get_one(tokens.data(), 33);
    CHECK_EQUAL(gatun_encode(holder.ctx, &batch, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "33 tokens, the context takes 32");
    batch.n_tokens = -1;
    CHECK_EQUAL(gatun_decode(holder.ctx, &batch, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    batch.n_tokens = 1;
    batch.token = nullptr;
    CHECK_EQUAL(gatun_decode(holder.ctx, &batch, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "neither");
    CHECK_EQUAL(gatun_decode(nullptr, &batch, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_decode(holder.ctx, nullptr, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    llama_set_causal_attn(holder.ctx, false);
    CHECK_EQUAL(holder.decode(prompt(33), err), GATUN_INVALID_ARGUMENT);
    llama_set_causal_attn(holder.ctx, true);
    CHECK_EQUAL(holder.decode(prompt(64), err), 0);
}

TEST("a full context answers 1, and still holds what it held") {
    context_holder holder(256); // llama.cpp rounds up to this
    message err;
    CHECK_EQUAL(holder.decode(prompt(252), err), 0);
    CHECK_EQUAL(holder.decode({40, 41, 42, 43, 44}, err), 1);
    CHECK_EQUAL(llama_memory_seq_pos_max(llama_get_memory(holder.ctx), 0), 251);
}

TEST("a cell that is set stops a decode, and one that is cleared lets it run") {
    context_holder holder(256);
    gatun_interrupt cell = {1, 0, 0};
    gatun_interrupt_attach(holder.ctx, &cell);
    message err;
    CHECK_EQUAL(holder.decode(prompt(200), err), 2);
    cell.cancelled = 0;
    CHECK_EQUAL(holder.decode(prompt(200), err), 0);
    cell.deadline_us = llama_time_us();
    CHECK_EQUAL(holder.decode(prompt(8), err), 2);
    gatun_interrupt_attach(holder.ctx, nullptr);
    CHECK_EQUAL(holder.decode(prompt(8), err), 0);
}

TEST("a cell set from another thread stops a long prefill in its middle") {
    context_holder holder(8192);
    gatun_interrupt cell = {0, 0, 0};
    gatun_interrupt_attach(holder.ctx, &cell);
    std::atomic<bool> started{false};
    std::thread other([&] {
        while (!started.load()) {
            std::this_thread::yield();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        __atomic_store_n(&cell.cancelled, 1, __ATOMIC_RELAXED);
    });
    message err;
    started = true;
    const int32_t status = holder.decode(prompt(8192), err);
    other.join();
    CHECK_EQUAL(status, 2);
    // Ubatches that were done stay; the rest may be decoded again from there.
    const llama_pos last = llama_memory_seq_pos_max(llama_get_memory(holder.ctx), 0);
    CHECK(last < 8191);
    cell.cancelled = 0;
    CHECK_EQUAL(holder.decode({40}, err), 0);
    gatun_interrupt_attach(holder.ctx, nullptr);
}

TEST("thread pools are attached, one or two, and the results do not depend on them") {
    message err;
    std::vector<float> expected;
    const int32_t size = llama_vocab_n_tokens(llama_model_get_vocab(tiny_model()));
    for (const auto & [generation, batch] : {std::pair(0, 0), std::pair(1, 1), std::pair(2, 2), std::pair(1, 2)}) {
        void * pools = nullptr;
        {
            context_holder holder(64);
            if (generation > 0) {
                CHECK_OK(
                    gatun_threadpools_attach(holder.ctx, generation, batch, 50, &pools, err.text, sizeof(err.text)),
                    err);
                CHECK(pools != nullptr);
                CHECK_EQUAL(llama_n_threads(holder.ctx), generation);
                CHECK_EQUAL(llama_n_threads_batch(holder.ctx), batch);
            }
            CHECK_EQUAL(holder.decode(prompt(40), err), 0);
            CHECK_EQUAL(holder.decode({50}, err), 0);
            CHECK_EQUAL(holder.decode(prompt(20), err), 0);
            const float * logits = llama_get_logits_ith(holder.ctx, -1);
            const std::vector<float> got(logits, logits + size);
            if (expected.empty()) {
                expected = got;
            }
            CHECK(got == expected);
        }
        gatun_threadpools_free(pools);
    }
    context_holder holder(64);
    void * pools = nullptr;
    CHECK_EQUAL(gatun_threadpools_attach(holder.ctx, 0, 1, 50, &pools, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_threadpools_attach(holder.ctx, 1, 100'000, 50, &pools, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
}

TEST("a sequence's state goes out and comes back; a cut or foreign one is refused") {
    gatun_log_install(GGML_LOG_LEVEL_ERROR);
    context_holder from(128, 2);
    context_holder to(128, 2);
    message err;
    CHECK_EQUAL(from.decode(prompt(50), err), 0);
    size_t size = 0;
    CHECK_OK(gatun_state_seq_size(from.ctx, 0, 0, &size, err.text, sizeof(err.text)), err);
    std::vector<uint8_t> state(size);
    size_t written = 0;
    CHECK_OK(gatun_state_seq_get(from.ctx, state.data(), size, 0, 0, &written, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(written, size);
    CHECK(gatun_state_seq_get(from.ctx, state.data(), size / 2, 0, 0, &written, err.text, sizeof(err.text)) !=
          GATUN_OK);
    CHECK_OK(gatun_state_seq_get(from.ctx, state.data(), size, 0, 0, &written, err.text, sizeof(err.text)), err);
    size_t read = 0;
    CHECK_OK(gatun_state_seq_set(to.ctx, state.data(), size, 1, 0, &read, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(llama_memory_seq_pos_max(llama_get_memory(to.ctx), 1), 49);
    CHECK(gatun_state_seq_set(to.ctx, state.data(), size / 2, 0, 0, &read, err.text, sizeof(err.text)) != GATUN_OK);
    for (const llama_seq_id seq : {-1, 2, 1'000'000}) {
        CHECK_EQUAL(gatun_state_seq_size(from.ctx, seq, 0, &size, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
        CHECK_EQUAL(gatun_state_seq_set(to.ctx, state.data(), state.size(), seq, 0, &read, err.text, sizeof(err.text)),
                    GATUN_INVALID_ARGUMENT);
    }
}

TEST("a control vector of the wrong width is refused; none clears it") {
    gatun_log_install(GGML_LOG_LEVEL_ERROR);
    context_holder holder(64);
    message err;
    const std::vector<float> data(100, 0.0f);
    CHECK_EQUAL(gatun_set_adapter_cvec(holder.ctx, data.data(), data.size(), 100, 1, 2, err.text, sizeof(err.text)),
                GATUN_FAILED);
    CHECK_OK(gatun_set_adapter_cvec(holder.ctx, nullptr, 0, 256, 1, 2, err.text, sizeof(err.text)), err);
    CHECK_OK(gatun_set_adapters_lora(holder.ctx, nullptr, 0, nullptr, err.text, sizeof(err.text)), err);
}
