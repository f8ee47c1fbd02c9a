#include "check.hpp"

#include <fstream>
#include <sstream>

using gatun_test::message;
using gatun_test::tiny_model;

namespace {

std::string read_template(const char * name) {
    std::ifstream in(std::string(GATUN_TEST_LLAMA) + "/models/templates/" + name, std::ios::binary);
    CHECK(in.good());
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}

std::string take(char * text) {
    const std::string copy = text != nullptr ? text : "";
    gatun_free(text);
    return copy;
}

std::string render(const char * source, const std::string & request) {
    char * out = nullptr;
    message err;
    CHECK_OK(gatun_chat_render(tiny_model(), source, request.c_str(), &out, err.text, sizeof(err.text)), err);
    return take(out);
}

const char * const two_messages =
    R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Where is \"the key\"?"}]})";

const char * const with_tool = R"({"messages":[{"role":"user","content":"Weather in Bath?"}],
  "tools":[{"type":"function","function":{"name":"weather","description":"Tells the weather",
    "parameters":{"type":"object","properties":{"town":{"type":"string"}},"required":["town"]}}}],
  "tool_choice":"CHOICE"})";

std::string choosing(const char * choice) {
    std::string request = with_tool;
    return request.replace(request.find("CHOICE"), 6, choice);
}

} // namespace

TEST("the model's own template renders a chat, without the text of a token that the tokenizer adds") {
    const std::string out = render(nullptr, two_messages);
    CHECK_CONTAINS(
        out, R"("prompt":"<|system|>\nBe brief.<|end|>\n<|user|>\nWhere is \"the key\"?<|end|>\n<|assistant|>\n")");
    CHECK_CONTAINS(out, R"("grammar":"")");
    // rendered again, now from the cache of parsed templates
    CHECK_EQUAL(render(nullptr, two_messages), out);
}

TEST("the generation prompt can be left out") {
    const std::string out =
        render(nullptr, R"({"messages":[{"role":"user","content":"Hi"}],"add_generation_prompt":false})");
    CHECK_CONTAINS(out, R"("prompt":"<|user|>\nHi<|end|>\n")");
}

TEST("a real template renders tools, with a grammar for their calls") {
    const std::string source = read_template("Qwen-Qwen2.5-7B-Instruct.jinja");
    const std::string automatic = render(source.c_str(), choosing("auto"));
    CHECK_CONTAINS(automatic, "<tools>");
    CHECK_CONTAINS(automatic, "Tells the weather");
    CHECK_CONTAINS(automatic, R"("grammar_lazy":true)");
    CHECK_CONTAINS(automatic, R"("type":)");
    const std::string required = render(source.c_str(), choosing("required"));
    CHECK_CONTAINS(required, R"("grammar_lazy":false)");
    CHECK_CONTAINS(required, "weather");
    const std::string none = render(source.c_str(), choosing("none"));
    CHECK_CONTAINS(none, R"("grammar":"")");
}

TEST("a tool's grammar is one that the sampler takes") {
    const std::string source = read_template("Qwen-Qwen2.5-7B-Instruct.jinja");
    const std::string out = render(source.c_str(), choosing("required"));
    // the value of "grammar", unescaped as far as grammars need it
    size_t at = out.find("\"grammar\":\"");
    CHECK(at != std::string::npos);
    std::string grammar;
    for (at += 11; out[at] != '"'; at++) {
        if (out[at] == '\\') {
            at++;
            grammar += out[at] == 'n' ? '\n' : out[at] == 't' ? '\t' : out[at];
        } else {
            grammar += out[at];
        }
    }
    llama_sampler * sampler = nullptr;
    message err;
    CHECK_OK(gatun_sampler_init_grammar(llama_model_get_vocab(tiny_model()), grammar.c_str(), "root", &sampler,
                                        err.text, sizeof(err.text)),
             err);
    llama_sampler_free(sampler);
}

