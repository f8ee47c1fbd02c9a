// Rows of keys and values: from and to the tensors of a cache.
#include "cells.hpp"

#include "llama-kv-cache-iswa.h"
#include "llama-memory-hybrid-iswa.h"
#include "llama-memory-hybrid.h"
#include "llama-model.h"

namespace gatun {

std::vector<llama_kv_cache *> attention_caches(llama_memory_i * memory) {
    if (auto * both = dynamic_cast<llama_memory_hybrid_iswa *>(memory)) {
        memory = both->get_mem_attn();
    } else if (auto * hybrid = dynamic_cast<llama_memory_hybrid *>(memory)) {
        memory = hybrid->get_mem_attn();
    }
    if (const auto * iswa = dynamic_cast<llama_kv_cache_iswa *>(memory)) {
        return {iswa->get_base(), iswa->get_swa()};
    }
    auto * cache = dynamic_cast<llama_kv_cache *>(memory);
    return cache != nullptr ? std::vector<llama_kv_cache *>{cache} : std::vector<llama_kv_cache *>{};
}

void finish_copies(llama_context * ctx) {
    gatun::update_memory(ctx);
}

std::vector<cell_rows> rows_of(const llama_context * ctx, const llama_kv_cache * cache, llama_seq_id seq) {
    const llama_hparams & hparams = ctx->get_model().hparams;
    const size_t stream = cache->get_n_stream() > 1 ? static_cast<size_t>(seq) : 0;
    const std::vector<uint32_t> layers = cache->get_layer_ids();
    ggml_context * views = ggml_init({(layers.size() + 1) * ggml_tensor_overhead(), nullptr, true});
    if (views == nullptr) {
        throw std::bad_alloc();
    }
    std::vector<cell_rows> rows;
    for (const uint32_t layer : layers) {
        const auto il = static_cast<int32_t>(layer);
        ggml_tensor * k = cache->get_k_storage(il);
        rows.push_back({k, true, stream * k->nb[2], ggml_row_size(k->type, k->ne[0]), k->nb[1], 0, 0});
        if (hparams.is_mla()) {
            continue; // the values are a part of the keys
        }
        llama_kv_cache::slot_info first_stream;
        first_stream.s0 = first_stream.s1 = 0;
        const ggml_tensor * view = cache->get_v(views, il, 1, first_stream);
        ggml_tensor * v = view->view_src;
        const size_t bytes = ggml_row_size(v->type, hparams.n_embd_v_gqa(layer));
        if (view->nb[1] <= view->nb[2]) {
            rows.push_back({v, false, stream * v->nb[2], bytes, v->nb[1], 0, 0});
        } else { // transposed: the cells of one element stand together
            const size_t element = ggml_type_size(v->type);
            rows.push_back({v, false, stream * v->nb[2], bytes, element, hparams.n_embd_v_gqa(layer),
                            element * static_cast<size_t>(v->ne[1])});
        }
    }
    ggml_free(views);
    return rows;
}

namespace {

// Calls `run(i, n)` for every run of consecutive cells, cells[i] to cells[i + n - 1].
template <class Run>
void for_runs(const std::vector<uint32_t> & cells, Run && run) {
    for (size_t i = 0; i < cells.size();) {
        size_t end = i + 1;
        while (end < cells.size() && cells[end] == cells[end - 1] + 1) {
            end++;
        }
        run(i, end - i);
        i = end;
    }
}

} // namespace

void cell_rows::read(const std::vector<uint32_t> & cells, uint8_t * dst) const {
    if (elements == 0) {
        for_runs(cells, [&](size_t i, size_t n) {
            ggml_backend_tensor_get(tensor, dst + i * bytes, offset + cells[i] * stride, n * bytes);
        });
        return;
    }
    std::vector<uint8_t> column(cells.size() * stride);
    for (size_t j = 0; j < elements; j++) {
        for_runs(cells, [&](size_t i, size_t n) {
            ggml_backend_tensor_get(tensor, column.data() + i * stride, offset + j * pitch + cells[i] * stride,
                                    n * stride);
        });
        for (size_t i = 0; i < cells.size(); i++) {
            std::memcpy(dst + i * bytes + j * stride, column.data() + i * stride, stride);
        }
    }
}

void cell_rows::write(const std::vector<uint32_t> & cells, const uint8_t * src) const {
    if (elements == 0) {
        for_runs(cells, [&](size_t i, size_t n) {
            ggml_backend_tensor_set(tensor, src + i * bytes, offset + cells[i] * stride, n * bytes);
        });
        return;
    }
    std::vector<uint8_t> column(cells.size() * stride);
    for (size_t j = 0; j < elements; j++) {
        for (size_t i = 0; i < cells.size(); i++) {
            std::memcpy(column.data() + i * stride, src + i * bytes + j * stride, stride);
        }
        for_runs(cells, [&](size_t i, size_t n) {
            ggml_backend_tensor_set(tensor, column.data() + i * stride, offset + j * pitch + cells[i] * stride,
                                    n * stride);
        });
    }
}

} // namespace gatun
