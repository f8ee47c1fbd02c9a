// Contexts: creation, thread pools, interruption, decode, memory, saved state, adapters.
#include "cells.hpp"
#include "rope.hpp"

#include "llama-context.h"
#include "llama-ext.h"
#include "llama-model.h"

#include <atomic>
#include <limits>
#include <memory>
#include <mutex>

using gatun::copy_text;
using gatun::fail;
using gatun::finish_copies;
using gatun::guarded;
using gatun::require;

static_assert(sizeof(std::atomic<int32_t>) == sizeof(int32_t) && sizeof(std::atomic<int64_t>) == sizeof(int64_t),
              "the cells of gatun_interrupt are accessed as atomics");

namespace {

// Set while the memory is updated. ggml asks should_stop on the thread that called it.
thread_local bool must_finish = false;

// Runs on a compute thread between graph nodes: no lock, no upcall, no allocation.
bool should_stop(void * data) {
    if (must_finish) {
        return false;
    }
    auto * cell = static_cast<gatun_interrupt *>(data);
    if (reinterpret_cast<std::atomic<int32_t> *>(&cell->cancelled)->load(std::memory_order_relaxed) != 0) {
        return true;
    }
    const int64_t deadline =
        reinterpret_cast<std::atomic<int64_t> *>(&cell->deadline_us)->load(std::memory_order_relaxed);
    return deadline != 0 && llama_time_us() >= deadline;
}

// The thread-pool functions of the CPU module, which cannot be linked to.
struct pool_functions {
    decltype(&ggml_threadpool_new) make;
    decltype(&ggml_threadpool_free) free;
};

bool find_pool_functions(pool_functions & found) {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) {
        return false;
    }
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(device);
    found.make = reinterpret_cast<decltype(found.make)>(ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new"));
    found.free = reinterpret_cast<decltype(found.free)>(ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free"));
    return found.make != nullptr && found.free != nullptr;
}

struct thread_pools {
    pool_functions functions;
    ggml_threadpool_t generation = nullptr;
    ggml_threadpool_t batch = nullptr; // NULL when generation serves both

    ~thread_pools() {
        if (batch != nullptr) {
            functions.free(batch);
        }
        if (generation != nullptr) {
            functions.free(generation);
        }
    }
};

ggml_threadpool_t make_pool(const pool_functions & functions, int32_t n_threads, uint32_t poll, bool paused) {
    ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
    params.poll = poll;
    params.paused = paused;
    ggml_threadpool_t pool = functions.make(&params);
    if (pool == nullptr) {
        fail("cannot create a pool of " + std::to_string(n_threads) + " threads");
    }
    return pool;
}

void require_sequence(const llama_context * ctx, llama_seq_id seq) {
    require(ctx != nullptr, "ctx may not be NULL");
    const uint32_t count = llama_n_seq_max(ctx);
    if (seq < 0 || static_cast<uint32_t>(seq) >= count) {
        gatun::refuse("sequence " + std::to_string(seq) + " is outside 0.." + std::to_string(count - 1));
    }
}

// Refuses what llama.cpp would abort on.
void require_batch(const llama_context * ctx, const llama_batch * batch, bool whole) {
    require(ctx != nullptr && batch != nullptr, "ctx and batch may not be NULL");
    require(batch->token != nullptr || batch->embd != nullptr, "the batch has neither tokens nor embeddings");
    const bool at_once = whole || ctx->get_memory() == nullptr || !ctx->get_cparams().causal_attn;
    const uint32_t most = at_once ? llama_n_ubatch(ctx) : llama_n_batch(ctx);
    if (batch->n_tokens < 0 || static_cast<uint32_t>(batch->n_tokens) > most) {
        gatun::refuse("the batch has " + std::to_string(batch->n_tokens) + " tokens, the context takes " +
                      std::to_string(most) + " at a time");
    }
}

} // namespace

void gatun::update_memory(llama_context * ctx) {
    struct finishing {
        finishing() { must_finish = true; }
        ~finishing() { must_finish = false; }
    } const scope;
    if (ctx->memory_update(false)) {
        if (gatun_rope * rope = gatun::rope_of(ctx)) {
            rope->invalidate_pages();
        }
    }
}

void gatun_interrupt_attach(struct llama_context * ctx, struct gatun_interrupt * cell) {
    llama_set_abort_callback(ctx, cell != nullptr ? should_stop : nullptr, cell);
}

int32_t gatun_context_new(struct llama_model * model, const struct llama_context_params * params,
                          struct gatun_rope * rope, struct llama_context ** out, char * err, size_t err_cap) {
    return guarded("llama_init_from_model", err, err_cap, [&]() -> int32_t {
        require(model != nullptr && params != nullptr && out != nullptr, "model, params and out may not be NULL");
        *out = nullptr;
        // A YaRN context writes its own length into the model's trained context length, which later contexts then take
        // as their default. Undone here; the lock keeps another context from being made in between.
        static std::mutex creating;
        const std::lock_guard<std::mutex> lock(creating);
        const auto n_ctx_train = model->hparams.n_ctx_train;
        llama_context_params own = *params;
        if (rope != nullptr) {
            own.cb_eval = gatun_rope::on_node;
            own.cb_eval_user_data = rope;
        }
        try {
            *out = llama_init_from_model(model, own);
        } catch (...) {
            model->hparams.n_ctx_train = n_ctx_train;
            throw;
        }
        model->hparams.n_ctx_train = n_ctx_train;
        if (*out == nullptr) {
            fail("cannot create the context");
        }
        if (rope != nullptr) {
            try {
                rope->bind(*out);
            } catch (...) {
                llama_free(*out);
                *out = nullptr;
                throw;
            }
        }
        return GATUN_OK;
    });
}

int32_t gatun_threadpools_attach(struct llama_context * ctx, int32_t n_threads, int32_t n_threads_batch, uint32_t poll,
                                 void ** out, char * err, size_t err_cap) {
    return guarded("llama_attach_threadpool", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr && out != nullptr, "ctx and out may not be NULL");
        *out = nullptr;
        require(n_threads >= 1 && n_threads <= GGML_MAX_N_THREADS, "n_threads is out of range");
        require(n_threads_batch >= 1 && n_threads_batch <= GGML_MAX_N_THREADS, "n_threads_batch is out of range");
        require(poll <= 100, "poll is a percentage, 0 to 100");
        llama_set_n_threads(ctx, n_threads, n_threads_batch);
        auto pools = std::make_unique<thread_pools>();
        if (!find_pool_functions(pools->functions)) {
            return GATUN_OK;
        }
        const bool two = n_threads != n_threads_batch;
        if (two) {
            pools->batch = make_pool(pools->functions, n_threads_batch, poll, false);
        }
        // ggml pauses one pool when it changes to the other; start with the generation pool asleep.
        pools->generation = make_pool(pools->functions, n_threads, poll, two);
        llama_attach_threadpool(ctx, pools->generation, pools->batch);
        *out = pools.release();
        return GATUN_OK;
    });
}

