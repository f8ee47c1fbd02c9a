package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_chat_render;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_chat_template_check;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_free;
import static dev.gatun.bindings.generated.llama_h.llama_model_chat_template;

import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.CTypes;
import dev.gatun.chat.ChatMessage;
import dev.gatun.chat.ChatPrompt;
import dev.gatun.chat.ChatRequest;
import dev.gatun.chat.ChatTemplate;
import dev.gatun.error.ChatTemplateException;
import dev.gatun.json.Json;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/**
 * A template run by the shim for one model, whose token names and dialect it needs. Thread-safe.
 */
public final class NativeChatTemplate implements ChatTemplate {
  private static final long MAX_TEXT_BYTES = 1L << 31;

  /** The parser and the interpreter call themselves for each level of the template. */
  private static final long STACK_BYTES = 1L << 28;

  private final NativeModel model;
  private final String source;
  private final boolean own;

  private NativeChatTemplate(NativeModel model, String source, boolean own) {
    this.model = model;
    this.source = source;
    this.own = own;
  }

  /**
   * Returns the template in the model's file.
   *
   * @throws ChatTemplateException if it has none, or one that does not parse
   */
  public static NativeChatTemplate ofModel(NativeModel model) {
    String source;
    model.guard().enter();
    try {
      MemorySegment text = llama_model_chat_template(model.handle(), MemorySegment.NULL);
      if (text.address() == 0) {
        throw new ChatTemplateException(
            "the model's file has no chat template; give the text as it is (--raw), or give a"
                + " template of your own");
      }
      source = Segments.utf8(text, MAX_TEXT_BYTES);
    } finally {
      model.guard().exit();
    }
    check(source, "the chat template in the model's file");
    return new NativeChatTemplate(model, source, true);
  }

  /**
   * Returns a template of the caller's.
   *
   * @throws ChatTemplateException if it does not parse
   */
  public static NativeChatTemplate ofSource(NativeModel model, String source) {
    check(source, "the chat template");
    return new NativeChatTemplate(model, source, false);
  }

  private static void check(String source, String name) {
    JinjaNesting.check(source, name);
    DeepStack.call(STACK_BYTES, () -> parse(source, name));
  }

  private static boolean parse(String source, String name) {
    try (Arena call = Arena.ofConfined()) {
      ErrorBuffer error = new ErrorBuffer(call);
      int status =
          gatun_chat_template_check(call.allocateFrom(source), error.segment(), error.capacity());
      NativeLog.drain();
      Status.check(
          "reading " + name,
          status,
          error,
          message ->
              new ChatTemplateException(
                  message + "; give the text as it is (--raw), or give a template of your own"));
      return true;
    }
  }

  @Override
  public String source() {
    return source;
  }

  @Override
  public ChatPrompt render(ChatRequest request) {
    String json = requestJson(request);
    model.guard().enter();
    try {
      return DeepStack.call(STACK_BYTES, () -> render(json));
    } finally {
      model.guard().exit();
    }
  }

  private ChatPrompt render(String json) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      ErrorBuffer error = new ErrorBuffer(call);
      int status =
          gatun_chat_render(
              model.handle(),
              own ? MemorySegment.NULL : call.allocateFrom(source),
              call.allocateFrom(json),
              out,
              error.segment(),
              error.capacity());
      NativeLog.drain();
      Status.check(
          "rendering the chat",
          status,
          error,
          message ->
              new ChatTemplateException(
                  message + "; change the messages, or give a template of your own"));
      MemorySegment text = CTypes.pointer(out, 0);
      try {
        return prompt(Segments.utf8(text, MAX_TEXT_BYTES));
      } finally {
        gatun_free(text);
      }
    }
  }

  private static String requestJson(ChatRequest request) {
    StringBuilder json = new StringBuilder("{\"messages\":[");
    String comma = "";
    for (ChatMessage message : request.messages()) {
      json.append(comma).append("{\"role\":");
      Json.quote(json, message.role().wireName());
      json.append(",\"content\":");
      Json.quote(json, message.content());
      json.append('}');
      comma = ",";
    }
    return json.append("],\"add_generation_prompt\":")
        .append(request.addGenerationPrompt())
        .append(",\"enable_thinking\":")
        .append(request.thinking())
        .append('}')
        .toString();
  }

  private static ChatPrompt prompt(String json) {
    Map<String, Object> reply = Json.parseObject(json);
    List<String> stops =
        reply.get("additional_stops") instanceof List<?> list
            ? list.stream().map(String::valueOf).toList()
            : List.of();
    return new ChatPrompt(text(reply, "prompt"), stops, text(reply, "generation_prompt"));
  }

  private static String text(Map<String, Object> reply, String name) {
    return reply.get(name) instanceof String text ? text : "";
  }
}
