// Sixteen floats at a time, and what rows of a cache are converted with. What the kernel inlines
// is compiled for each instruction set.
#pragma once

#include "two_band.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace gatun {
namespace {

#if defined(__GNUC__)
#    define GATUN_INLINE inline __attribute__((always_inline))
typedef float lanes __attribute__((vector_size(64)));
typedef int32_t ilanes __attribute__((vector_size(64)));
#else
#    define GATUN_INLINE __forceinline
#    error "two_band.cpp needs vector extensions: build with GCC or Clang (clang-cl on Windows)"
#endif

constexpr int LANES = 16;
constexpr float MINUS_INFINITY = -std::numeric_limits<float>::infinity();

// Asks for memory that is read soon.
GATUN_INLINE void prefetch(const void * from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) {
        __builtin_prefetch(static_cast<const char *>(from) + at);
    }
}

GATUN_INLINE lanes load(const float * p) {
    lanes v;
    std::memcpy(&v, p, sizeof(v));
    return v;
}

GATUN_INLINE void store(float * p, lanes v) {
    std::memcpy(p, &v, sizeof(v));
}

GATUN_INLINE lanes splat(float x) {
    return lanes{} + x;
}

// e^x for x <= 0, to 2 ulp; exactly 0 below -87.
GATUN_INLINE lanes exp_lanes(lanes x) {
    const ilanes flushed = x < splat(-87.0f);
    x = (lanes)(((ilanes)x & ~flushed)); // flushed lanes: 0, cut below
    const lanes shifted = x * 1.44269504088896341f + 12582912.0f; // round to nearest in the low mantissa bits
    const lanes n = shifted - 12582912.0f;
    lanes r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    lanes y = splat(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    const ilanes exponent = ((ilanes)shifted - 0x4B400000 + 127) << 23;
    const lanes result = y * (lanes)exponent;
    return (lanes)((ilanes)result & ~flushed);
}

GATUN_INLINE float max_of(lanes v) {
    float m = v[0];
    for (int i = 1; i < LANES; i++) {
        m = std::max(m, v[i]);
    }
    return m;
}

GATUN_INLINE float sum_of(lanes v) {
    float s = 0;
    for (int i = 0; i < LANES; i++) {
        s += v[i];
    }
    return s;
}

inline const char * row_of(const ggml_tensor * t, int64_t i1, int64_t i2, int64_t i3) {
    return static_cast<const char *>(t->data) + i1 * t->nb[1] + i2 * t->nb[2] + i3 * t->nb[3];
}

GATUN_INLINE float half_to_float(uint16_t h) {
    // Exact for every finite value: shift sign and fields into a float's, then mend the exponent by a multiplication.
    const int32_t bits = static_cast<int32_t>(static_cast<uint32_t>(static_cast<int16_t>(h)) << 13) &
                         static_cast<int32_t>(0x8fffe000u);
    float f;
    std::memcpy(&f, &bits, sizeof(f));
    return f * 0x1p112f;
}

GATUN_INLINE void to_float(ggml_type type, ggml_to_float_t convert, const void * from, float * to, int n) {
    if (type == GGML_TYPE_F16) {
        const uint16_t * h = static_cast<const uint16_t *>(from);
        for (int i = 0; i < n; i++) {
            to[i] = half_to_float(h[i]);
        }
    } else if (type == GGML_TYPE_F32) {
        std::memcpy(to, from, sizeof(float) * static_cast<size_t>(n));
    } else {
        convert(from, to, n);
    }
}

// Turns one head in place. turn: cos and sin for each pair.
GATUN_INLINE void rotate(const two_band_batch & batch, const float * turn, float * row) {
    float * x = row + batch.offset;
    const int pairs = batch.pairs;
    const int step = batch.adjacent ? 2 : 1;
    float * y = x + (batch.adjacent ? 1 : pairs);
    for (int i = 0; i < pairs; i++) {
        const float a = x[i * step];
        const float b = y[i * step];
        x[i * step] = a * turn[2 * i] - b * turn[2 * i + 1];
        y[i * step] = a * turn[2 * i + 1] + b * turn[2 * i];
    }
}

// Orthonormal Walsh-Hadamard transform of blocks of `n`, its own inverse.
GATUN_INLINE void mix(float * row, int width, int n) {
    const float norm = 1 / std::sqrt(static_cast<float>(n));
    for (int at = 0; at + n <= width; at += n) {
        float * x = row + at;
        for (int h = 1; h < n; h *= 2) {
            for (int i = 0; i < n; i += 2 * h) {
                for (int j = i; j < i + h; j++) {
                    const float a = x[j];
                    const float b = x[j + h];
                    x[j] = a + b;
                    x[j + h] = a - b;
                }
            }
        }
        for (int i = 0; i < n; i++) {
            x[i] *= norm;
        }
    }
}

} // namespace
} // namespace gatun
