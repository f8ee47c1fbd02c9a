// Weights in the form that a processor's own kernels want (AMX tiles, CPU_REPACK). A loader puts a weight there when the
// kernel takes it with plain activations; after that the kernel has to take whatever a graph multiplies it with.
#include "check.hpp"

#include "ggml-alloc.h"
#include "ggml-backend.h"

#include <algorithm>
#include <cmath>
#include <random>

using gatun_test::load_cpu;

namespace {

constexpr int64_t INNER = 512;
constexpr int64_t OUTER = 64;

// The activations: [INNER, tokens, sequences], maybe a part of wider rows.
struct activations {
    int64_t tokens;
    int64_t sequences;
    bool parts;
};

struct context {
    ggml_context * ctx = ggml_init({16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true});
    ggml_backend_buffer_t buffer = nullptr;

    context() = default;
    context(const context &) = delete;
    context & operator=(const context &) = delete;

    ~context() {
        ggml_backend_buffer_free(buffer);
        ggml_free(ctx);
    }
};

ggml_backend_dev_t processor() {
    load_cpu();
    return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

std::vector<ggml_backend_buffer_type_t> own_buffer_types() {
    const auto get = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(processor()), "ggml_backend_dev_get_extra_bufts"));
    std::vector<ggml_backend_buffer_type_t> types;
    for (ggml_backend_buffer_type_t * next = get(processor()); next != nullptr && *next != nullptr; next++) {
        types.push_back(*next);
    }
    return types;
}

std::vector<float> random_values(int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<float> values(static_cast<size_t>(count));
    for (float & value : values) {
        value = static_cast<float>(random() % 2001) / 1000 - 1;
    }
    return values;
}

bool takes(ggml_tensor * weight, const activations & of);

// Asks as llama.cpp's loader does: with a weight that is not there yet.
bool would_be_put(ggml_backend_buffer_type_t type, ggml_type element, int64_t matrices) {
    context empty;
    ggml_tensor * weight = ggml_new_tensor_3d(empty.ctx, element, INNER, OUTER, matrices);
    weight->buffer = empty.buffer = ggml_backend_buft_alloc_buffer(type, 0);
    return takes(weight, {512, matrices, false});
}

ggml_tensor * new_weight(context & of, ggml_backend_buffer_type_t type, ggml_type element) {
    ggml_tensor * weight = ggml_new_tensor_2d(of.ctx, element, INNER, OUTER);
    of.buffer = ggml_backend_alloc_ctx_tensors_from_buft(of.ctx, type);
    ggml_backend_buffer_set_usage(of.buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    const std::vector<float> values = random_values(INNER * OUTER, 1);
    std::vector<uint8_t> packed(ggml_nbytes(weight));
    ggml_quantize_chunk(element, values.data(), packed.data(), 0, OUTER, INNER, nullptr);
    ggml_backend_tensor_set(weight, packed.data(), 0, packed.size());
    return weight;
}

ggml_tensor * new_input(ggml_context * ctx, const activations & of) {
    const int64_t width = of.parts ? 2 * INNER : INNER;
    ggml_tensor * whole = ggml_new_tensor_3d(ctx, GGML_TYPE_F32, width, of.tokens, of.sequences);
    return of.parts ? ggml_view_3d(ctx, whole, INNER, of.tokens, of.sequences, whole->nb[1], whole->nb[2],
                                   INNER * sizeof(float))
                    : whole;
}

bool takes(ggml_tensor * weight, const activations & of) {
    context graph;
    return ggml_backend_dev_supports_op(processor(), ggml_mul_mat(graph.ctx, weight, new_input(graph.ctx, of)));
}

std::vector<float> multiply(ggml_backend_t backend, ggml_tensor * weight, const activations & of) {
    context graph;
    ggml_tensor * input = new_input(graph.ctx, of);
    ggml_tensor * product = ggml_mul_mat(graph.ctx, weight, input);
    ggml_cgraph * nodes = ggml_new_graph(graph.ctx);
    ggml_build_forward_expand(nodes, product);
    graph.buffer = ggml_backend_alloc_ctx_tensors(graph.ctx, backend);
    ggml_tensor * whole = input->view_src != nullptr ? input->view_src : input;
    const std::vector<float> values = random_values(ggml_nelements(whole), 2);
    ggml_backend_tensor_set(whole, values.data(), 0, ggml_nbytes(whole));
    CHECK(ggml_backend_graph_compute(backend, nodes) == GGML_STATUS_SUCCESS);
    std::vector<float> result(static_cast<size_t>(ggml_nelements(product)));
    ggml_backend_tensor_get(product, result.data(), 0, ggml_nbytes(product));
    return result;
}

} // namespace

TEST("rearranged weights take every kind of activations, and give what plain ones give") {
    ggml_backend_t backend = ggml_backend_dev_init(processor(), nullptr);
    int compared = 0;
    for (ggml_backend_buffer_type_t own : own_buffer_types()) {
        for (ggml_type element : {GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K,
                                  GGML_TYPE_Q6_K, GGML_TYPE_IQ4_NL, GGML_TYPE_IQ4_XS, GGML_TYPE_F16}) {
            if (!would_be_put(own, element, 1)) {
                continue;
            }
            context there;
            context plain;
            ggml_tensor * rearranged = new_weight(there, own, element);
            ggml_tensor * as_it_is = new_weight(plain, ggml_backend_dev_buffer_type(processor()), element);
            for (int64_t tokens : {1, 5, 33, 70}) {
                for (int64_t sequences : {1, 3}) {
                    for (bool parts : {false, true}) {
                        const activations of = {tokens, sequences, parts};
                        const std::string name = std::string(ggml_backend_buft_name(own)) + " " +
                                                 ggml_type_name(element) + " " + std::to_string(tokens) + " tokens of " +
                                                 std::to_string(sequences) + (parts ? ", parts of rows" : "");
                        gatun_test::check(takes(rearranged, of), name + " is refused", __FILE__, __LINE__);
                        const std::vector<float> actual = multiply(backend, rearranged, of);
                        const std::vector<float> expected = multiply(backend, as_it_is, of);
                        float greatest = 0;
                        float difference = 0;
                        for (size_t i = 0; i < expected.size(); i++) {
                            greatest = std::max(greatest, std::abs(expected[i]));
                            difference = std::max(difference, std::abs(expected[i] - actual[i]));
                        }
                        gatun_test::check(difference <= 2e-3f * greatest,
                                          name + " differs by " + std::to_string(difference) + " of " +
                                              std::to_string(greatest),
                                          __FILE__, __LINE__);
                        compared++;
                    }
                }
            }
        }
    }
    std::printf("        %d products compared\n", compared);
    ggml_backend_free(backend);
}

TEST("weights of several matrices stay where they are") {
    for (ggml_backend_buffer_type_t own : own_buffer_types()) {
        CHECK(!would_be_put(own, GGML_TYPE_Q8_0, 3));
        CHECK(!would_be_put(own, GGML_TYPE_Q4_0, 3));
    }
}
