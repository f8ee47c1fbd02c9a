#include "contexts.hpp"

#include <algorithm>
#include <climits>

using gatun_test::context_holder;
using gatun_test::decode_at;
using gatun_test::distance;
using gatun_test::logits;
using gatun_test::message;
using gatun_test::plain;
using gatun_test::positions;
using gatun_test::prompt;
using gatun_test::rope_holder;
using gatun_test::rows;
using gatun_test::settings;
using gatun_test::unified;

namespace {

void share(llama_context * ctx, llama_seq_id from, llama_seq_id to) {
    llama_memory_seq_cp(llama_get_memory(ctx), from, to, -1, -1);
}

gatun_cell_usage usage(llama_context * ctx, llama_seq_id seq) {
    message err;
    gatun_cell_usage out;
    CHECK_OK(gatun_cells_usage(ctx, seq, &out, err.text, sizeof(err.text)), err);
    return out;
}

std::vector<int32_t> range(int32_t from, int32_t to) {
    std::vector<int32_t> all;
    for (int32_t i = from; i < to; i++) {
        all.push_back(i);
    }
    return all;
}

int32_t write(llama_context * ctx, llama_seq_id seq, const std::vector<int32_t> & stored,
              const std::vector<int32_t> & at, const std::vector<uint8_t> & bytes, message & err) {
    const gatun_cell_piece piece = {stored.data(), at.data(), at.size(), bytes.data(), bytes.size()};
    return gatun_cells_write(ctx, seq, &piece, 1, err.text, sizeof(err.text));
}

// Caches whose rows differ in layout or packing.
std::vector<llama_context_params> layouts(uint32_t n_ctx, uint32_t n_seq_max = 1) {
    llama_context_params half = settings(n_ctx, n_seq_max);
    llama_context_params single = half;
    single.type_k = single.type_v = GGML_TYPE_F32;
    llama_context_params packed = half;
    packed.type_k = GGML_TYPE_Q8_0;
    packed.type_v = GGML_TYPE_Q4_0;
    llama_context_params transposed = half;
    transposed.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    return {half, single, packed, transposed};
}

} // namespace

TEST("cells are counted in a pool of all sequences and in pools of their own") {
    message err;
    context_holder one(unified(256, 3));
    CHECK_EQUAL(decode_at(one.ctx, 0, 0, prompt(20), err), 0);
    share(one.ctx, 0, 1);
    CHECK_EQUAL(decode_at(one.ctx, 1, 20, prompt(5), err), 0);
    const gatun_cell_usage of = usage(one.ctx, 1);
    CHECK_EQUAL(of.size, 256);
    CHECK_EQUAL(of.used, 25);
    CHECK_EQUAL(of.extent, 25);
    CHECK_EQUAL(of.shared, 20);
    CHECK_EQUAL(of.held, 25);
    CHECK_EQUAL(of.held_shared, 20);
    CHECK_EQUAL(usage(one.ctx, 2).held, 0);
    CHECK(positions(one.ctx, 1) == range(0, 25));
    CHECK(positions(one.ctx, 2).empty());

    context_holder own(settings(512, 2));
    CHECK_EQUAL(decode_at(own.ctx, 1, 0, prompt(30), err), 0);
    CHECK_EQUAL(usage(own.ctx, 0).used, 0);
    CHECK_EQUAL(usage(own.ctx, 1).used, 30);
    CHECK_EQUAL(usage(own.ctx, 1).size, 256);
}

