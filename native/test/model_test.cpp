#include "check.hpp"

#include <fstream>

using gatun_test::message;

namespace {

int32_t load(const char * path, llama_model ** model, message & err, llama_progress_callback progress = nullptr,
             void * data = nullptr) {
    gatun_test::load_cpu();
    llama_model_params params;
    gatun_model_default_params(&params);
    params.progress_callback = progress;
    params.progress_callback_user_data = data;
    return gatun_model_load(&path, 1, &params, model, err.text, sizeof(err.text));
}

// Lets the first `after` calls pass.
struct canceller {
    int calls = 0;
    int after = 0;
};

bool cancel(float, void * data) {
    auto * state = static_cast<canceller *>(data);
    return state->calls++ < state->after;
}

} // namespace

TEST("the library says which header and which tree it was built from") {
    CHECK_EQUAL(gatun_shim_abi(), GATUN_SHIM_ABI);
    CHECK_EQUAL(std::strlen(gatun_llama_tree()), 40u);
    gatun_free(nullptr);
}

TEST("without a CPU back end a model is refused, and the process lives") {
    // Runs before anything loads one: cases run in the order of their definition.
    llama_model_params params;
    gatun_model_default_params(&params);
    const char * path = GATUN_TEST_MODEL;
    llama_model * model = nullptr;
    message err;
    const int32_t status = gatun_model_load(&path, 1, &params, &model, err.text, sizeof(err.text));
    CHECK_EQUAL(status, GATUN_FAILED);
    CHECK_CONTAINS(err, "no CPU back end");
}

TEST("a module that is none, and one that is missing, are refused with the reason") {
    ggml_backend_reg_t reg = nullptr;
    int32_t score = 0;
    message err;
    CHECK_EQUAL(gatun_backend_load("/no/such/module.so", &reg, err.text, sizeof(err.text)), GATUN_FAILED);
    CHECK_CONTAINS(err, "/no/such/module.so");
    CHECK_EQUAL(gatun_backend_load(GATUN_TEST_MODEL, &reg, err.text, sizeof(err.text)), GATUN_FAILED);
    CHECK(reg == nullptr);
    CHECK_EQUAL(gatun_backend_score(GATUN_TEST_MODEL, &score, err.text, sizeof(err.text)), GATUN_FAILED);
    CHECK_EQUAL(gatun_backend_load(nullptr, &reg, err.text, sizeof(err.text)), GATUN_INVALID_ARGUMENT);
}

TEST("the error buffer may be missing or of any size, and is emptied on success") {
    gatun_log_install(GGML_LOG_LEVEL_WARN);
    llama_model * model = nullptr;
    llama_model_params params;
    gatun_model_default_params(&params);
    const char * path = "/no/such/file.gguf";
    gatun_test::load_cpu();
    CHECK_EQUAL(gatun_model_load(&path, 1, &params, &model, nullptr, 0), GATUN_FAILED);
    char tiny[4] = {'x', 'x', 'x', 'x'};
    CHECK_EQUAL(gatun_model_load(&path, 1, &params, &model, tiny, sizeof(tiny)), GATUN_FAILED);
    CHECK_EQUAL(tiny[3], '\0');
    message err;
    CHECK_OK(load(GATUN_TEST_MODEL, &model, err), err);
    CHECK_EQUAL(std::string(err), "");
    llama_model_free(model);
}

TEST("a missing file, a directory, an empty path and a file of noise each fail with llama.cpp's own reason") {
    gatun_log_install(GGML_LOG_LEVEL_ERROR);
    llama_model * model = nullptr;
    message err;
    CHECK_EQUAL(load("/no/such/file.gguf", &model, err), GATUN_FAILED);
    CHECK_CONTAINS(err, "/no/such/file.gguf");
    CHECK_CONTAINS(err, "No such file");
    CHECK_EQUAL(load("/", &model, err), GATUN_FAILED);
    CHECK_EQUAL(load("", &model, err), GATUN_INVALID_ARGUMENT);
    const std::string noise = std::string(GATUN_TEST_SCRATCH) + "/noise.gguf";
    std::ofstream(noise) << "this is not a model";
    CHECK_EQUAL(load(noise.c_str(), &model, err), GATUN_FAILED);
    CHECK_CONTAINS(err, "magic");
    CHECK(model == nullptr);
}

TEST("a truncated model fails, whatever is cut off") {
    std::ifstream in(GATUN_TEST_MODEL, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const std::string path = std::string(GATUN_TEST_SCRATCH) + "/cut.gguf";
    for (const size_t keep : {size_t(3), size_t(40), size_t(4000), bytes.size() / 2, bytes.size() - 1}) {
        std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(keep));
        llama_model * model = nullptr;
        message err;
        CHECK(load(path.c_str(), &model, err) != GATUN_OK);
        CHECK(model == nullptr);
        CHECK(err.text[0] != '\0');
    }
}

TEST("loading stops when the progress callback says so") {
    llama_model * model = nullptr;
    message err;
    canceller at_once;
    CHECK_EQUAL(load(GATUN_TEST_MODEL, &model, err, cancel, &at_once), GATUN_CANCELLED);
    CHECK(model == nullptr);
    CHECK_EQUAL(at_once.calls, 1);
    canceller never{0, 1 << 30};
    CHECK_OK(load(GATUN_TEST_MODEL, &model, err, cancel, &never), err);
    CHECK(never.calls > 1);
    llama_model_free(model);
}

TEST("an adapter that does not exist is refused") {
    llama_adapter_lora * adapter = nullptr;
    message err;
    CHECK_EQUAL(
        gatun_adapter_lora_load(gatun_test::tiny_model(), "/no/adapter.gguf", &adapter, err.text, sizeof(err.text)),
        GATUN_FAILED);
    CHECK_CONTAINS(err, "/no/adapter.gguf");
}

TEST("a model can be quantized, and a bad input is refused") {
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = LLAMA_FTYPE_MOSTLY_Q8_0;
    params.nthread = 2;
    const std::string out = std::string(GATUN_TEST_SCRATCH) + "/q8.gguf";
    message err;
    CHECK_OK(gatun_model_quantize(GATUN_TEST_MODEL, out.c_str(), &params, err.text, sizeof(err.text)), err);
    llama_model * model = nullptr;
    CHECK_OK(load(out.c_str(), &model, err), err);
    llama_model_free(model);
    CHECK(gatun_model_quantize("/no/in.gguf", out.c_str(), &params, err.text, sizeof(err.text)) != GATUN_OK);
    CHECK_CONTAINS(err, "/no/in.gguf");
}
