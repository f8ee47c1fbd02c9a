// The few helpers that llama.cpp's chat and schema code takes from the rest of llama-common. Written here so that the
// shim needs neither that library's other 20,000 lines nor its logger, which starts a thread and writes to stderr.
#include "common.h"
#include "ggml.h"
#include "log.h"

#include <cstdarg>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" {
GGML_API void ggml_log_internal(enum ggml_log_level level, const char * format, ...);
}

// ---- strings --------------------------------------------------------------------------------------------------------

std::string string_join(const std::vector<std::string> & values, const std::string & separator) {
    std::string joined;
    const char * before = "";
    for (const auto & value : values) {
        joined.append(before).append(value);
        before = separator.c_str();
    }
    return joined;
}

std::vector<std::string> string_split(const std::string & str, const std::string & delimiter) {
    std::vector<std::string> parts;
    size_t from = 0;
    for (size_t at; (at = str.find(delimiter, from)) != std::string::npos; from = at + delimiter.size()) {
        parts.emplace_back(str, from, at - from);
        if (delimiter.empty()) {
            throw std::invalid_argument("the delimiter is empty");
        }
    }
    parts.emplace_back(str, from);
    return parts;
}

std::string string_repeat(const std::string & str, size_t n) {
    std::string repeated;
    repeated.reserve(str.size() * n);
    while (n-- > 0) {
        repeated += str;
    }
    return repeated;
}

void string_replace_all(std::string & s, const std::string & search, const std::string & replace) {
    if (search.empty()) {
        return;
    }
    for (size_t at = s.find(search); at != std::string::npos; at = s.find(search, at + replace.size())) {
        s.replace(at, search.size(), replace);
    }
}

// ---- tokens ---------------------------------------------------------------------------------------------------------

std::vector<llama_token> common_tokenize(const struct llama_vocab * vocab, const std::string & text, bool add_special,
                                         bool parse_special) {
    std::vector<llama_token> tokens(text.size() + 2);
    for (;;) {
        const int32_t count = llama_tokenize(vocab, text.data(), static_cast<int32_t>(text.size()), tokens.data(),
                                             static_cast<int32_t>(tokens.size()), add_special, parse_special);
        if (count == std::numeric_limits<int32_t>::min()) {
            throw std::length_error("the text is too long to tokenize");
        }
        if (count >= 0) {
            tokens.resize(static_cast<size_t>(count));
            return tokens;
        }
        tokens.resize(static_cast<size_t>(-count));
    }
}

std::string common_token_to_piece(const struct llama_vocab * vocab, llama_token token, bool special) {
    std::string piece(32, '\0');
    for (;;) {
        const int32_t count =
            llama_token_to_piece(vocab, token, piece.data(), static_cast<int32_t>(piece.size()), 0, special);
        if (count >= 0) {
            piece.resize(static_cast<size_t>(count));
            return piece;
        }
        piece.resize(static_cast<size_t>(-count));
    }
}

// ---- log: straight to llama.cpp's logger, on the calling thread -----------------------------------------------------

int common_log_get_verbosity_thold() {
    return LOG_LEVEL_WARN; // what is below is not even formatted
}

struct common_log * common_log_main() {
    return nullptr;
}

void common_log_add(struct common_log *, enum ggml_log_level level, const char * fmt, ...) {
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    const int length = std::vsnprintf(nullptr, 0, fmt, args);
    va_end(args);
    if (length >= 0) {
        std::string text(static_cast<size_t>(length) + 1, '\0');
        std::vsnprintf(text.data(), text.size(), fmt, again);
        ggml_log_internal(level, "%s", text.c_str());
    }
    va_end(again);
}