TEST("a range of positions is half open, and only what fits is written") {
    message err;
    context_holder context(settings(256));
    CHECK_EQUAL(decode_at(context.ctx, 0, 7, prompt(20), err), 0);
    std::vector<int32_t> out(3, -5);
    size_t count = 0;
    CHECK_OK(gatun_cells_positions(context.ctx, 0, 10, 15, out.data(), 2, &count, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(count, size_t{5});
    CHECK(out == (std::vector<int32_t>{10, 11, -5}));
    CHECK_OK(gatun_cells_positions(context.ctx, 0, -9, 9, out.data(), 3, &count, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(count, size_t{2});
    CHECK_OK(gatun_cells_positions(context.ctx, 0, 15, 10, nullptr, 0, &count, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(count, size_t{0});
}

TEST("rows go out and come back, whatever the cache's layout, in every sequence's pool") {
    message err;
    for (const llama_context_params & params : layouts(512, 2)) {
        context_holder from(params);
        context_holder to(params);
        CHECK_EQUAL(decode_at(from.ctx, 1, 0, prompt(50), err), 0);
        CHECK_EQUAL(decode_at(to.ctx, 1, 0, prompt(3), err), 0);
        const auto other = rows(to.ctx, 1);
        const auto middle = rows(from.ctx, 1, 10, 40);
        CHECK_OK(write(to.ctx, 0, range(10, 40), range(10, 40), middle, err), err);
        CHECK(rows(to.ctx, 0) == middle);
        CHECK(rows(to.ctx, 1) == other);
        CHECK(positions(to.ctx, 0) == range(10, 40));
        // The rest around it, in two pieces: then the cells are those of the text.
        const auto head = rows(from.ctx, 1, 0, 10);
        const auto tail = rows(from.ctx, 1, 40, -1);
        const auto before = range(0, 10);
        const auto behind = range(40, 50);
        const gatun_cell_piece pieces[] = {{behind.data(), behind.data(), 10, tail.data(), tail.size()},
                                           {before.data(), before.data(), 10, head.data(), head.size()}};
        CHECK_OK(gatun_cells_write(to.ctx, 0, pieces, 2, err.text, sizeof(err.text)), err);
        CHECK(rows(to.ctx, 0) == rows(from.ctx, 1));
        CHECK_EQUAL(decode_at(from.ctx, 1, 50, {42}, err), 0);
        CHECK_EQUAL(decode_at(to.ctx, 0, 50, {42}, err), 0);
        const double off = distance(logits(from.ctx), logits(to.ctx));
        std::printf("largest difference of a logit %.2e\n", off);
        CHECK(off < 5e-2); // half-precision sums in another order
    }
}

TEST("keys that come to another place are turned as a shift turns them, and no other key is touched") {
    message err;
    for (const llama_context_params & params : layouts(256)) {
        context_holder moved(params);
        context_holder written(params);
        CHECK_EQUAL(decode_at(moved.ctx, 0, 0, prompt(30), err), 0);
        const auto bytes = rows(moved.ctx, 0);
        CHECK_EQUAL(decode_at(written.ctx, 0, 0, prompt(20), err), 0);
        const auto still = rows(written.ctx, 0);
        CHECK_OK(write(written.ctx, 0, range(0, 30), range(100, 130), bytes, err), err);
        CHECK_OK(gatun_memory_shift(moved.ctx, 0, 0, -1, 100, err.text, sizeof(err.text)), err);
        CHECK(positions(moved.ctx, 0) == range(100, 130));
        CHECK(rows(written.ctx, 0, 100, -1) == rows(moved.ctx, 0));
        CHECK(rows(written.ctx, 0, 0, 20) == still);
    }
}

TEST("what cannot be written is refused, and nothing is changed") {
    message err;
    context_holder context(unified(256, 2));
    llama_context * ctx = context.ctx;
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(20), err), 0);
    const auto bytes = rows(ctx, 0, 5, 10);
    const auto before = rows(ctx, 0);
    const auto refused = [&](const std::vector<int32_t> & stored, const std::vector<int32_t> & at, size_t size,
                             const char * why) {
        const gatun_cell_piece piece = {stored.data(), at.data(), at.size(), bytes.data(), size};
        CHECK_EQUAL(gatun_cells_write(ctx, 0, &piece, 1, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
        CHECK_CONTAINS(err, why);
    };
    const auto stored = range(5, 10);
    refused(stored, range(15, 20), bytes.size(), "already");
    refused(stored, {50, 51, 52, 51, 53}, bytes.size(), "twice");
    refused(stored, {50, 51, 52, -1, 53}, bytes.size(), "out of range");
    refused(stored, {50, 51, 52, INT_MAX, 53}, bytes.size(), "out of range");
    refused({5, 6, 7, 8, INT_MAX}, range(50, 55), bytes.size(), "out of range");
    refused(stored, range(50, 55), bytes.size() - 1, "bytes");
    gatun_cell_piece piece = {nullptr, stored.data(), 5, bytes.data(), bytes.size()};
    CHECK_EQUAL(gatun_cells_write(ctx, 0, &piece, 1, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_write(ctx, 0, nullptr, 1, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_write(nullptr, 0, nullptr, 0, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(write(ctx, 2, stored, range(50, 55), bytes, err), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(write(ctx, -1, stored, range(50, 55), bytes, err), GATUN_INVALID_ARGUMENT);
    CHECK_OK(gatun_cells_write(ctx, 0, nullptr, 0, err.text, sizeof(err.text)), err);

    CHECK_EQUAL(decode_at(ctx, 1, 0, prompt(232), err), 0); // 4 cells are free
    CHECK_EQUAL(write(ctx, 0, stored, range(50, 55), bytes, err), GATUN_NO_ROOM);
    CHECK_CONTAINS(err, "252 of 256");
    CHECK(rows(ctx, 0) == before);

    // Keys that would move and cannot.
    llama_context_params params = settings(256);
    params.type_k = GGML_TYPE_BF16;
    context_holder fixed(params);
    CHECK_EQUAL(decode_at(fixed.ctx, 0, 0, prompt(10), err), 0);
    const auto rounded = rows(fixed.ctx, 0);
    CHECK_EQUAL(write(fixed.ctx, 0, range(0, 10), range(20, 30), rounded, err), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "BF16");
    CHECK_OK(write(fixed.ctx, 0, range(20, 30), range(20, 30), rounded, err), err);
}

TEST("what cannot be read or counted is refused") {
    message err;
    context_holder context(settings(256));
    llama_context * ctx = context.ctx;
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(10), err), 0);
    size_t size = 0;
    CHECK_OK(gatun_cells_bytes(ctx, 10, &size, err.text, sizeof(err.text)), err);
    // 4 layers, 2 heads of 64, K and V in 16 bits
    CHECK_EQUAL(size, size_t{10} * 4 * 2 * 64 * 2 * 2);
    std::vector<uint8_t> bytes(size - 1);
    size_t written = 1;
    CHECK_EQUAL(gatun_cells_read(ctx, 0, 0, -1, bytes.data(), bytes.size(), &written, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "10 cells");
    CHECK_EQUAL(written, size_t{0});
    CHECK_EQUAL(gatun_cells_read(ctx, 0, 0, -1, nullptr, size, &written, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_read(ctx, 0, 0, -1, bytes.data(), size, nullptr, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_read(ctx, 1, 0, -1, bytes.data(), size, &written, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_OK(gatun_cells_read(ctx, 0, 90, -1, nullptr, 0, &written, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(gatun_cells_bytes(ctx, SIZE_MAX, &size, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_bytes(ctx, 1, nullptr, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_bytes(nullptr, 1, &size, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    gatun_cell_usage out;
    CHECK_EQUAL(gatun_cells_usage(ctx, 1, &out, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_usage(ctx, 0, nullptr, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_usage(nullptr, 0, &out, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    size_t count = 0;
    CHECK_EQUAL(gatun_cells_positions(ctx, 0, 0, -1, nullptr, 1, &count, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_positions(ctx, 0, 0, -1, nullptr, 0, nullptr, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_positions(ctx, -1, 0, -1, nullptr, 0, &count, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
}

TEST("a copy between pools that waits for the next decode is finished before rows are read") {
    message err;
    context_holder context(settings(512, 2));
    CHECK_EQUAL(decode_at(context.ctx, 0, 0, prompt(40), err), 0);
    share(context.ctx, 0, 1);
    CHECK(rows(context.ctx, 1) == rows(context.ctx, 0));
    int32_t copied = -1;
    CHECK_OK(gatun_cells_copy_private(context.ctx, 1, 0, -1, &copied, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(copied, 0);
}

TEST("a private copy takes the place of shared cells, or nothing is changed") {
    message err;
    context_holder context(unified(256, 3));
    llama_context * ctx = context.ctx;
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(100), err), 0);
    share(ctx, 0, 1);
    const auto before = rows(ctx, 0);
    int32_t copied = -1;
    CHECK_OK(gatun_cells_copy_private(ctx, 1, 60, 90, &copied, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(copied, 30);
    CHECK_EQUAL(usage(ctx, 1).held_shared, 70);
    CHECK_EQUAL(usage(ctx, 1).used, 130);
    CHECK(rows(ctx, 0) == before);
    CHECK(rows(ctx, 1) == before);
    CHECK(positions(ctx, 1) == range(0, 100));
    CHECK_OK(gatun_memory_shift(ctx, 1, 60, 90, 100, err.text, sizeof(err.text)), err);
    CHECK(rows(ctx, 0) == before);
    CHECK_OK(gatun_cells_copy_private(ctx, 2, 0, -1, &copied, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(copied, 0);

    share(ctx, 0, 2);
    CHECK_EQUAL(decode_at(ctx, 2, 100, prompt(60), err), 0);
    CHECK_EQUAL(gatun_cells_copy_private(ctx, 2, 0, -1, &copied, err.text, sizeof(err.text)), GATUN_NO_ROOM);
    CHECK_CONTAINS(err, "100 cells");
    CHECK_EQUAL(copied, 0);
    CHECK_EQUAL(usage(ctx, 2).held_shared, 100);
    CHECK_EQUAL(gatun_cells_copy_private(ctx, 3, 0, -1, &copied, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_copy_private(ctx, 0, 0, -1, nullptr, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_copy_private(nullptr, 0, 0, -1, &copied, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
}

TEST("compaction moves the used cells of every pool to its front and keeps what they hold") {
    message err;
    for (const bool one_pool : {true, false}) {
        for (llama_context_params params : layouts(768, 3)) {
            params.kv_unified = one_pool;
            context_holder context(params);
            llama_context * ctx = context.ctx;
            for (llama_pos at = 0; at < 40; at += 10) { // their cells alternate
                CHECK_EQUAL(decode_at(ctx, 0, at, prompt(10), err), 0);
                CHECK_EQUAL(decode_at(ctx, 1, at, prompt(10), err), 0);
            }
            llama_memory_seq_rm(llama_get_memory(ctx), 0, 0, 25);
            if (one_pool) {
                share(ctx, 1, 2);
            }
            const auto first = rows(ctx, 0);
            const auto second = rows(ctx, 1);
            gatun_compaction done;
            CHECK_OK(gatun_cells_compact(ctx, &done, err.text, sizeof(err.text)), err);
            CHECK_EQUAL(done.extent_before, int64_t{80});
            CHECK_EQUAL(done.extent_after, int64_t{55});
            CHECK_EQUAL(done.moved, one_pool ? int64_t{55} : int64_t{15});
            CHECK_EQUAL(usage(ctx, 0).extent, usage(ctx, 0).used);
            CHECK(rows(ctx, 0) == first);
            CHECK(rows(ctx, 1) == second);
            CHECK(positions(ctx, 0) == range(25, 40));
            if (one_pool) {
                CHECK(rows(ctx, 2) == second);
            }
            CHECK_OK(gatun_cells_compact(ctx, &done, err.text, sizeof(err.text)), err);
            CHECK_EQUAL(done.moved, int64_t{0});
            CHECK_EQUAL(decode_at(ctx, 0, 40, {42}, err), 0);
            CHECK(positions(ctx, 0) == range(25, 41));
        }
    }
    gatun_compaction done;
    context_holder empty(settings(256));
    CHECK_OK(gatun_cells_compact(empty.ctx, &done, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(done.extent_before, int64_t{0});
    CHECK_EQUAL(gatun_cells_compact(empty.ctx, nullptr, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_cells_compact(nullptr, &done, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
}

TEST("positions are moved, taken out and divided, also while a call is cancelled") {
    message err;
    for (const bool with_rope : {false, true}) {
        rope_holder rope(plain());
        context_holder context(settings(512, 2), with_rope ? rope.rope : nullptr);
        llama_context * ctx = context.ctx;
        CHECK_EQUAL(decode_at(ctx, 1, 0, prompt(40), err), 0);
        gatun_interrupt cell = {1, 0, 0};
        gatun_interrupt_attach(ctx, &cell);
        const auto head = rows(ctx, 1, 0, 10);
        CHECK_OK(gatun_memory_discard(ctx, 1, 10, 20, err.text, sizeof(err.text)), err);
        CHECK(positions(ctx, 1) == range(0, 30));
        CHECK(rows(ctx, 1, 0, 10) == head);
        CHECK_OK(gatun_memory_shift(ctx, 1, 10, 20, 90, err.text, sizeof(err.text)), err);
        CHECK_OK(gatun_memory_shift(ctx, 1, 100, -1, -90, err.text, sizeof(err.text)), err);
        CHECK(positions(ctx, 1) == range(0, 30));
        CHECK_OK(gatun_memory_divide(ctx, 1, 10, -1, 2, err.text, sizeof(err.text)), err);
        std::vector<int32_t> expected = range(0, 10);
        for (int32_t p = 10; p < 30; p++) {
            expected.push_back(p / 2);
        }
        std::sort(expected.begin(), expected.end());
        CHECK(positions(ctx, 1) == expected);
        gatun_interrupt_attach(ctx, nullptr);
    }
}

TEST("a move that cannot be is refused, and nothing is changed") {
    message err;
    context_holder context(unified(256, 2));
    llama_context * ctx = context.ctx;
    CHECK_EQUAL(decode_at(ctx, 0, 0, prompt(20), err), 0);
    const auto before = rows(ctx, 0);
    const size_t cap = sizeof(err.text);
    CHECK_EQUAL(gatun_memory_shift(ctx, 0, 0, -1, INT_MAX, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "delta");
    CHECK_EQUAL(gatun_memory_shift(ctx, 0, 0, -1, INT_MAX - 19, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_shift(ctx, 2, 0, -1, 1, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_shift(nullptr, 0, 0, -1, 1, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_discard(ctx, 0, 5, 5, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_discard(ctx, 0, -1, 5, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_discard(ctx, -1, 0, 5, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_divide(ctx, 0, 0, -1, 0, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_divide(ctx, 9, 0, -1, 2, err.text, cap), GATUN_INVALID_ARGUMENT);
    share(ctx, 0, 1);
    CHECK_EQUAL(gatun_memory_discard(ctx, 0, 5, 10, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_memory_divide(ctx, 0, 0, -1, 2, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK(positions(ctx, 0) == range(0, 20));
    CHECK(rows(ctx, 0) == before);

    // An attention factor without the callback: upstream would stretch every key.
    llama_context_params params = settings(256);
    params.yarn_attn_factor = 1.5f;
    context_holder stretched(params);
    CHECK_EQUAL(decode_at(stretched.ctx, 0, 0, prompt(20), err), 0);
    CHECK_EQUAL(gatun_memory_shift(stretched.ctx, 0, 0, -1, 5, err.text, cap), GATUN_INVALID_ARGUMENT);
    CHECK_CONTAINS(err, "gatun_rope");
    rope_holder rope(plain());
    context_holder whole(params, rope.rope);
    CHECK_EQUAL(decode_at(whole.ctx, 0, 0, prompt(20), err), 0);
    const auto head = rows(whole.ctx, 0, 0, 10);
    CHECK_OK(gatun_memory_shift(whole.ctx, 0, 10, -1, 5, err.text, cap), err);
    CHECK(rows(whole.ctx, 0, 0, 10) == head);
}

TEST("what a decode complained of does not fail a later move") {
    message err;
    const std::vector<float> ones(32, 1.0f);
    gatun_rope_params params = plain();
    params.factors = ones.data();
    params.n_factors = 4;
    rope_holder rope(params);
    context_holder context(settings(256), rope.rope);
    CHECK_EQUAL(decode_at(context.ctx, 0, 0, prompt(10), err), GATUN_FAILED);
    CHECK_CONTAINS(err, "4 factors");
    CHECK_EQUAL(gatun_memory_shift(context.ctx, 0, 0, -1, 5, err.text, sizeof(err.text)), GATUN_FAILED);
    CHECK_CONTAINS(err, "4 factors");
    params.n_factors = 32;
    CHECK_OK(gatun_rope_set(rope.rope, &params, err.text, sizeof(err.text)), err);
    CHECK_OK(gatun_memory_shift(context.ctx, 0, 0, -1, 5, err.text, sizeof(err.text)), err);
}
