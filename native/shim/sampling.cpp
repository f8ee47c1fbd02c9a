// Samplers, and the two things about logits that Java should not do in a loop of its own.
#include "shim.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <regex>

using gatun::fail;
using gatun::guarded;
using gatun::require;

namespace {

void require_grammar(const llama_vocab * vocab, const char * grammar, const char * root, const void * out) {
    require(vocab != nullptr && grammar != nullptr && root != nullptr && out != nullptr, "no argument may be NULL");
    require(grammar[0] != '\0', "the grammar is empty");
    require(root[0] != '\0', "the grammar's start symbol is empty");
}

// A buffer that this thread keeps from one token to the next. It is taken away while it is in use: a custom sampler may
// sample from another context in the middle.
struct candidates_loan {
    candidates_loan() {
        candidates.swap(kept());
    }
    ~candidates_loan() {
        candidates.swap(kept());
    }
    candidates_loan(const candidates_loan &) = delete;
    candidates_loan & operator=(const candidates_loan &) = delete;

    static std::vector<llama_token_data> & kept() {
        thread_local std::vector<llama_token_data> buffer;
        return buffer;
    }

    std::vector<llama_token_data> candidates;
};

// The candidates of one output. false when the context has no such output.
bool collect(llama_context * ctx, int32_t idx, std::vector<llama_token_data> & candidates) {
    const float * probs = llama_get_sampled_probs_ith(ctx, idx);
    const float * logits = llama_get_sampled_logits_ith(ctx, idx);
    if (logits != nullptr) {
        // A back-end sampler has narrowed the candidates already.
        const llama_token * ids = llama_get_sampled_candidates_ith(ctx, idx);
        const uint32_t count = probs != nullptr ? llama_get_sampled_probs_count_ith(ctx, idx)
                                                : llama_get_sampled_logits_count_ith(ctx, idx);
        candidates.resize(count);
        for (uint32_t i = 0; i < count; i++) {
            candidates[i] = {ids[i], logits[i], probs != nullptr ? probs[i] : 0.0f};
        }
        return count > 0;
    }
    logits = llama_get_logits_ith(ctx, idx);
    if (logits == nullptr) {
        return false;
    }
    const int32_t count = llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(ctx)));
    candidates.resize(static_cast<size_t>(count));
    llama_token_data * to = candidates.data();
    for (llama_token token = 0; token < count; token++) {
        to[token] = {token, logits[token], 0.0f};
    }
    return true;
}

} // namespace

int32_t gatun_sampler_init_grammar(const struct llama_vocab * vocab, const char * grammar, const char * root,
                                   struct llama_sampler ** out, char * err, size_t err_cap) {
    return guarded("llama_sampler_init_grammar", err, err_cap, [&]() -> int32_t {
        require_grammar(vocab, grammar, root, out);
        *out = llama_sampler_init_grammar(vocab, grammar, root);
        if (*out == nullptr) {
            fail("the grammar was refused");
        }
        return GATUN_OK;
    });
}

int32_t gatun_sampler_init_grammar_lazy(const struct llama_vocab * vocab, const char * grammar, const char * root,
                                        const char ** patterns, size_t n_patterns, const llama_token * tokens,
                                        size_t n_tokens, struct llama_sampler ** out, char * err, size_t err_cap) {
    return guarded("llama_sampler_init_grammar_lazy_patterns", err, err_cap, [&]() -> int32_t {
        require_grammar(vocab, grammar, root, out);
        require(n_patterns == 0 || patterns != nullptr, "patterns may be NULL only when there are none");
        require(n_tokens == 0 || tokens != nullptr, "tokens may be NULL only when there are none");
        for (size_t i = 0; i < n_patterns; i++) {
            const std::regex parsed(patterns[i]); // llama.cpp would leak the half-made sampler when this throws
        }
        *out = llama_sampler_init_grammar_lazy_patterns(vocab, grammar, root, patterns, n_patterns, tokens, n_tokens);
        if (*out == nullptr) {
            fail("the grammar was refused");
        }
        return GATUN_OK;
    });
}

int32_t gatun_sampler_init_dry(const struct llama_vocab * vocab, float multiplier, float base, int32_t allowed_length,
                               int32_t penalty_last_n, const char ** breakers, size_t n_breakers,
                               struct llama_sampler ** out, char * err, size_t err_cap) {
    return guarded("llama_sampler_init_dry", err, err_cap, [&]() -> int32_t {
        require(vocab != nullptr && out != nullptr, "vocab and out may not be NULL");
        require(n_breakers == 0 || breakers != nullptr, "breakers may be NULL only when there are none");
        *out = llama_sampler_init_dry(vocab, multiplier, base, allowed_length, penalty_last_n, breakers, n_breakers);
        if (*out == nullptr) {
            fail("the DRY sampler was refused");
        }
        return GATUN_OK;
    });
}

