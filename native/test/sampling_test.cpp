#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

using gatun_test::context_holder;
using gatun_test::message;
using gatun_test::tiny_model;

namespace {

const llama_vocab * vocab() {
    return llama_model_get_vocab(tiny_model());
}

int32_t grammar(const char * text, const char * root, message & err) {
    gatun_log_install(GGML_LOG_LEVEL_ERROR);
    llama_sampler * sampler = nullptr;
    const int32_t status = gatun_sampler_init_grammar(vocab(), text, root, &sampler, err.text, sizeof(err.text));
    CHECK((status == GATUN_OK) == (sampler != nullptr));
    if (sampler != nullptr) {
        llama_sampler_free(sampler);
    }
    return status;
}

} // namespace

TEST("a good grammar is taken") {
    message err;
    CHECK_OK(grammar("root ::= \"yes\" | \"no\"", "root", err), err);
}

TEST("a bad grammar is refused with the parser's reason") {
    message err;
    CHECK_EQUAL(grammar("root ::= (\"yes\"", "root", err), GATUN_FAILED);
    CHECK_CONTAINS(err, "expecting ')'");
    CHECK_EQUAL(grammar("root ::= missing", "root", err), GATUN_FAILED);
    CHECK_CONTAINS(err, "missing");
    CHECK_EQUAL(grammar("root ::= \"yes\"", "start", err), GATUN_FAILED);
    CHECK_CONTAINS(err, "start");
    CHECK_EQUAL(grammar("root ::= root \"x\"", "root", err), GATUN_FAILED);
    CHECK_CONTAINS(err, "left recursion");
    CHECK_EQUAL(grammar("", "root", err), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(grammar(nullptr, "root", err), GATUN_INVALID_ARGUMENT);
}

TEST("a lazy grammar with a bad trigger pattern is an error, not an end") {
    message err;
    const char * patterns[] = {"(unclosed"};
    llama_sampler * sampler = nullptr;
    CHECK_EQUAL(gatun_sampler_init_grammar_lazy(vocab(), "root ::= \"x\"", "root", patterns, 1, nullptr, 0, &sampler,
                                                err.text, sizeof(err.text)),
                GATUN_EXCEPTION);
    CHECK(err.text[0] != '\0');
    CHECK_EQUAL(gatun_sampler_init_grammar_lazy(vocab(), "root ::= \"x\"", "root", nullptr, 1, nullptr, 0, &sampler,
                                                err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
}

TEST("DRY with breakers is made") {
    message err;
    const char * breakers[] = {"\n", ":", "\""};
    llama_sampler * sampler = nullptr;
    CHECK_OK(gatun_sampler_init_dry(vocab(), 0.8f, 1.75f, 2, 64, breakers, 3, &sampler, err.text, sizeof(err.text)),
             err);
    llama_sampler_free(sampler);
}

TEST("sampling wants an output that exists and a chain that selects") {
    context_holder holder(64);
    message err;
    CHECK_EQUAL(holder.decode({1, 40, 41}, err), 0);
    llama_sampler * greedy = gatun_sampler_chain_new(true);
    llama_sampler_chain_add(greedy, llama_sampler_init_greedy());
    llama_token token = -1;
    for (const int32_t idx : {0, 1, 3, 1000, -2, INT32_MIN}) { // only the last token of the batch has an output
        CHECK_EQUAL(gatun_sampler_sample(greedy, holder.ctx, idx, &token, err.text, sizeof(err.text)), GATUN_FAILED);
        CHECK_CONTAINS(err, "no output " + std::to_string(idx));
    }
    CHECK_OK(gatun_sampler_sample(greedy, holder.ctx, -1, &token, err.text, sizeof(err.text)), err);
    const float * logits = llama_get_logits_ith(holder.ctx, -1);
    CHECK_EQUAL(token, static_cast<int32_t>(std::max_element(logits, logits + llama_vocab_n_tokens(vocab())) - logits));
    llama_token same = -1;
    CHECK_OK(gatun_sampler_sample(greedy, holder.ctx, 2, &same, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(same, token);
    llama_sampler_free(greedy);

    llama_sampler * undecided = gatun_sampler_chain_new(true);
    llama_sampler_chain_add(undecided, llama_sampler_init_top_k(5));
    CHECK_EQUAL(gatun_sampler_sample(undecided, holder.ctx, -1, &token, err.text, sizeof(err.text)), GATUN_FAILED);
    CHECK_CONTAINS(err, "selected no token");
    llama_sampler_free(undecided);
}

TEST("a token that the grammar forbids is an exception with a message") {
    message err;
    llama_sampler * sampler = nullptr;
    CHECK_OK(gatun_sampler_init_grammar(vocab(), "root ::= \"7\"", "root", &sampler, err.text, sizeof(err.text)), err);
    llama_token token = -1;
    int32_t count = 0;
    CHECK_OK(gatun_tokenize(vocab(), "8", 1, &token, 1, false, false, &count, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(gatun_sampler_accept(sampler, token, err.text, sizeof(err.text)), GATUN_EXCEPTION);
    CHECK(err.text[0] != '\0');
    llama_sampler_free(sampler);
}

TEST("candidates of the caller are sampled in place; none at all is refused") {
    message err;
    std::vector<llama_token_data> data = {{3, 0.5f, 0.0f}, {9, 2.0f, 0.0f}, {4, 1.0f, 0.0f}};
    llama_token_data_array array = {data.data(), data.size(), -1, false};
    llama_sampler * greedy = gatun_sampler_chain_new(true);
    llama_sampler_chain_add(greedy, llama_sampler_init_greedy());
    CHECK_OK(gatun_sampler_apply(greedy, &array, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(array.data[array.selected].id, 9);
    array.size = 0;
    CHECK_EQUAL(gatun_sampler_apply(greedy, &array, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
    llama_sampler_free(greedy);
}

TEST("logsumexp agrees with the plain sum in long double") {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0.0f, 8.0f);
    for (const int32_t n : {1, 2, 31, 32000}) {
        std::vector<float> logits(static_cast<size_t>(n));
        long double sum = 0;
        for (float & logit : logits) {
            logit = normal(random);
            sum += std::exp(static_cast<long double>(logit));
        }
        CHECK(std::fabs(gatun_logsumexp(logits.data(), n) - static_cast<double>(std::log(sum))) < 1e-12);
    }
    const float inf = std::numeric_limits<float>::infinity();
    const std::vector<float> masked = {-inf, 2.0f, -inf};
    CHECK_EQUAL(gatun_logsumexp(masked.data(), 3), 2.0);
    CHECK_EQUAL(gatun_logsumexp(masked.data(), 1), static_cast<double>(-inf));
    CHECK_EQUAL(gatun_logsumexp(masked.data(), 0), static_cast<double>(-inf));
}

TEST("top k agrees with a full sort, ties by the lower id, NaN last") {
    std::mt19937 random(11);
    std::uniform_int_distribution<int> few(0, 50); // many ties
    for (const int32_t n : {1, 5, 1000}) {
        std::vector<float> logits(static_cast<size_t>(n));
        for (float & logit : logits) {
            logit = static_cast<float>(few(random));
        }
        std::vector<llama_token> sorted(static_cast<size_t>(n));
        for (int32_t i = 0; i < n; i++) {
            sorted[static_cast<size_t>(i)] = i;
        }
        std::stable_sort(sorted.begin(), sorted.end(), [&](llama_token a, llama_token b) {
            return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
        });
        for (const int32_t k : {1, 3, n}) {
            const int32_t kept = std::min(k, n);
            std::vector<llama_token> top(static_cast<size_t>(kept));
            gatun_top_k(logits.data(), n, kept, top.data());
            CHECK(std::equal(top.begin(), top.end(), sorted.begin()));
        }
    }
    const std::vector<float> odd = {NAN, 1.0f, NAN, 3.0f};
    std::vector<llama_token> top(4);
    gatun_top_k(odd.data(), 4, 4, top.data());
    CHECK((top == std::vector<llama_token>{3, 1, 0, 2}));
}
