package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.chat.ChatMessage;
import dev.gatun.chat.ChatPrompt;
import dev.gatun.chat.ChatRequest;
import dev.gatun.chat.ChatTemplate;
import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.ChatTemplateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Model tier: the built-in model's chat template, and real ones of the pinned tree. */
class ChatTemplateTest {
  private static final List<ChatMessage> CHAT =
      List.of(
          ChatMessage.system("Be brief."),
          ChatMessage.user("Where is the key?"),
          ChatMessage.assistant("In the box."),
          ChatMessage.user("Which box?"));
  private static LlamaModel model;

  @BeforeAll
  static void load() {
    model = LlamaModel.load(TestModels.tiny(), ModelOptions.defaults().withVocabularyOnly(true));
  }

  @AfterAll
  static void unload() {
    model.close();
  }

  @Test
  void theBuiltInModelsFormatIsThatOfItsCard() {
    ChatTemplate template = model.chatTemplate();
    String chat =
        "<|system|>\nBe brief.<|end|>\n<|user|>\nWhere is the key?<|end|>\n"
            + "<|assistant|>\nIn the box.<|end|>\n<|user|>\nWhich box?<|end|>\n";
    assertEquals(chat + "<|assistant|>\n", template.render(CHAT, true));
    assertEquals(chat, template.render(CHAT, false));
    assertTrue(template.source().contains("<|end|>"));
  }

  @Test
  void theEndOfThePromptIsNamed() {
    ChatPrompt prompt = model.chatTemplate().render(ChatRequest.of(CHAT));
    assertTrue(prompt.text().endsWith(prompt.generationPrompt()));
  }

  @Test
  void anyTextSurvivesTheWayThroughJson() {
    for (String text :
        List.of(
            "\"quotes\" \\ \n\t\r",
            "é 漢 😀 \u2028",
            "{{ 7 * 7 }} {% endfor %}",
            "</s>\u0001",
            "")) {
      assertEquals(
          "<|user|>\n" + text + "<|end|>\n",
          model.chatTemplate().render(List.of(ChatMessage.user(text)), false));
    }
  }

  @Test
  void aTemplateOfOnesOwnIsRun() {
    ChatTemplate template =
        model.chatTemplate(
            "{% for m in messages %}[{{ m.role }}: {{ m['content'] | trim }}]{% endfor %}"
                + "{% if add_generation_prompt %}>{% endif %}");
    assertEquals(
        "[user: hi][assistant: ho]>",
        template.render(List.of(ChatMessage.user(" hi "), ChatMessage.assistant("ho")), true));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"{% for m in messages %}", "{{ 1 + }}", "{% if %}{% endif %}", "{{ messages[ }}"})
  void aTemplateThatDoesNotParseIsRefused(String source) {
    ChatTemplateException e =
        assertThrows(ChatTemplateException.class, () -> model.chatTemplate(source));
    assertTrue(e.getMessage().contains("--raw"), e.getMessage());
  }

  @Test
  void whatTheTemplateRefusesIsToldInItsWords() {
    ChatTemplate template =
        model.chatTemplate(
            "{% for m in messages %}{% if m.role != (['user', 'assistant'][loop.index0 % 2]) %}"
                + "{{ raise_exception('Roles must alternate') }}{% endif %}"
                + "{{ m.content }}{% endfor %}");
    ChatTemplateException e =
        assertThrows(
            ChatTemplateException.class,
            () -> template.render(List.of(ChatMessage.user("a"), ChatMessage.user("b")), true));
    assertTrue(e.getMessage().contains("Roles must alternate"), e.getMessage());
  }

  @Test
  void aModelWithoutATemplateSaysWhatToDo() {
    Path file = TestModels.llamaCpp().resolve("models/ggml-vocab-gpt-2.gguf");
    try (LlamaModel bare =
        LlamaModel.load(file, ModelOptions.defaults().withVocabularyOnly(true))) {
      ChatTemplateException e = assertThrows(ChatTemplateException.class, bare::chatTemplate);
      assertTrue(e.getMessage().contains("--raw"), e.getMessage());
    }
  }

  @Test
  void anEmptyChatIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> ChatRequest.of(List.of()));
  }

  @Test
  void hugeAndDeepTemplatesAreRefused_notAStackOverflow() {
    assertThrows(
        ChatTemplateException.class,
        () -> model.chatTemplate("{{ " + "(".repeat(100_000) + "1" + ")".repeat(100_000) + " }}"));
    assertThrows(ChatTemplateException.class, () -> model.chatTemplate("x".repeat(1 << 19)));
    // These are below the limits: whatever the parser thinks of them, the process lives.
    for (String nested :
        List.of(
            "{{ " + "not ".repeat(15_000) + "true }}",
            "{{ " + "-".repeat(50_000) + "1 }}",
            "{% if true %}".repeat(5_000) + "{% endif %}".repeat(5_000),
            "{% if true %}" + "{% elif true %}".repeat(15_000) + "{% endif %}",
            "{{ 1" + " + 1".repeat(10_000) + " }}",
            "{{ a" + ".b".repeat(10_000) + " }}",
            "{{ 1" + " | string".repeat(10_000) + " }}",
            "{{ 1" + " if true else 1".repeat(15_000) + " }}",
            "{{ 1" + " ~ 1".repeat(10_000) + " }}",
            "{{ true" + " and true".repeat(10_000) + " }}")) {
      try {
        model.chatTemplate(nested).render(CHAT, true);
      } catch (ChatTemplateException e) {
        assertFalse(e.getMessage().isEmpty());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "Qwen-Qwen2.5-7B-Instruct, '<|im_start|>user\nWhich box?<|im_end|>\n<|im_start|>assistant\n'",
    "meta-llama-Llama-3.1-8B-Instruct, '<|start_header_id|>user<|end_header_id|>\n\n"
        + "Which box?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        + "'",
    "google-gemma-2-2b-it, '<start_of_turn>user\nWhich box?<end_of_turn>\n<start_of_turn>model\n'",
    "mistralai-Mistral-Nemo-Instruct-2407, 'Which box?[/INST]'",
    "microsoft-Phi-3.5-mini-instruct, '<|user|>\nWhich box?<|end|>\n<|assistant|>\n'"
  })
  void realTemplatesRender(String name, String end) throws IOException {
    Path file = TestModels.llamaCpp().resolve("models/templates").resolve(name + ".jinja");
    String prompt = model.chatTemplate(Files.readString(file)).render(CHAT, true);
    assertTrue(prompt.endsWith(end), prompt);
    assertTrue(prompt.contains("Where is the key?"), prompt);
    assertTrue(prompt.contains("In the box."), prompt);
  }

  @Test
  void everyRealTemplateRendersAQuestion() throws IOException {
    try (var files = Files.list(TestModels.llamaCpp().resolve("models/templates"))) {
      List<Path> all = files.filter(f -> f.toString().endsWith(".jinja")).sorted().toList();
      assertTrue(all.size() > 50);
      for (Path file : all) {
        ChatTemplate template = model.chatTemplate(Files.readString(file));
        String prompt = template.render(List.of(ChatMessage.user("Where is the key?")), true);
        assertTrue(prompt.contains("Where is the key?"), file + ": " + prompt);
      }
    }
  }

  @Test
  void afterTheModelIsClosedRenderingIsRefused() {
    LlamaModel other =
        LlamaModel.load(TestModels.tiny(), ModelOptions.defaults().withVocabularyOnly(true));
    ChatTemplate template = other.chatTemplate();
    other.close();
    assertThrows(AlreadyClosedException.class, () -> template.render(CHAT, true));
  }
}