int32_t gatun_sampler_sample(struct llama_sampler * chain, struct llama_context * ctx, int32_t idx, llama_token * out,
                             char * err, size_t err_cap) {
    return guarded("llama_sampler_sample", err, err_cap, [&]() -> int32_t {
        require(chain != nullptr && ctx != nullptr && out != nullptr, "chain, ctx and out may not be NULL");
        // llama_sampler_sample asserts what is checked here, which would end the process.
        const llama_token ready = llama_get_sampled_token_ith(ctx, idx);
        if (ready != LLAMA_TOKEN_NULL) {
            llama_sampler_accept(chain, ready);
            *out = ready;
            return GATUN_OK;
        }
        candidates_loan loan;
        std::vector<llama_token_data> & candidates = loan.candidates;
        if (!collect(ctx, idx, candidates)) {
            fail("the context has no output " + std::to_string(idx));
        }
        llama_token_data_array array = {candidates.data(), candidates.size(), -1, false};
        llama_sampler_apply(chain, &array);
        if (array.selected < 0 || static_cast<size_t>(array.selected) >= array.size) {
            fail("the sampler chain selected no token; end it with greedy, dist or mirostat");
        }
        const llama_token token = array.data[array.selected].id;
        llama_sampler_accept(chain, token);
        *out = token;
        return GATUN_OK;
    });
}

int32_t gatun_sampler_apply(struct llama_sampler * chain, llama_token_data_array * candidates, char * err,
                            size_t err_cap) {
    return guarded("llama_sampler_apply", err, err_cap, [&]() -> int32_t {
        require(chain != nullptr && candidates != nullptr, "chain and candidates may not be NULL");
        require(candidates->size > 0 && candidates->data != nullptr, "there must be at least one candidate");
        llama_sampler_apply(chain, candidates);
        return GATUN_OK;
    });
}

int32_t gatun_sampler_accept(struct llama_sampler * chain, llama_token token, char * err, size_t err_cap) {
    return guarded("llama_sampler_accept", err, err_cap, [&]() -> int32_t {
        require(chain != nullptr, "chain may not be NULL");
        llama_sampler_accept(chain, token);
        return GATUN_OK;
    });
}

struct llama_sampler * gatun_sampler_chain_new(bool no_perf) {
    llama_sampler_chain_params params = llama_sampler_chain_default_params();
    params.no_perf = no_perf;
    return llama_sampler_chain_init(params);
}

double gatun_logsumexp(const float * logits, int32_t n) {
    float largest = -std::numeric_limits<float>::infinity();
    for (int32_t i = 0; i < n; i++) {
        largest = std::max(largest, logits[i]);
    }
    if (!std::isfinite(largest)) {
        return largest;
    }
    // What lies 64 below the largest adds less than 2e-28 of it: even 2^31 of them vanish in a double.
    constexpr double negligible = -64.0;
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++) {
        const double below = static_cast<double>(logits[i]) - static_cast<double>(largest);
        if (below > negligible) {
            sum += std::exp(below);
        }
    }
    return static_cast<double>(largest) + std::log(sum);
}

void gatun_top_k(const float * logits, int32_t n, int32_t k, llama_token * out) {
    k = std::min(k, n);
    if (k <= 0) {
        return;
    }
    // NaN ranks last, so that the order stays a strict one.
    const auto value = [logits](llama_token token) {
        return std::isnan(logits[token]) ? -std::numeric_limits<float>::infinity() : logits[token];
    };
    const auto before = [&value](llama_token a, llama_token b) {
        const float x = value(a);
        const float y = value(b);
        return x != y ? x > y : a < b;
    };
    // `out` is a heap whose root is the worst token kept so far; most tokens cost one comparison.
    for (llama_token token = 0; token < k; token++) {
        out[token] = token;
    }
    std::make_heap(out, out + k, before);
    for (llama_token token = k; token < n; token++) {
        if (before(token, out[0])) {
            std::pop_heap(out, out + k, before);
            out[k - 1] = token;
            std::push_heap(out, out + k, before);
        }
    }
    std::sort_heap(out, out + k, before);
}
