// What the attention kernel notes down of a query: for who observes it, and of what was left out. For the kernel's
// translation unit only.
#pragma once

#include "lanes.hpp"
#include "observe.hpp"
#include "sparse.hpp"

namespace gatun {
namespace {

// Keeps an observed query as it was before the rotation.
GATUN_INLINE void capture(const two_band_layer & layer, attention_observer & observer, int64_t token, int64_t head,
                          const float * query, int d, bool plain) {
    float * to = observer.query(layer.index, token, head);
    if (to == nullptr) {
        return;
    }
    std::memcpy(to, query, sizeof(float) * static_cast<size_t>(d));
    if (!plain) {
        return; // it came without rotation, and is no longer mixed
    }
    if (layer.hadamard > 0) {
        mix(to, d, layer.hadamard);
    }
    const query_rotation & rotation = layer.rotation;
    const int pairs = static_cast<int>(rotation.frequencies.size());
    float * x = to + rotation.offset;
    float * y = x + (rotation.adjacent ? 1 : pairs);
    const int step = rotation.adjacent ? 2 : 1;
    const int32_t position = layer.batch->positions[static_cast<size_t>(token)];
    for (int i = 0; i < pairs; i++) {
        const double angle = position * rotation.frequencies[static_cast<size_t>(i)];
        const float c = static_cast<float>(std::cos(angle)) / rotation.length;
        const float s = static_cast<float>(std::sin(angle)) / rotation.length;
        const float a = x[i * step];
        const float b = y[i * step];
        x[i * step] = a * c + b * s;
        y[i * step] = b * c - a * s;
    }
}

// Adds the probabilities of one query of one head. scores: padded to whole blocks; they become the probabilities.
GATUN_INLINE void record(attention_observer & observer, const two_band_layer & layer, int thread, int64_t token,
                         int64_t head, int64_t stream, int64_t n_cells, float * scores, float maximum, float factor) {
    for (int64_t i = 0; i < n_cells; i += LANES) {
        store(scores + i, exp_lanes(load(scores + i) - maximum) * factor);
    }
    const auto add = [&](float * sums) {
        for (int64_t i = 0; i < n_cells; i++) {
            sums[i] += scores[i];
        }
    };
    const auto most = [&](float * maxima) {
        for (int64_t i = 0; i < n_cells; i++) {
            maxima[i] = std::max(maxima[i], scores[i]);
        }
    };
    const attention_observer::accumulators to = observer.of(thread, layer.index, head, stream);
    add(to.sums);
    most(to.maxima);
    if (observer.is_last(token)) {
        add(to.last);
    }
    if (to.head_sums != nullptr) {
        add(to.head_sums);
        most(to.head_maxima);
    }
}

// Adds how much of a query's full attention falls on what it met. full: scores of all cells; met: minus infinity where not.
GATUN_INLINE void measure(sparse_counts & counts, const float * full, const float * met, int64_t n_cells) {
    float most = MINUS_INFINITY;
    for (int64_t i = 0; i < n_cells; i++) {
        most = std::max(most, full[i]);
    }
    if (most == MINUS_INFINITY) {
        return;
    }
    double all = 0;
    double of_met = 0;
    for (int64_t i = 0; i < n_cells; i++) {
        const double weight = std::exp(static_cast<double>(full[i]) - most);
        all += weight;
        of_met += met[i] == MINUS_INFINITY ? 0 : weight;
    }
    counts.measured++;
    counts.recall += of_met / all;
    counts.least = std::min(counts.least, of_met / all);
}

} // namespace
} // namespace gatun
