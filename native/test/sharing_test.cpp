#include "contexts.hpp"

#if defined(__GLIBC__)
#    include <malloc.h>
#endif

using gatun_test::context_holder;
using gatun_test::decode_at;
using gatun_test::distance;
using gatun_test::logits;
using gatun_test::message;
using gatun_test::positions;
using gatun_test::prompt;
using gatun_test::settings;
using gatun_test::unified;

namespace {

void share(llama_context * ctx, llama_seq_id from, llama_seq_id to, llama_pos p0 = -1, llama_pos p1 = -1) {
    message err;
    CHECK_OK(gatun_memory_share(ctx, from, to, p0, p1, err.text, sizeof(err.text)), err);
}

bool remove(llama_context * ctx, llama_seq_id seq, llama_pos p0 = -1, llama_pos p1 = -1) {
    message err;
    int32_t removed = 0;
    CHECK_OK(gatun_memory_remove(ctx, seq, p0, p1, &removed, err.text, sizeof(err.text)), err);
    return removed != 0;
}

// First and last position that llama.cpp knows of.
void check_ends(llama_context * ctx, llama_seq_id seq, llama_pos first, llama_pos last) {
    CHECK_EQUAL(llama_memory_seq_pos_min(llama_get_memory(ctx), seq), first);
    CHECK_EQUAL(llama_memory_seq_pos_max(llama_get_memory(ctx), seq), last);
}

int32_t used(llama_context * ctx) {
    message err;
    gatun_cell_usage out;
    CHECK_OK(gatun_cells_usage(ctx, 0, &out, err.text, sizeof(err.text)), err);
    return out.used;
}

} // namespace

TEST("sequences that share cells take no memory for them") {
    message err;
    context_holder context(unified(1024, 32));
    CHECK_EQUAL(decode_at(context.ctx, 0, 0, prompt(1000), err), 0);
#if defined(__GLIBC__)
    const size_t before = mallinfo2().uordblks;
#endif
    for (llama_seq_id seq = 1; seq < 32; seq++) {
        share(context.ctx, 0, seq);
        check_ends(context.ctx, seq, 0, 999);
    }
#if defined(__GLIBC__)
    const size_t after = mallinfo2().uordblks;
    std::printf("31 sequences of 1,000 cells: %zu bytes\n", after - before);
    CHECK(after - before < 31 * 1000); // llama.cpp: 48 for each cell
#endif
    CHECK_EQUAL(used(context.ctx), 1000);
    CHECK(positions(context.ctx, 31) == positions(context.ctx, 0));
}

TEST("a sequence that shares goes on, is cut back and outlives the one it shares with") {
    message err;
    context_holder alone(unified(256, 3));
    context_holder context(unified(256, 3));
    CHECK_EQUAL(decode_at(alone.ctx, 0, 0, prompt(100), err), 0);
    CHECK_EQUAL(decode_at(context.ctx, 0, 0, prompt(100), err), 0);
    share(context.ctx, 0, 1);
    CHECK_EQUAL(decode_at(context.ctx, 1, 100, {42, 43}, err), 0);
    check_ends(context.ctx, 1, 0, 101);
    CHECK(remove(context.ctx, 1, 60)); // into what is shared
    check_ends(context.ctx, 1, 0, 59);
    check_ends(context.ctx, 0, 0, 99);
    CHECK(remove(context.ctx, 0));
    check_ends(context.ctx, 0, -1, -1);
    CHECK_EQUAL(used(context.ctx), 60);
    share(context.ctx, 1, 2, 10, 50);
    check_ends(context.ctx, 2, 10, 49);
    CHECK(remove(context.ctx, 1, 20, 30)); // a gap
    check_ends(context.ctx, 1, 0, 59);
    CHECK_EQUAL(positions(context.ctx, 1).size(), size_t{50});
    CHECK_EQUAL(positions(context.ctx, 2).size(), size_t{40});

    context_holder again(unified(256, 3));
    CHECK_EQUAL(decode_at(again.ctx, 0, 0, prompt(100), err), 0);
    share(again.ctx, 0, 2);
    CHECK(remove(again.ctx, 0));
    CHECK_EQUAL(decode_at(again.ctx, 2, 100, {42}, err), 0);
    CHECK_EQUAL(decode_at(alone.ctx, 0, 100, {42}, err), 0);
    CHECK_EQUAL(distance(logits(again.ctx), logits(alone.ctx)), 0.0);
}

