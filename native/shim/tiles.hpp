// The products of the attention kernel, a tile of queries by a block of keys. For the kernel's translation unit only.
#pragma once

#include "lanes.hpp"

namespace gatun {
namespace {

constexpr int BLOCK = 64; // keys at a time
constexpr int ROWS = 64;  // query rows at a time, about

// c[r][n] = or += sum_k a[r][k] b[k][n], for `R` rows; n a multiple of LANES.
template <int R>
GATUN_INLINE void multiply_rows(const float * a, int lda, const float * b, int ldb, float * c, int ldc, int n, int k,
                                bool add) {
    for (int n0 = 0; n0 < n; n0 += LANES) {
        lanes sum[R];
        for (int r = 0; r < R; r++) {
            sum[r] = add ? load(c + r * ldc + n0) : lanes{};
        }
        for (int i = 0; i < k; i++) {
            const lanes bi = load(b + static_cast<int64_t>(i) * ldb + n0);
            for (int r = 0; r < R; r++) {
                sum[r] += a[r * lda + i] * bi;
            }
        }
        for (int r = 0; r < R; r++) {
            store(c + r * ldc + n0, sum[r]);
        }
    }
}

template <int R>
GATUN_INLINE void multiply(const float * a, int lda, const float * b, int ldb, float * c, int ldc, int rows, int n, int k,
                           bool add) {
    int r = 0;
    for (; r + R <= rows; r += R) {
        multiply_rows<R>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
    }
    if (R > 4 && r + 4 <= rows) {
        multiply_rows<4>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
        r += 4;
    }
    if (r + 2 <= rows) {
        multiply_rows<2>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
        r += 2;
    }
    if (r < rows) {
        multiply_rows<1>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, n, k, add);
    }
}

// Scores of a few query rows, as when one token is decoded: the rows stand side by side in the lanes, so that the keys
// need not be transposed. queries: [d][LANES]; keys: [BLOCK][d]; scores: [rows][BLOCK].
GATUN_INLINE void score_few(const float * queries, const float * keys, float * scores, int rows, int d) {
    constexpr int KEYS = 4;
    for (int b = 0; b < BLOCK; b += KEYS) {
        lanes sum[KEYS] = {};
        const float * key = keys + static_cast<int64_t>(b) * d;
        for (int x = 0; x < d; x++) {
            const lanes q = load(queries + static_cast<int64_t>(x) * LANES);
            for (int i = 0; i < KEYS; i++) {
                sum[i] += key[i * d + x] * q;
            }
        }
        for (int i = 0; i < KEYS; i++) {
            for (int r = 0; r < rows; r++) {
                scores[r * BLOCK + b + i] = sum[i][r];
            }
        }
    }
}

// [BLOCK][d] to [d][BLOCK].
GATUN_INLINE void transpose(const float * from, float * to, int d) {
    for (int i = 0; i < BLOCK; i++) {
        for (int x = 0; x < d; x++) {
            to[static_cast<int64_t>(x) * BLOCK + i] = from[static_cast<int64_t>(i) * d + x];
        }
    }
}

// The slope of a head, as ggml's attention has it.
GATUN_INLINE float bias_slope(float max_bias, int64_t n_heads, int64_t head) {
    int64_t power = 1;
    while (power * 2 <= n_heads) {
        power *= 2;
    }
    return head < power ? std::pow(std::exp2(-max_bias / static_cast<float>(power)), static_cast<float>(head + 1))
                        : std::pow(std::exp2(-max_bias / 2 / static_cast<float>(power)),
                                   static_cast<float>(2 * (head - power) + 1));
}

} // namespace
} // namespace gatun