TEST("arguments of the template are passed on, thinking too") {
    const std::string source = read_template("Qwen-Qwen3-0.6B.jinja");
    const std::string on = render(source.c_str(), R"({"messages":[{"role":"user","content":"Hi"}]})");
    CHECK_CONTAINS(on, R"("thinking_start":"<think>")");
    const std::string off =
        render(source.c_str(), R"({"messages":[{"role":"user","content":"Hi"}],"enable_thinking":false})");
    CHECK_CONTAINS(off, R"(<think>\n\n</think>)");
    const std::string named =
        render("{{ greeting }} {{ count + 1 }}{{ messages[0].content }}",
               R"({"messages":[{"role":"user","content":"!"}],"kwargs":{"greeting":"ahoy","count":"2"}})");
    CHECK_CONTAINS(named, R"("prompt":"ahoy 3!")");
}

TEST("every template of the tree renders a plain chat or says why not, and the process lives") {
    int rendered = 0;
    for (const char * name : {"meta-llama-Llama-3.1-8B-Instruct.jinja", "google-gemma-2-2b-it.jinja",
                              "microsoft-Phi-3.5-mini-instruct.jinja", "deepseek-ai-DeepSeek-V3.1.jinja",
                              "mistralai-Mistral-Nemo-Instruct-2407.jinja", "openai-gpt-oss-120b.jinja",
                              "Qwen3-Coder.jinja", "google-gemma-4-31B-it.jinja", "Kimi-K2-Instruct.jinja"}) {
        const std::string source = read_template(name);
        message err;
        CHECK_OK(gatun_chat_template_check(source.c_str(), err.text, sizeof(err.text)), err);
        const std::string out = render(source.c_str(), R"({"messages":[{"role":"user","content":"Where is Mira?"}]})");
        CHECK_CONTAINS(out, "Where is Mira?");
        rendered++;
    }
    CHECK_EQUAL(rendered, 9);
}

TEST("what is no request, and what is no template, is refused with the reason") {
    char * out = nullptr;
    message err;
    const auto attempt = [&](const char * source, const char * request) {
        out = reinterpret_cast<char *>(1);
        const int32_t status = gatun_chat_render(tiny_model(), source, request, &out, err.text, sizeof(err.text));
        CHECK(out == nullptr);
        CHECK(err.text[0] != '\0');
        return status;
    };
    CHECK_EQUAL(attempt(nullptr, "{"), GATUN_EXCEPTION);
    CHECK_EQUAL(attempt(nullptr, "[]"), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(attempt(nullptr, "{}"), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(attempt(nullptr, R"({"messages":[{"content":"no role"}]})"), GATUN_EXCEPTION);
    CHECK_EQUAL(attempt("", two_messages), GATUN_INVALID_ARGUMENT);
    CHECK_EQUAL(attempt("{% if %}", two_messages), GATUN_FAILED);
    CHECK_EQUAL(attempt("{{ raise_exception('no system role here') }}", two_messages), GATUN_EXCEPTION);
    CHECK_CONTAINS(err, "no system role here");
    CHECK_EQUAL(gatun_chat_template_check("{% for x in %}", err.text, sizeof(err.text)), GATUN_FAILED);
    CHECK(err.text[0] != '\0');
}

TEST("a JSON schema becomes a grammar that the sampler takes") {
    char * out = nullptr;
    message err;
    const char * schema = R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},
                             "required":["name"],"additionalProperties":false})";
    CHECK_OK(gatun_json_schema_to_grammar(schema, &out, err.text, sizeof(err.text)), err);
    const std::string grammar = take(out);
    CHECK_CONTAINS(grammar, "root ::=");
    llama_sampler * sampler = nullptr;
    CHECK_OK(gatun_sampler_init_grammar(llama_model_get_vocab(tiny_model()), grammar.c_str(), "root", &sampler,
                                        err.text, sizeof(err.text)),
             err);
    llama_sampler_free(sampler);
}

TEST("a schema that is none is refused with the reason") {
    char * out = nullptr;
    message err;
    CHECK_EQUAL(gatun_json_schema_to_grammar("{not json", &out, err.text, sizeof(err.text)), GATUN_EXCEPTION);
    CHECK(err.text[0] != '\0');
    CHECK_EQUAL(gatun_json_schema_to_grammar(R"({"type":"no such type"})", &out, err.text, sizeof(err.text)),
                GATUN_EXCEPTION);
    CHECK_EQUAL(gatun_json_schema_to_grammar(R"({"$ref":"#/nowhere"})", &out, err.text, sizeof(err.text)),
                GATUN_EXCEPTION);
    CHECK(out == nullptr);
}
