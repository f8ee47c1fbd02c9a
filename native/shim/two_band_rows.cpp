// What is done to the rows of queries and keys around the attention.
#include "lanes.hpp"
#include "two_band.hpp"

namespace gatun {
namespace {

template <class Row>
void for_rows(ggml_tensor * dst, int ith, int nth, Row && row) {
    const ggml_tensor * from = dst->src[0];
    const int64_t heads = dst->ne[1];
    const int64_t n = heads * dst->ne[2];
    for (int64_t i = n * ith / nth; i < n * (ith + 1) / nth; i++) {
        const char * in = row_of(from, i % heads, i / heads, 0);
        float * out = reinterpret_cast<float *>(const_cast<char *>(row_of(dst, i % heads, i / heads, 0)));
        if (static_cast<const void *>(in) != out) {
            std::memcpy(out, in, sizeof(float) * static_cast<size_t>(dst->ne[0]));
        }
        row(i / heads, out);
    }
}

} // namespace

void two_band_copy(ggml_tensor * dst, int ith, int nth, void *) {
    for_rows(dst, ith, nth, [](int64_t, float *) {});
}

void two_band_rotate_keys(ggml_tensor * dst, int ith, int nth, void * userdata) {
    const auto & batch = *static_cast<const two_band_batch *>(userdata);
    for_rows(dst, ith, nth, [&](int64_t token, float * row) {
        rotate(batch, batch.key_turns.data() + token * batch.pairs * 2, row);
    });
}

void two_band_unmix(float * row, int width, int n) {
    mix(row, width, n);
}

} // namespace gatun