void gatun_threadpools_free(void * pools) {
    delete static_cast<thread_pools *>(pools);
}

int32_t gatun_decode(struct llama_context * ctx, const struct llama_batch * batch, char * err, size_t err_cap) {
    return guarded("llama_decode", err, err_cap, [&]() -> int32_t {
        require_batch(ctx, batch, false);
        gatun_rope * rope = gatun::rope_of(ctx);
        if (rope == nullptr) {
            return llama_decode(ctx, *batch);
        }
        rope->begin_decode();
        const int32_t status = llama_decode(ctx, *batch);
        if (status != 0) {
            rope->abandon_batch();
        }
        if (!rope->problem.empty()) {
            fail(rope->problem);
        }
        return status;
    });
}

int32_t gatun_encode(struct llama_context * ctx, const struct llama_batch * batch, char * err, size_t err_cap) {
    return guarded("llama_encode", err, err_cap, [&]() -> int32_t {
        require_batch(ctx, batch, true);
        return llama_encode(ctx, *batch);
    });
}

int32_t gatun_memory_breakdown(const struct llama_context * ctx, struct gatun_memory_entry * entries, size_t cap,
                               size_t * count, char * err, size_t err_cap) {
    return guarded("llama_get_memory_breakdown", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr && count != nullptr, "ctx and count may not be NULL");
        require(entries != nullptr || cap == 0, "entries may be NULL only when cap is 0");
        const auto breakdown = llama_get_memory_breakdown(ctx);
        *count = breakdown.size();
        size_t next = 0;
        for (const auto & [buffer_type, bytes] : breakdown) {
            if (next == cap) {
                break;
            }
            const char * name = ggml_backend_buft_name(buffer_type);
            ggml_backend_dev_t device = ggml_backend_buft_get_device(buffer_type);
            const char * device_name = device != nullptr ? ggml_backend_dev_name(device) : name;
            gatun_memory_entry & entry = entries[next++];
            entry = {};
            copy_text(device_name, std::strlen(device_name), entry.device, sizeof(entry.device));
            copy_text(name, std::strlen(name), entry.buffer_type, sizeof(entry.buffer_type));
            // ggml does not call weights that the processor's kernels have rearranged (AMX, CPU_REPACK) host memory.
            const bool of_processor = device != nullptr && ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
            entry.is_host = of_processor || ggml_backend_buft_is_host(buffer_type) ? 1 : 0;
            entry.model_bytes = static_cast<int64_t>(bytes.model);
            entry.context_bytes = static_cast<int64_t>(bytes.context);
            entry.compute_bytes = static_cast<int64_t>(bytes.compute);
        }
        return GATUN_OK;
    });
}