TEST("cells that were shared are compacted, moved and copied") {
    message err;
    context_holder context(unified(256, 4));
    CHECK_EQUAL(decode_at(context.ctx, 3, 0, prompt(20), err), 0);
    CHECK_EQUAL(decode_at(context.ctx, 0, 0, prompt(80), err), 0);
    share(context.ctx, 0, 1);
    share(context.ctx, 0, 2);
    CHECK(remove(context.ctx, 3));
    gatun_compaction out;
    CHECK_OK(gatun_cells_compact(context.ctx, &out, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(out.moved, int64_t{80});
    for (llama_seq_id seq = 0; seq < 3; seq++) {
        check_ends(context.ctx, seq, 0, 79);
    }
    CHECK(remove(context.ctx, 0));
    int32_t copied = 0;
    CHECK_OK(gatun_cells_copy_private(context.ctx, 1, 40, -1, &copied, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(copied, 40);
    CHECK_OK(gatun_memory_discard(context.ctx, 1, 30, 40, err.text, sizeof(err.text)), err);
    check_ends(context.ctx, 1, 0, 69);
    check_ends(context.ctx, 2, 0, 79);
    CHECK(remove(context.ctx, 1));
    CHECK_OK(gatun_memory_shift(context.ctx, 2, 0, -1, 5, err.text, sizeof(err.text)), err);
    check_ends(context.ctx, 2, 5, 84); // nobody else has them any more
    size_t size = 0;
    CHECK_OK(gatun_state_seq_size(context.ctx, 2, 0, &size, err.text, sizeof(err.text)), err);
    std::vector<uint8_t> state(size);
    CHECK_OK(gatun_state_seq_get(context.ctx, state.data(), size, 2, 0, &size, err.text, sizeof(err.text)), err);
    share(context.ctx, 2, 0);
    CHECK_OK(gatun_state_seq_set(context.ctx, state.data(), size, 0, 0, &size, err.text, sizeof(err.text)), err);
    check_ends(context.ctx, 0, 5, 84);
    CHECK_EQUAL(used(context.ctx), 160);
}

TEST("sequences with pools of their own are shared as llama.cpp does it") {
    message err;
    context_holder context(settings(512, 2));
    CHECK_EQUAL(decode_at(context.ctx, 0, 0, prompt(50), err), 0);
    share(context.ctx, 0, 1);
    CHECK_EQUAL(decode_at(context.ctx, 1, 50, {42}, err), 0);
    check_ends(context.ctx, 1, 0, 50);
    CHECK(remove(context.ctx, 1, 10));
    check_ends(context.ctx, 1, 0, 9);
}

TEST("no such sequence, and one with itself, are refused") {
    message err;
    context_holder context(unified(256, 2));
    int32_t removed = 0;
    const auto refused = [](int32_t status) { return status == GATUN_INVALID_ARGUMENT; };
    CHECK(refused(gatun_memory_share(nullptr, 0, 1, -1, -1, err.text, sizeof(err.text))));
    CHECK(refused(gatun_memory_share(context.ctx, 0, 2, -1, -1, err.text, sizeof(err.text))));
    CHECK(refused(gatun_memory_share(context.ctx, -1, 1, -1, -1, err.text, sizeof(err.text))));
    CHECK(refused(gatun_memory_share(context.ctx, 1, 1, -1, -1, err.text, sizeof(err.text))));
    CHECK(refused(gatun_memory_remove(context.ctx, 2, -1, -1, &removed, err.text, sizeof(err.text))));
    CHECK(refused(gatun_memory_remove(context.ctx, -1, -1, -1, &removed, err.text, sizeof(err.text))));
    CHECK(refused(gatun_memory_remove(context.ctx, 0, -1, -1, nullptr, err.text, sizeof(err.text))));
}
