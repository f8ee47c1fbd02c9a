// Text to tokens and back.
#include "shim.hpp"

#include <climits>

using gatun::fail;
using gatun::guarded;
using gatun::require;

namespace {

void require_vocab(const llama_vocab * vocab) {
    require(vocab != nullptr, "vocab may not be NULL");
    // llama.cpp asserts this, which would end the process.
    if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) {
        fail("this model has no tokenizer");
    }
}

void require_token(const llama_vocab * vocab, llama_token token) {
    const int32_t count = llama_vocab_n_tokens(vocab);
    if (token < 0 || token >= count) {
        gatun::refuse("token " + std::to_string(token) + " is outside 0.." + std::to_string(count - 1));
    }
}

// llama.cpp's protocol: the count written, or minus the count needed.
int32_t needed(int32_t result) {
    if (result == INT32_MIN) {
        fail("the result is longer than 2^31 - 1");
    }
    return result < 0 ? -result : result;
}

} // namespace

int32_t gatun_tokenize(const struct llama_vocab * vocab, const char * text, int32_t text_bytes, llama_token * out,
                       int32_t cap, bool add_special, bool parse_special, int32_t * count, char * err, size_t err_cap) {
    return guarded("llama_tokenize", err, err_cap, [&]() -> int32_t {
        require_vocab(vocab);
        require(text != nullptr && text_bytes >= 0, "text may not be NULL, its length may not be negative");
        require(count != nullptr && cap >= 0 && (out != nullptr || cap == 0), "out is NULL or its capacity is wrong");
        *count = needed(llama_tokenize(vocab, text, text_bytes, out, cap, add_special, parse_special));
        return GATUN_OK;
    });
}

int32_t gatun_token_to_piece(const struct llama_vocab * vocab, llama_token token, char * out, int32_t cap, bool special,
                             int32_t * count, char * err, size_t err_cap) {
    return guarded("llama_token_to_piece", err, err_cap, [&]() -> int32_t {
        require_vocab(vocab);
        require_token(vocab, token);
        require(count != nullptr && cap >= 0 && (out != nullptr || cap == 0), "out is NULL or its capacity is wrong");
        *count = needed(llama_token_to_piece(vocab, token, out, cap, 0, special));
        return GATUN_OK;
    });
}

int32_t gatun_detokenize(const struct llama_vocab * vocab, const llama_token * tokens, int32_t n_tokens, char * out,
                         int32_t cap, bool remove_special, bool unparse_special, int32_t * count, char * err,
                         size_t err_cap) {
    return guarded("llama_detokenize", err, err_cap, [&]() -> int32_t {
        require_vocab(vocab);
        require(n_tokens >= 0 && (tokens != nullptr || n_tokens == 0), "tokens is NULL or its length is wrong");
        require(count != nullptr && cap >= 0 && (out != nullptr || cap == 0), "out is NULL or its capacity is wrong");
        for (int32_t i = 0; i < n_tokens; i++) {
            require_token(vocab, tokens[i]);
        }
        *count = needed(llama_detokenize(vocab, tokens, n_tokens, out, cap, remove_special, unparse_special));
        return GATUN_OK;
    });
}