int32_t gatun_state_seq_size(struct llama_context * ctx, llama_seq_id seq, uint32_t flags, size_t * out, char * err,
                             size_t err_cap) {
    return guarded("llama_state_seq_get_size_ext", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, seq);
        require(out != nullptr, "out may not be NULL");
        *out = llama_state_seq_get_size_ext(ctx, seq, flags);
        if (*out == 0) {
            fail("the state of sequence " + std::to_string(seq) + " cannot be measured");
        }
        return GATUN_OK;
    });
}

int32_t gatun_state_seq_get(struct llama_context * ctx, uint8_t * dst, size_t size, llama_seq_id seq, uint32_t flags,
                            size_t * written, char * err, size_t err_cap) {
    return guarded("llama_state_seq_get_data_ext", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, seq);
        require(dst != nullptr && written != nullptr, "dst and written may not be NULL");
        finish_copies(ctx);
        *written = llama_state_seq_get_data_ext(ctx, dst, size, seq, flags);
        if (*written == 0) {
            fail("the state of sequence " + std::to_string(seq) + " does not fit into " + std::to_string(size) +
                 " bytes");
        }
        return GATUN_OK;
    });
}

int32_t gatun_state_seq_set(struct llama_context * ctx, const uint8_t * src, size_t size, llama_seq_id seq,
                            uint32_t flags, size_t * read, char * err, size_t err_cap) {
    return guarded("llama_state_seq_set_data_ext", err, err_cap, [&]() -> int32_t {
        require_sequence(ctx, seq);
        require(src != nullptr && read != nullptr, "src and read may not be NULL");
        finish_copies(ctx);
        if (llama_kv_cache * cache = gatun::lean_cache(ctx->get_memory())) {
            gatun::enter_all(gatun::cells_of(cache, seq), seq, 0, std::numeric_limits<llama_pos>::max());
        }
        *read = llama_state_seq_set_data_ext(ctx, src, size, seq, flags);
        if (gatun_rope * rope = gatun::rope_of(ctx)) {
            rope->invalidate_pages();
        }
        if (*read == 0) {
            fail("the state was not restored to sequence " + std::to_string(seq));
        }
        return GATUN_OK;
    });
}

int32_t gatun_set_adapters_lora(struct llama_context * ctx, struct llama_adapter_lora ** adapters, size_t n,
                                const float * scales, char * err, size_t err_cap) {
    return guarded("llama_set_adapters_lora", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr, "ctx may not be NULL");
        require(n == 0 || (adapters != nullptr && scales != nullptr), "adapters and scales may not be NULL");
        // upstream takes the scales as a pointer to non-const
        std::vector<float> own(scales, scales + n);
        if (llama_set_adapters_lora(ctx, adapters, n, own.data()) != 0) {
            fail("the adapters do not fit this context");
        }
        return GATUN_OK;
    });
}

int32_t gatun_set_adapter_cvec(struct llama_context * ctx, const float * data, size_t n_floats, int32_t n_embd,
                               int32_t il_start, int32_t il_end, char * err, size_t err_cap) {
    return guarded("llama_set_adapter_cvec", err, err_cap, [&]() -> int32_t {
        require(ctx != nullptr, "ctx may not be NULL");
        if (llama_set_adapter_cvec(ctx, data, n_floats, n_embd, il_start, il_end) != 0) {
            fail("the control vector does not fit this model");
        }
        return GATUN_OK;
    });
}
