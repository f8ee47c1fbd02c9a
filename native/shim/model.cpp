// Back ends, model files, adapters, quantization.
#include "shim.hpp"

#include <cstdlib>
#include <mutex>

#if defined(_WIN32)
#    define WIN32_LEAN_AND_MEAN
#    include <windows.h>
#else
#    include <dlfcn.h>
#endif

using gatun::fail;
using gatun::guarded;
using gatun::require;

int32_t gatun_shim_abi(void) {
    return GATUN_SHIM_ABI;
}

const char * gatun_llama_tree(void) {
    return GATUN_LLAMA_TREE;
}

void gatun_free(void * ptr) {
    std::free(ptr);
}

namespace {

// A library that is opened only to be asked something, and closed again.
class probe {
  public:
    explicit probe(const char * path) {
#if defined(_WIN32)
        const int length = MultiByteToWideChar(CP_UTF8, 0, path, -1, nullptr, 0);
        std::wstring wide(static_cast<size_t>(length > 0 ? length : 1), L'\0');
        MultiByteToWideChar(CP_UTF8, 0, path, -1, wide.data(), length);
        handle = LoadLibraryW(wide.c_str());
        if (handle == nullptr) {
            fail(std::string(path) + " does not load: Windows error " + std::to_string(GetLastError()));
        }
#else
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) {
            const char * reason = dlerror();
            fail(std::string(path) + " does not load: " + (reason != nullptr ? reason : "unknown reason"));
        }
#endif
    }

    ~probe() {
#if defined(_WIN32)
        FreeLibrary(handle);
#else
        dlclose(handle);
#endif
    }

    probe(const probe &) = delete;
    probe & operator=(const probe &) = delete;

    void * find(const char * symbol) const {
#if defined(_WIN32)
        return reinterpret_cast<void *>(GetProcAddress(handle, symbol));
#else
        return dlsym(handle, symbol);
#endif
    }

  private:
#if defined(_WIN32)
    HMODULE handle;
#else
    void * handle;
#endif
};

// Remembers whether the caller's progress callback asked to stop.
struct progress {
    llama_progress_callback callback;
    void * user_data;
    bool cancelled;
};

bool on_progress(float fraction, void * data) {
    auto * state = static_cast<progress *>(data);
    if (state->callback != nullptr && !state->callback(fraction, state->user_data)) {
        state->cancelled = true;
        return false;
    }
    return true;
}

} // namespace

int32_t gatun_backend_load(const char * path, ggml_backend_reg_t * out, char * err, size_t err_cap) {
    return guarded("ggml_backend_load", err, err_cap, [&]() -> int32_t {
        require(path != nullptr && out != nullptr, "path and out may not be NULL");
        static std::once_flag once;
        std::call_once(once, [] {
#ifdef _WIN32
            _putenv_s("GGML_NO_BACKTRACE", "1");
#else
            setenv("GGML_NO_BACKTRACE", "1", 0);
#endif
        });
        *out = nullptr;
        *out = ggml_backend_load(path);
        if (*out == nullptr) {
            const probe loads(path); // fails with the dynamic linker's reason, if that is what went wrong
            fail(std::string(path) + " holds no back end that this machine can run");
        }
        // Not before: without a back end it looks for some beside the java program and in the current folder.
        static std::once_flag initialised;
        std::call_once(initialised, [] { llama_backend_init(); });
        return GATUN_OK;
    });
}

int32_t gatun_backend_score(const char * path, int32_t * out, char * err, size_t err_cap) {
    return guarded("ggml_backend_score", err, err_cap, [&]() -> int32_t {
        require(path != nullptr && out != nullptr, "path and out may not be NULL");
        *out = 0;
        const probe module(path);
        const auto score = reinterpret_cast<int (*)(void)>(module.find("ggml_backend_score"));
        if (score == nullptr) {
            fail(std::string(path) + " has no score function");
        }
        *out = score();
        return GATUN_OK;
    });
}

void gatun_model_default_params(struct llama_model_params * out) {
    *out = llama_model_default_params();
}

void gatun_context_default_params(struct llama_context_params * out) {
    *out = llama_context_default_params();
}

int32_t gatun_model_load(const char * const * paths, size_t n_paths, const struct llama_model_params * params,
                         struct llama_model ** out, char * err, size_t err_cap) {
    return guarded("llama_model_load_from_file", err, err_cap, [&]() -> int32_t {
        require(paths != nullptr && params != nullptr && out != nullptr, "paths, params and out may not be NULL");
        require(n_paths > 0, "a model has at least one file");
        *out = nullptr;
        std::vector<const char *> files(paths, paths + n_paths);
        for (const char * file : files) {
            require(file != nullptr && file[0] != '\0', "a model's path may not be empty");
        }
        // llama.cpp asserts this, which would end the process.
        if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
            fail("no CPU back end is loaded; load one before a model");
        }
        progress state{params->progress_callback, params->progress_callback_user_data, false};
        llama_model_params own = *params;
        own.progress_callback = on_progress; // also keeps llama.cpp from printing dots when the caller wants none
        own.progress_callback_user_data = &state;
        *out = n_paths == 1 ? llama_model_load_from_file(files[0], own)
                            : llama_model_load_from_splits(files.data(), files.size(), own);
        if (*out == nullptr && state.cancelled) {
            throw gatun::refusal{GATUN_CANCELLED, "loading was cancelled"};
        }
        if (*out == nullptr) {
            fail(std::string("cannot load ") + files[0]);
        }
        return GATUN_OK;
    });
}

int32_t gatun_adapter_lora_load(struct llama_model * model, const char * path, struct llama_adapter_lora ** out,
                                char * err, size_t err_cap) {
    return guarded("llama_adapter_lora_init", err, err_cap, [&]() -> int32_t {
        require(model != nullptr && path != nullptr && out != nullptr, "model, path and out may not be NULL");
        *out = llama_adapter_lora_init(model, path);
        if (*out == nullptr) {
            fail(std::string("cannot load the adapter ") + path);
        }
        return GATUN_OK;
    });
}

int32_t gatun_model_quantize(const char * path_in, const char * path_out, const llama_model_quantize_params * params,
                             char * err, size_t err_cap) {
    return guarded("llama_model_quantize", err, err_cap, [&]() -> int32_t {
        require(path_in != nullptr && path_out != nullptr && params != nullptr, "no argument may be NULL");
        require(path_in[0] != '\0' && path_out[0] != '\0', "a path may not be empty");
        if (llama_model_quantize(path_in, path_out, params) != 0) {
            fail(std::string("cannot quantize ") + path_in);
        }
        return GATUN_OK;
    });
}
