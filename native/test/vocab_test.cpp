#include "check.hpp"

#include <cstdint>
#include <fstream>
#include <sstream>

using gatun_test::message;
using gatun_test::tiny_model;

namespace {

const llama_vocab * vocab() {
    return llama_model_get_vocab(tiny_model());
}

std::vector<llama_token> tokenize(const llama_vocab * of, const std::string & text, bool add_special,
                                  bool parse_special) {
    message err;
    int32_t count = -1;
    const auto length = static_cast<int32_t>(text.size());
    CHECK_OK(gatun_tokenize(of, text.data(), length, nullptr, 0, add_special, parse_special, &count, err.text,
                            sizeof(err.text)),
             err);
    std::vector<llama_token> tokens(static_cast<size_t>(count));
    int32_t again = -1;
    CHECK_OK(gatun_tokenize(of, text.data(), length, tokens.data(), count, add_special, parse_special, &again, err.text,
                            sizeof(err.text)),
             err);
    CHECK_EQUAL(again, count);
    return tokens;
}

std::string detokenize(const std::vector<llama_token> & tokens, bool unparse_special) {
    message err;
    int32_t count = -1;
    const auto n = static_cast<int32_t>(tokens.size());
    CHECK_OK(gatun_detokenize(vocab(), tokens.data(), n, nullptr, 0, false, unparse_special, &count, err.text,
                              sizeof(err.text)),
             err);
    std::string text(static_cast<size_t>(count), '\0');
    CHECK_OK(gatun_detokenize(vocab(), tokens.data(), n, text.data(), count, false, unparse_special, &count, err.text,
                              sizeof(err.text)),
             err);
    return text;
}

} // namespace

TEST("the tiny model's text comes back as it was, with and without special tokens") {
    for (const std::string text :
         {"The pass key of Mira is 48213.", "", " two  spaces ", "\xE2\x82\xAC \xF0\x9F\x9A\xA2\n"}) {
        CHECK_EQUAL(detokenize(tokenize(vocab(), text, false, false), false), text);
    }
    const auto tokens = tokenize(vocab(), "<|user|>\nHello<|end|>\n", true, true);
    CHECK_EQUAL(tokens[0], 1); // <s>
    CHECK_EQUAL(detokenize(tokens, true), "<s><|user|>\nHello<|end|>\n");
    CHECK(tokenize(vocab(), "<|user|>", false, false).size() > tokenize(vocab(), "<|user|>", false, true).size());
}

TEST("digits are tokens of their own") {
    CHECK_EQUAL(tokenize(vocab(), "48213", false, false).size(), 5u);
}

TEST("pieces joined are the text") {
    const std::string text = "Where does Lena live?";
    std::string joined;
    for (const llama_token token : tokenize(vocab(), text, false, false)) {
        message err;
        char piece[64];
        int32_t count = -1;
        CHECK_OK(gatun_token_to_piece(vocab(), token, piece, sizeof(piece), false, &count, err.text, sizeof(err.text)),
                 err);
        joined.append(piece, static_cast<size_t>(count));
    }
    CHECK_EQUAL(joined, text);
}

TEST("a buffer that is too small gets the count that is needed") {
    message err;
    char piece[1];
    int32_t count = -1;
    CHECK_OK(gatun_token_to_piece(vocab(), 1, piece, 0, true, &count, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(count, 3); // <s>
    llama_token one[1] = {-7};
    CHECK_OK(gatun_tokenize(vocab(), "48213", 5, one, 1, false, false, &count, err.text, sizeof(err.text)), err);
    CHECK_EQUAL(count, 5);
}

TEST("tokens outside the vocabulary, negative lengths and NULL are refused, and the process lives") {
    message err;
    char text[16];
    int32_t count = -1;
    const int32_t size = llama_vocab_n_tokens(vocab());
    for (const llama_token token : {-1, size, INT32_MAX, INT32_MIN}) {
        CHECK_EQUAL(gatun_token_to_piece(vocab(), token, text, sizeof(text), true, &count, err.text, sizeof(err.text)),
                    GATUN_INVALID_ARGUMENT);
        CHECK_CONTAINS(err, "outside 0.." + std::to_string(size - 1));
        CHECK_EQUAL(
            gatun_detokenize(vocab(), &token, 1, text, sizeof(text), false, true, &count, err.text, sizeof(err.text)),
            GATUN_INVALID_ARGUMENT);
    }
    CHECK_EQUAL(gatun_tokenize(vocab(), "x", -1, nullptr, 0, false, false, &count, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_tokenize(nullptr, "x", 1, nullptr, 0, false, false, &count, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(gatun_tokenize(vocab(), "x", 1, nullptr, 3, false, false, &count, err.text, sizeof(err.text)),
                GATUN_INVALID_ARGUMENT);
}

TEST("a real byte-level BPE vocabulary gives the tree's own expected ids") {
    const std::string base = std::string(GATUN_TEST_LLAMA) + "/models/ggml-vocab-gpt-2.gguf";
    llama_model_params params;
    gatun_model_default_params(&params);
    params.vocab_only = true;
    const char * path = base.c_str();
    llama_model * model = nullptr;
    message err;
    gatun_test::load_cpu();
    CHECK_OK(gatun_model_load(&path, 1, &params, &model, err.text, sizeof(err.text)), err);
    std::ifstream in(base + ".inp", std::ios::binary);
    std::stringstream all;
    all << in.rdbuf();
    std::ifstream expected(base + ".out");
    const std::string separator = "\n__ggml_vocab_test__\n";
    const std::string texts = all.str();
    std::string line;
    int compared = 0;
    for (size_t from = 0; from < texts.size() && std::getline(expected, line);) {
        size_t end = texts.find(separator, from);
        end = end == std::string::npos ? texts.size() : end;
        std::istringstream ids(line);
        std::vector<llama_token> wanted;
        for (llama_token id = 0; ids >> id;) {
            wanted.push_back(id);
        }
        CHECK(tokenize(llama_model_get_vocab(model), texts.substr(from, end - from), false, false) == wanted);
        from = end + separator.size();
        compared++;
    }
    CHECK(compared > 40);
    llama_model_free(model);
}
