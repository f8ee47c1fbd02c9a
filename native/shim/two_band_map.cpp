// The maps of positions, and the tables of rotations.
#include "two_band.hpp"

#include <cmath>
#include <utility>

namespace gatun {

double two_band_map::key_position(int32_t p) const {
    switch (kind) {
        case far_kind::self_extend: return p / group;
        case far_kind::re_rope: return 0;
        case far_kind::leaky_re_rope: return p / factor;
        case far_kind::dual_chunk: return p % stride();
        case far_kind::none: break;
    }
    return p;
}

double two_band_map::query_position(int variant, int32_t p) const {
    if (kind == far_kind::dual_chunk) {
        const int32_t local = p % stride();
        return variant == 0 ? local : variant == 1 ? std::min(local + stride(), chunk - 1) : chunk - 1;
    }
    if (variant == 0) {
        return p;
    }
    switch (kind) {
        case far_kind::self_extend: return p / group + window - window / group;
        case far_kind::re_rope: return window;
        case far_kind::leaky_re_rope: return p / factor + window - window / factor;
        case far_kind::dual_chunk:
        case far_kind::none: break;
    }
    return p;
}

double two_band_map::turn_scale() const {
    return kind == far_kind::leaky_re_rope ? 1 - 1 / factor : 1;
}

namespace {

void append_turns(std::vector<float> & table, const std::vector<double> & frequencies, double position) {
    for (const double frequency : frequencies) {
        table.push_back(static_cast<float>(std::cos(position * frequency)));
        table.push_back(static_cast<float>(std::sin(position * frequency)));
    }
}

} // namespace

void phase_table::reset(std::vector<double> with) {
    frequencies = std::move(with);
    low.clear();
    high.clear();
    for (int p = 0; p < 1 << LOW_BITS; p++) {
        append_turns(low, frequencies, p);
    }
}

void phase_table::reserve(int32_t end) {
    const size_t rows = (static_cast<size_t>(std::max(end, 1)) >> LOW_BITS) + 1;
    for (size_t row = high.size() / (frequencies.size() * 2); row < rows; row++) {
        append_turns(high, frequencies, static_cast<double>(row << LOW_BITS));
    }
}

} // namespace gatun
