// Our own attention kernel, in place of ggml's: on plain positions, and on two bands, near keys at their true distance and
// far keys at a mapped one. It can be observed (observe.hpp).
//
// Plain positions: queries and keys come rotated, and nothing is turned.
// Two bands: the cache holds every key in its *far* form, R(keyPosition(p)) k. A far key then costs what a plain one costs; only
// the keys within the window are turned to their true position, `window` of them for each query however long the text.
// Queries come without rotation and are turned here, one form for each band.
//
// Sources: Self-Extend (Jin et al. 2024, equations 3 and 4), ReRoPE and leaky ReRoPE (Su 2023), dual chunk attention
// (An et al. 2024, equations 4 to 8); log-n scaled queries (Su 2021; Chiang and Cholak 2022).
#pragma once

#include "ggml.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gatun {

enum class far_kind : int32_t { none = 0, self_extend = 1, re_rope = 2, leaky_re_rope = 3, dual_chunk = 4 };

// How positions are mapped. Positions are those of the sequence, in tokens.
struct two_band_map {
    far_kind kind = far_kind::none;
    int32_t window = 0;  // near when query - key < window; the local part of dual chunk attention
    int32_t group = 1;   // Self-Extend: positions that share one far position
    int32_t chunk = 0;   // dual chunk attention: positions seen at once, at most the trained length
    double factor = 1;   // leaky ReRoPE: by how much far distances are divided

    // Forms of a query: the near one first.
    int variants() const { return kind == far_kind::none ? 1 : kind == far_kind::dual_chunk ? 3 : 2; }
    // Whether near keys are turned from their far form.
    bool turns_near_keys() const { return kind != far_kind::none && kind != far_kind::dual_chunk; }

    int32_t stride() const { return chunk - window; }
    double key_position(int32_t p) const;
    double query_position(int variant, int32_t p) const;
    // The form of the query that meets the key.
    int variant(int32_t query, int32_t key) const {
        if (kind == far_kind::dual_chunk) {
            return std::clamp(query / stride() - key / stride(), 0, 2);
        }
        return kind == far_kind::none || query - key < window ? 0 : 1;
    }
    // The turn of a near key, key_position to p, is by turn_index(p) times the frequencies times turn_scale().
    int32_t turn_index(int32_t p) const { return kind == far_kind::self_extend ? p - p / group : p; }
    double turn_scale() const;
};

// Rotations by whole positions, cos and sin of position * frequency, as products of two small tables: one for the low
// eight bits of the position, one for the rest. Good to 2e-7.
class phase_table {
  public:
    // `frequencies`: radians for each position, one for each pair of dimensions.
    void reset(std::vector<double> frequencies);
    // Makes room for positions below `end`. Not safe beside `at`.
    void reserve(int32_t end);
    // Writes cos and sin, interleaved, for each pair.
    void at(int32_t position, float * out) const {
        const size_t width = frequencies.size() * 2;
        const float * a = low.data() + static_cast<size_t>(position & ((1 << LOW_BITS) - 1)) * width;
        const float * b = high.data() + static_cast<size_t>(position >> LOW_BITS) * width;
        for (size_t i = 0; i < width; i += 2) {
            out[i] = a[i] * b[i] - a[i + 1] * b[i + 1];
            out[i + 1] = a[i + 1] * b[i] + a[i] * b[i + 1];
        }
    }

  private:
    static constexpr int LOW_BITS = 8;

    std::vector<double> frequencies;
    std::vector<float> low;
    std::vector<float> high;
};

// What the attention of one micro batch needs beside its tensors.
struct two_band_batch {
    two_band_map map;
    int pairs = 0;        // rotated pairs of dimensions in a head
    int offset = 0;       // first rotated dimension
    bool adjacent = true; // pairs are (2i, 2i+1); else (i, i + pairs)
    phase_table turns;    // near keys

    int32_t tokens = 0;
    std::vector<int32_t> positions;    // [tokens]
    std::vector<float> query_turns;    // [variants][tokens][pairs][cos, sin]
    std::vector<float> key_turns;      // [tokens][pairs][cos, sin]
    std::vector<float> query_scale;    // [tokens]
    std::vector<std::vector<int32_t>> cells; // positions of the cells, for each stream; 0 where empty
    // Least and greatest position of each block of 64 cells, for each stream; the greatest is -1 in an empty one.
    std::vector<std::vector<int32_t>> least, greatest;

    // The cells of the micro batch's sequence by position, for each stream; empty where they lie so, or when there are
    // several sequences. Attention then does not depend on where cells lie, to the last bit.
    std::vector<std::vector<int32_t>> order;

    float * scores = nullptr; // when set: [head][query][key], scaled scores before mask and softmax (one stream)

    const float * query_turn(int variant, int64_t token) const {
        return query_turns.data() + (static_cast<int64_t>(variant) * tokens + token) * pairs * 2;
    }
};

class attention_observer;
struct sparse_attention;

// How the queries of a layer were rotated, for taking it back.
struct query_rotation {
    std::vector<double> frequencies; // radians for each position; empty: not rotated
    float length = 1;                // by which the rotation multiplied
    int offset = 0;                  // first rotated dimension
    bool adjacent = true;            // pairs are (2i, 2i+1); else (i, i + pairs)
};

// What one layer's attention needs beside that.
struct two_band_layer {
    const two_band_batch * batch = nullptr;
    float scale = 1;
    float softcap = 0;
    float max_bias = 0;        // of ALiBi (Press et al. 2022): heads' slopes fall from 2^-(max_bias / heads) on; 0: none
    int hadamard = 0;          // width of the blocks in which queries and keys were mixed for a quantised cache; 0: not
    int64_t first_stream = 0;  // of the cache, of those that the node sees
    int index = 0;             // among the layers of the cache
    query_rotation rotation;   // on plain positions
    attention_observer * observer = nullptr; // NULL: nobody looks
    sparse_attention * sparse = nullptr;     // NULL: every visible key is met
};

// Turns every row of a rope node's input by the batch's key rotations (ggml_custom_op_t; userdata: two_band_batch).
void two_band_rotate_keys(ggml_tensor * dst, int ith, int nth, void * userdata);
// Copies a rope node's input (ggml_custom_op_t).
void two_band_copy(ggml_tensor * dst, int ith, int nth, void * userdata);
// Takes back the Walsh-Hadamard mixing of a quantised cache, in blocks of `n`, a power of two that divides `width`.
void two_band_unmix(float * row, int width, int n);
// In place of GGML_OP_FLASH_ATTN_EXT, with its sources (ggml_custom_op_t; userdata: two_band_layer).
void two_band_attention(ggml_tensor * dst, int ith, int nth, void * userdata);

} // namespace gatun
