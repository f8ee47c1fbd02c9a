package dev.gatun.cli;

import dev.gatun.chat.ChatMessage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;

/**
 * A conversation as a JSON file: {@code {"messages": [{"role": "user", "content": "..."}, ...]}},
 * the form in which chat servers take it.
 */
final class Transcript {
  private Transcript() {}

  /**
   * Writes a conversation, whole or not at all.
   *
   * @throws CliException if it cannot be written
   */
  static void save(Path file, List<ChatMessage> messages) {
    String text =
        Json.pretty(
            json -> {
              json.writeStartObject();
              json.writeName("messages");
              json.writeStartArray();
              for (ChatMessage message : messages) {
                json.writeStartObject();
                json.writeStringProperty("role", message.role().wireName());
                json.writeStringProperty("content", message.content());
                json.writeEndObject();
              }
              json.writeEndArray();
              json.writeEndObject();
            });
    try {
      Path folder = file.toAbsolutePath().getParent();
      Path temporary = Files.createTempFile(folder, ".gatun", ".json");
      try {
        Files.writeString(temporary, text + "\n");
        Files.move(temporary, file.toAbsolutePath(), StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(temporary);
      }
    } catch (IOException e) {
      throw CliException.file("cannot write " + file + " (" + e + "); name another file");
    }
  }

  /**
   * Reads a conversation.
   *
   * @throws CliException if it cannot be read or is no conversation
   */
  static List<ChatMessage> load(Path file) {
    String text = TextInput.file(file.toString());
    List<ChatMessage> messages = new ArrayList<>();
    try (JsonParser json = Json.FACTORY.createParser(ObjectReadContext.empty(), text)) {
      require(file, json.nextToken() == JsonToken.START_OBJECT);
      while (json.nextToken() == JsonToken.PROPERTY_NAME) {
        boolean wanted = json.currentName().equals("messages");
        JsonToken value = json.nextToken();
        if (wanted) {
          require(file, value == JsonToken.START_ARRAY);
          while (json.nextToken() == JsonToken.START_OBJECT) {
            messages.add(message(file, json));
          }
        } else {
          json.skipChildren();
        }
      }
      return messages;
    } catch (JacksonException e) {
      throw CliException.file(
          file + " is not JSON (" + e.getOriginalMessage() + "); /save FILE writes a good one");
    }
  }

  private static ChatMessage message(Path file, JsonParser json) {
    @Nullable String role = null;
    @Nullable String content = null;
    while (json.nextToken() == JsonToken.PROPERTY_NAME) {
      String name = json.currentName();
      JsonToken value = json.nextToken();
      if (value == JsonToken.VALUE_STRING && name.equals("role")) {
        role = json.getString();
      } else if (value == JsonToken.VALUE_STRING && name.equals("content")) {
        content = json.getString();
      } else {
        json.skipChildren();
      }
    }
    require(file, role != null && content != null);
    return switch (role == null ? "" : role) {
      case "system" -> ChatMessage.system(String.valueOf(content));
      case "user" -> ChatMessage.user(String.valueOf(content));
      case "assistant" -> ChatMessage.assistant(String.valueOf(content));
      default ->
          throw CliException.file(
              file
                  + " has a message with the role '"
                  + role
                  + "'; system, user and assistant work");
    };
  }

  private static void require(Path file, boolean good) {
    if (!good) {
      throw CliException.file(
          file
              + " is no conversation: it needs {\"messages\": [{\"role\": ..., \"content\":"
              + " ...}]}");
    }
  }
}
