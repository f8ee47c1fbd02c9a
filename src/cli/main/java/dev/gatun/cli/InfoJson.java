package dev.gatun.cli;

import dev.gatun.gguf.GgufArray;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufTensor;
import dev.gatun.gguf.GgufValue;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/** What a model file holds, as JSON. Long arrays are given by their type and size. */
final class InfoJson {
  private static final int LONGEST_ARRAY = 256;

  private InfoJson() {}

  static String of(GgufFile gguf, Map<String, Object> facts) {
    return Json.pretty(
        json -> {
          json.writeStartObject();
          facts.forEach(
              (key, value) -> {
                json.writeName(key);
                fact(json, value);
              });
          json.writeName("metadata");
          json.writeStartObject();
          gguf.metadata()
              .forEach(
                  (key, value) -> {
                    json.writeName(key);
                    value(json, value);
                  });
          json.writeEndObject();
          json.writeName("tensors");
          json.writeStartArray();
          gguf.tensors().forEach(tensor -> tensor(json, tensor));
          json.writeEndArray();
          json.writeEndObject();
        });
  }

  private static void fact(JsonGenerator json, Object value) {
    switch (value) {
      case Long number -> json.writeNumber(number);
      case Double number -> json.writeNumber(number);
      case Boolean truth -> json.writeBoolean(truth);
      case List<?> list -> {
        json.writeStartArray();
        list.forEach(entry -> fact(json, entry));
        json.writeEndArray();
      }
      case Map<?, ?> map -> {
        json.writeStartObject();
        map.forEach(
            (key, entry) -> {
              json.writeName(key.toString());
              fact(json, entry instanceof Integer i ? (long) i : entry);
            });
        json.writeEndObject();
      }
      default -> json.writeString(value.toString());
    }
  }

  private static void value(JsonGenerator json, GgufValue value) {
    switch (value) {
      case GgufValue.Whole whole -> json.writeNumber(whole.value());
      case GgufValue.Real real -> json.writeNumber(real.value());
      case GgufValue.Bool truth -> json.writeBoolean(truth.value());
      case GgufValue.Text text -> json.writeString(text.value());
      case GgufArray array -> array(json, array);
    }
  }

  private static void array(JsonGenerator json, GgufArray array) {
    if (array.size() > LONGEST_ARRAY) {
      json.writeStartObject();
      json.writeStringProperty("elementType", array.elementType().name());
      json.writeNumberProperty("size", array.size());
      json.writeEndObject();
      return;
    }
    json.writeStartArray();
    for (int i = 0; i < array.size(); i++) {
      value(json, array.get(i));
    }
    json.writeEndArray();
  }

  private static void tensor(JsonGenerator json, GgufTensor tensor) {
    json.writeStartObject();
    json.writeStringProperty("name", tensor.name());
    json.writeStringProperty("type", tensor.type().name());
    json.writeName("dimensions");
    json.writeStartArray();
    tensor.dimensions().forEach(json::writeNumber);
    json.writeEndArray();
    json.writeNumberProperty("part", tensor.part());
    json.writeNumberProperty("offset", tensor.fileOffset());
    json.writeNumberProperty("bytes", tensor.bytes());
    json.writeEndObject();
  }
}
