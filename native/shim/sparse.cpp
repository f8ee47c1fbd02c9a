// What attention leaves out: the index of pages, and the settings of a context.
#include "sparse.hpp"

#include "rope.hpp"

#include <atomic>
#include <limits>

using gatun::guarded;
using gatun::page_index;
using gatun::require;
using gatun::sparse_attention;
using gatun::sparse_kind;
using gatun::sparse_pattern;

namespace gatun {

page_index::page_index(const settings & settings, const std::vector<layer_shape> & shapes, int64_t n_cells, int64_t streams)
    : set(settings), pages_of_stream((n_cells + PAGE * GROUP - 1) / (PAGE * GROUP) * GROUP) {
    const auto pages = static_cast<size_t>(pages_of_stream * streams);
    cells.assign(static_cast<size_t>(streams), std::vector<int32_t>(static_cast<size_t>(n_cells), -1));
    mins.assign(pages, std::numeric_limits<int32_t>::max());
    maxs.assign(pages, -1);
    page_times.assign(pages, 0);
    group_times.assign(pages / GROUP, 0);
    const auto make = [](rows & of, size_t count, int head_size) {
        of.data.resize(count * row_bytes(head_size));
        of.scales.resize(count * 2);
    };
    for (const layer_shape & shape : shapes) {
        first.push_back(static_cast<int64_t>(all.size()));
        for (int i = 0; i < shape.key_heads; i++) {
            auto made = std::make_unique<summaries>();
            make(made->pages, pages, shape.head_size);
            make(made->groups, pages / GROUP, shape.head_size);
            made->seen.resize(static_cast<size_t>(streams));
            made->held.resize(static_cast<size_t>(streams));
            all.push_back(std::move(made));
        }
    }
}

void page_index::see_cells(int64_t stream, const std::vector<int32_t> & positions) {
    static std::atomic<uint64_t> serials{0};
    serial_number = ++serials;
    std::vector<int32_t> & known = cells[static_cast<size_t>(stream)];
    for (size_t from = 0; from < positions.size(); from += PAGE) {
        const size_t to = std::min(from + PAGE, positions.size());
        if (std::equal(positions.begin() + static_cast<std::ptrdiff_t>(from),
                       positions.begin() + static_cast<std::ptrdiff_t>(to),
                       known.begin() + static_cast<std::ptrdiff_t>(from))) {
            continue;
        }
        const size_t page = at(stream, static_cast<int64_t>(from) / PAGE);
        touch(page);
        mins[page] = std::numeric_limits<int32_t>::max();
        maxs[page] = -1;
        for (size_t i = from; i < to; i++) {
            known[i] = positions[i];
            if (known[i] >= 0) {
                mins[page] = std::min(mins[page], known[i]);
                maxs[page] = std::max(maxs[page], known[i]);
            }
        }
    }
}

void page_index::invalidate() {
    for (size_t page = 0; page < page_times.size(); page++) {
        touch(page);
    }
}

} // namespace gatun

