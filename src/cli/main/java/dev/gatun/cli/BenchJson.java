package dev.gatun.cli;

import java.util.Map;

/** One result as a JSON object. */
final class BenchJson {
  private BenchJson() {}

  static String of(Map<String, Object> fields, BenchResult result) {
    return Json.line(
        json -> {
          fields.forEach(
              (name, value) -> {
                switch (value) {
                  case Long number -> json.writeNumberProperty(name, number);
                  case Double number -> json.writeNumberProperty(name, number);
                  case Boolean truth -> json.writeBooleanProperty(name, truth);
                  default -> json.writeStringProperty(name, value.toString());
                }
              });
          json.writeName("samples_ns");
          json.writeStartArray();
          result.nanos().forEach(json::writeNumber);
          json.writeEndArray();
          json.writeName("samples_ts");
          json.writeStartArray();
          for (double rate : result.rates()) {
            json.writeNumber(rate);
          }
          json.writeEndArray();
        });
  }
}
