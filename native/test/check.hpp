// A test program is a list of named cases; `check` ends a case at the first thing that does not hold.
#pragma once

#include "gatun_shim.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace gatun_test {

struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline std::vector<std::pair<const char *, std::function<void()>>> & cases() {
    static std::vector<std::pair<const char *, std::function<void()>>> all;
    return all;
}

struct add_case {
    add_case(const char * name, std::function<void()> body) {
        cases().emplace_back(name, std::move(body));
    }
};

// Runs every case, or those whose names hold the first argument.
inline int run(int argc, char ** argv) {
    int failed = 0;
    for (const auto & [name, body] : cases()) {
        if (argc > 1 && std::strstr(name, argv[1]) == nullptr) {
            continue;
        }
        try {
            body();
            std::printf("ok      %s\n", name);
        } catch (const std::exception & thrown) {
            std::printf("FAILED  %s: %s\n", name, thrown.what());
            failed++;
        }
        std::fflush(stdout);
    }
    return failed == 0 ? 0 : 1;
}

inline void check(bool condition, const std::string & what, const char * file, int line) {
    if (!condition) {
        throw failure(std::string(file) + ":" + std::to_string(line) + ": " + what);
    }
}

template <class A, class B>
void check_equal(const A & actual, const B & expected, const char * what, const char * file, int line) {
    if (!(actual == expected)) {
        const auto show = [](const auto & value) {
            if constexpr (std::is_convertible_v<decltype(value), std::string>) {
                return std::string(value);
            } else {
                return std::to_string(value);
            }
        };
        throw failure(std::string(file) + ":" + std::to_string(line) + ": " + what + " is " + show(actual) +
                      ", expected " + show(expected));
    }
}

inline bool contains(const std::string & text, const std::string & part) {
    return text.find(part) != std::string::npos;
}

// The message buffer of a call, and the check that the call ended as expected.
struct message {
    char text[1024] = "untouched";

    operator std::string() const {
        return text;
    }
};

// Loads the back ends of the folder under test once: the CPU module with the best score.
inline void load_cpu() {
    static const bool loaded = [] {
        const std::string folder = GATUN_TEST_NATIVES;
        const std::string index_path = folder + "/core.index";
        std::FILE * index = std::fopen(index_path.c_str(), "r");
        if (index == nullptr) {
            throw failure("no " + index_path);
        }
        char line[1024];
        std::string best;
        int32_t best_score = 0;
        while (std::fgets(line, sizeof(line), index) != nullptr) {
            std::string name = line;
            name.erase(name.find_last_not_of('\n') + 1);
            name.erase(0, name.rfind(' ') + 1);
            if (!contains(name, "ggml-cpu-")) {
                continue;
            }
            const std::string path = folder + "/" + name;
            int32_t score = 0;
            message err;
            if (gatun_backend_score(path.c_str(), &score, err.text, sizeof(err.text)) == GATUN_OK &&
                score > best_score) {
                best_score = score;
                best = path;
            }
        }
        std::fclose(index);
        ggml_backend_reg_t reg = nullptr;
        message err;
        if (gatun_backend_load(best.c_str(), &reg, err.text, sizeof(err.text)) != GATUN_OK) {
            throw failure(err.text);
        }
        return true;
    }();
    (void)loaded;
}

// The tiny model, loaded once and kept; the process ends with it.
inline llama_model * tiny_model() {
    static llama_model * const model = [] {
        load_cpu();
        gatun_log_install(GGML_LOG_LEVEL_WARN);
        llama_model_params params;
        gatun_model_default_params(&params);
        const char * path = GATUN_TEST_MODEL;
        llama_model * loaded = nullptr;
        message err;
        if (gatun_model_load(&path, 1, &params, &loaded, err.text, sizeof(err.text)) != GATUN_OK) {
            throw failure(err.text);
        }
        return loaded;
    }();
    return model;
}

struct context_holder {
    llama_context * ctx = nullptr;

    explicit context_holder(uint32_t n_ctx, uint32_t n_seq_max = 1, gatun_rope * rope = nullptr, int32_t n_threads = 2) {
        llama_context_params params;
        gatun_context_default_params(&params);
        params.n_ctx = n_ctx;
        params.n_batch = n_ctx;
        params.n_seq_max = n_seq_max;
        params.n_threads = n_threads;
        params.n_threads_batch = n_threads;
        make(params, rope);
    }

    explicit context_holder(const llama_context_params & params, gatun_rope * rope = nullptr) {
        make(params, rope);
    }

    ~context_holder() {
        llama_free(ctx);
    }

    context_holder(const context_holder &) = delete;
    context_holder & operator=(const context_holder &) = delete;

    int32_t decode(std::vector<llama_token> tokens, message & err) {
        const llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()));
        return gatun_decode(ctx, &batch, err.text, sizeof(err.text));
    }

  private:
    void make(const llama_context_params & params, gatun_rope * rope) {
        message err;
        if (gatun_context_new(tiny_model(), &params, rope, &ctx, err.text, sizeof(err.text)) != GATUN_OK) {
            throw failure(err.text);
        }
    }
};

} // namespace gatun_test

#define GATUN_JOIN2(a, b) a##b
#define GATUN_JOIN(a, b) GATUN_JOIN2(a, b)
// A case: TEST("what it holds") { ... }
#define TEST(name) GATUN_TEST_CASE(name, GATUN_JOIN(test_, __LINE__))
#define GATUN_TEST_CASE(name, id)                                                                                      \
    static void id();                                                                                                  \
    static const gatun_test::add_case GATUN_JOIN(id, _added)(name, id);                                                \
    static void id()
#define CHECK(condition) gatun_test::check((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(actual, expected) gatun_test::check_equal((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_CONTAINS(text, part)                                                                                     \
    gatun_test::check(gatun_test::contains((text), (part)), "'" + std::string(text) + "' lacks '" + (part) + "'",      \
                      __FILE__, __LINE__)
// The call ended well, or its message tells why not.
#define CHECK_OK(status, err)                                                                                          \
    gatun_test::check((status) == GATUN_OK, std::string(#status) + ": " + (err).text, __FILE__, __LINE__)