namespace {

constexpr int32_t MOST = 1 << 24; // of any number of tokens

std::unique_ptr<sparse_attention> checked(const gatun_sparse_params & params, const gatun_rope & rope) {
    require(params.kind >= 0 && params.kind <= GATUN_SPARSE_BIG_BIRD, "kind is none of GATUN_SPARSE_*");
    const auto kind = static_cast<sparse_kind>(params.kind);
    if (kind == sparse_kind::none) {
        return nullptr;
    }
    auto made = std::make_unique<sparse_attention>();
    made->measure = params.measure != 0;
    sparse_pattern & pattern = made->pattern;
    pattern.kind = kind;
    const auto within = [](int32_t value, int32_t least) { return value >= least && value <= MOST; };
    require(within(params.window, 0) && within(params.sinks, 0), "window and sinks must be 0 to 2^24");
    if (kind == sparse_kind::pages) {
        require(within(params.budget_tokens, page_index::PAGE), "budget_tokens must be 16 to 2^24");
        require(within(params.max_tokens, 1), "max_tokens must be at least 1");
        page_index::settings settings;
        settings.budget_tokens = params.budget_tokens;
        settings.recent_tokens = params.window;
        settings.sink_tokens = params.sinks;
        settings.max_tokens = params.max_tokens;
        settings.bound = params.by_bound != 0;
        made->pages = rope.new_page_index(settings);
        return made;
    }
    const bool windowed = kind == sparse_kind::local || kind == sparse_kind::dilated || kind == sparse_kind::longformer ||
                          kind == sparse_kind::big_bird;
    const bool strided = kind == sparse_kind::dilated || kind == sparse_kind::longformer || kind == sparse_kind::strided;
    const bool blocked = kind == sparse_kind::blocks || kind == sparse_kind::big_bird;
    require(!windowed || params.window >= 1, "window must be at least 1: a query meets its own key");
    require(!strided || within(params.stride, 1), "stride must be 1 to 2^24");
    require(!blocked || within(params.block, 1), "block must be 1 to 2^24");
    require(!strided || !windowed || static_cast<int64_t>(params.window) * params.stride <= MOST,
            "window times stride must be at most 2^24");
    require(kind != sparse_kind::big_bird || (params.random >= 0 && params.random <= 1024), "random must be 0 to 1024");
    require(params.n_globals >= 0 && params.n_globals <= MOST && (params.globals != nullptr || params.n_globals == 0),
            "globals may be NULL only when n_globals is 0");
    pattern.window = params.window;
    pattern.sinks = params.sinks;
    pattern.stride = strided ? params.stride : 1;
    pattern.block = blocked ? params.block : 1;
    pattern.random = params.random;
    pattern.seed = params.seed;
    if (kind == sparse_kind::longformer) {
        pattern.globals.assign(params.globals, params.globals + params.n_globals);
        require(std::is_sorted(pattern.globals.begin(), pattern.globals.end()), "globals must ascend");
    }
    return made;
}

gatun_rope & sparse_rope(llama_context * ctx) {
    require(ctx != nullptr, "ctx may not be NULL");
    gatun_rope * rope = gatun::rope_of(ctx);
    require(rope != nullptr, "the context was made without a gatun_rope");
    return *rope;
}

} // namespace

int32_t gatun_sparse_set(struct llama_context * ctx, const struct gatun_sparse_params * params, char * err,
                         size_t err_cap) {
    return guarded("gatun_sparse_set", err, err_cap, [&]() -> int32_t {
        require(params != nullptr, "params may not be NULL");
        gatun_rope & rope = sparse_rope(ctx);
        rope.attention_cache();
        rope.leave_out(checked(*params, rope));
        return GATUN_OK;
    });
}

int32_t gatun_attend_in_order(struct llama_context * ctx, bool on, char * err, size_t err_cap) {
    return guarded("gatun_attend_in_order", err, err_cap, [&]() -> int32_t {
        sparse_rope(ctx).attend_in_order(on);
        return GATUN_OK;
    });
}

int32_t gatun_sparse_read(struct llama_context * ctx, bool reset, struct gatun_sparse_counts * out, char * err,
                          size_t err_cap) {
    return guarded("gatun_sparse_read", err, err_cap, [&]() -> int32_t {
        require(out != nullptr, "out may not be NULL");
        sparse_attention * sparse = sparse_rope(ctx).sparse();
        *out = {};
        out->least = 1;
        if (sparse == nullptr) {
            return GATUN_OK;
        }
        for (gatun::sparse_counts & counts : sparse->counts) {
            out->rows += counts.rows;
            out->attended += counts.attended;
            out->visible += counts.visible;
            out->measured += counts.measured;
            out->recall += counts.recall;
            out->least = std::min(out->least, counts.least);
            if (reset) {
                counts = {};
            }
        }
        out->recall = out->measured > 0 ? out->recall / static_cast<double>(out->measured) : 0;
        return GATUN_OK;
    });
}

void gatun_pages_invalidate(struct llama_context * ctx) {
    if (gatun_rope * rope = ctx != nullptr ? gatun::rope_of(ctx) : nullptr) {
        rope->invalidate_pages();
    }
}
