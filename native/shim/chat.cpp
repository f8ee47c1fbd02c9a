// Jinja chat templates and JSON schemas: llama.cpp's own code, with JSON text at the border.
#include "shim.hpp"

#include "chat.h"
#include "json-schema-to-grammar.h"
#include "json.h"

#include <deque>
#include <memory>
#include <mutex>

using gatun::fail;
using gatun::guarded;
using gatun::require;

namespace {

using templates_ptr = std::shared_ptr<const common_chat_templates>;

// Parsing a template takes longer than rendering it, and a chat renders the same one at every turn. The last few are
// kept under everything that they were made from, so that an entry never depends on a model that may be freed.
class template_cache {
  public:
    templates_ptr find(const std::string & key) {
        const std::lock_guard<std::mutex> lock(mutex);
        for (const auto & entry : entries) {
            if (entry.first == key) {
                return entry.second;
            }
        }
        return nullptr;
    }

    void add(std::string key, templates_ptr templates) {
        constexpr size_t capacity = 8;
        const std::lock_guard<std::mutex> lock(mutex);
        if (entries.size() == capacity) {
            entries.pop_front();
        }
        entries.emplace_back(std::move(key), std::move(templates));
    }

    // Never destroyed: a daemon thread may still render while the process ends.
    static template_cache & instance() {
        static auto * const cache = new template_cache;
        return *cache;
    }

  private:
    std::mutex mutex;
    std::deque<std::pair<std::string, templates_ptr>> entries;
};

void append_field(std::string & key, const char * text) {
    key.append(text != nullptr ? text : "").push_back('\0');
}

// Everything that common_chat_templates_init reads.
std::string cache_key(const llama_model * model, const char * template_src) {
    std::string key;
    append_field(key, template_src);
    if (model != nullptr) {
        if (template_src == nullptr) {
            append_field(key, llama_model_chat_template(model, nullptr));
            append_field(key, llama_model_chat_template(model, "tool_use"));
        }
        const llama_vocab * vocab = llama_model_get_vocab(model);
        for (const llama_token token : {llama_vocab_bos(vocab), llama_vocab_eos(vocab)}) {
            append_field(key, token == LLAMA_TOKEN_NULL ? "" : common_token_to_piece(vocab, token, true).c_str());
        }
        key.push_back(llama_vocab_get_add_bos(vocab) ? '1' : '0');
        key.push_back(llama_vocab_get_add_eos(vocab) ? '1' : '0');
    }
    return key;
}

void parse_template(const char * source) {
    try {
        const common_chat_template parsed(source, "", "");
    } catch (const std::exception & refused) {
        fail(std::string("the chat template does not parse: ") + refused.what());
    }
}

templates_ptr find_templates(const llama_model * model, const char * template_src) {
    if (template_src != nullptr) {
        require(template_src[0] != '\0', "the chat template is empty");
    } else {
        require(model != nullptr, "model and template_src may not both be NULL");
        if (llama_model_chat_template(model, nullptr) == nullptr) {
            fail("the model has no chat template; give one");
        }
    }
    std::string key = cache_key(model, template_src);
    templates_ptr found = template_cache::instance().find(key);
    if (found == nullptr) {
        // llama-common would throw a bare std::exception; parse first, for the reason.
        parse_template(template_src != nullptr ? template_src : llama_model_chat_template(model, nullptr));
        found = common_chat_templates_init(model, template_src != nullptr ? template_src : "");
        template_cache::instance().add(std::move(key), found);
    }
    return found;
}

common_chat_templates_inputs parse_request(const char * request) {
    const common_json json = common_json::parse(request);
    require(json.is_object(), "the request is not a JSON object");
    require(json.contains("messages"), "the request has no \"messages\"");
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(json.at("messages"));
    if (json.contains("tools") && !json.at("tools").is_null()) {
        inputs.tools = common_chat_tools_parse_oaicompat(json.at("tools"));
    }
    inputs.tool_choice = common_chat_tool_choice_parse_oaicompat(json.value("tool_choice", "auto"));
    inputs.add_generation_prompt = json.value("add_generation_prompt", true);
    inputs.enable_thinking = json.value("enable_thinking", true);
    inputs.parallel_tool_calls = json.value("parallel_tool_calls", false);
    inputs.json_schema = json.value("json_schema", "");
    // The model's own thoughts are told apart from the answer whenever the template marks them.
    inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    if (json.contains("kwargs")) {
        for (const auto & [name, value] : json.at("kwargs").items()) {
            // A value that is no JSON text stands for itself.
            const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
            const bool is_json = !common_json::parse_no_throw(text).is_discarded();
            inputs.chat_template_kwargs[name] = is_json ? text : value.dump();
        }
    }
    return inputs;
}

std::string to_json(const common_chat_params & params) {
    common_json triggers = common_json::array();
    for (const auto & trigger : params.grammar_triggers) {
        triggers.push_back({{"type", static_cast<int>(trigger.type)},
                            {"value", trigger.value},
                            {"token", static_cast<int>(trigger.token)}});
    }
    const common_json json = common_json::object({
        {"prompt", params.prompt},
        {"format", common_chat_format_name(params.format)},
        {"grammar", params.grammar},
        {"grammar_lazy", params.grammar_lazy},
        {"grammar_triggers", triggers},
        {"preserved_tokens", params.preserved_tokens},
        {"additional_stops", params.additional_stops},
        {"generation_prompt", params.generation_prompt},
        {"thinking_start", params.thinking_start_tag},
        {"thinking_ends", params.thinking_end_tags},
        {"parser", params.parser},
    });
    return json.dump_safe();
}

} // namespace

int32_t gatun_chat_render(const struct llama_model * model, const char * template_src, const char * request,
                          char ** out, char * err, size_t err_cap) {
    return guarded("common_chat_templates_apply", err, err_cap, [&]() -> int32_t {
        require(request != nullptr && out != nullptr, "request and out may not be NULL");
        *out = nullptr;
        const common_chat_templates_inputs inputs = parse_request(request);
        const templates_ptr templates = find_templates(model, template_src);
        *out = gatun::duplicate(to_json(common_chat_templates_apply(templates.get(), inputs)));
        return GATUN_OK;
    });
}

int32_t gatun_chat_template_check(const char * template_src, char * err, size_t err_cap) {
    return guarded("chat template", err, err_cap, [&]() -> int32_t {
        require(template_src != nullptr, "template_src may not be NULL");
        parse_template(template_src);
        return GATUN_OK;
    });
}

int32_t gatun_json_schema_to_grammar(const char * schema, char ** out, char * err, size_t err_cap) {
    return guarded("json_schema_to_grammar", err, err_cap, [&]() -> int32_t {
        require(schema != nullptr && out != nullptr, "schema and out may not be NULL");
        *out = nullptr;
        *out = gatun::duplicate(json_schema_to_grammar(common_json::parse(schema), /* force_gbnf = */ true));
        return GATUN_OK;
    });
}
