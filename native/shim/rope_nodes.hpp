// What the files of gatun_rope share: the parameters of rope nodes, and the custom nodes that others become.
#pragma once

#include "rope.hpp"

#include "llama-context.h"
#include "llama-kv-cache.h"
#include "llama-model.h"

#include <cstdlib>
#include <cstring>

namespace gatun::nodes {

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

inline float float_param(const ggml_tensor * node, int index) {
    float value;
    std::memcpy(&value, node->op_params + index, sizeof(value));
    return value;
}

inline void float_param(ggml_tensor * node, int index, float value) {
    std::memcpy(node->op_params + index, &value, sizeof(value));
}

// "Qcur-12": 12; -1 when the name has no number at its end.
inline int layer_in(const char * name) {
    const char * dash = std::strrchr(name, '-');
    if (dash == nullptr || dash[1] < '0' || dash[1] > '9') {
        return -1;
    }
    return std::atoi(dash + 1);
}

} // namespace gatun::nodes

// One custom node for each thing that is put in place of another; only their parameters are used.
struct gatun_rope::templates {
    ggml_context * context;
    ggml_tensor * copy;
    ggml_tensor * rotate;
    std::vector<ggml_tensor *> attention;

    explicit templates(gatun_rope & rope);
    ~templates() { ggml_free(context); }
    templates(const templates &) = delete;
    templates & operator=(const templates &) = delete;
};
