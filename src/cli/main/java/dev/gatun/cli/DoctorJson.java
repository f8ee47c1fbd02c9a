package dev.gatun.cli;

import java.util.List;

/** The findings of {@code doctor} as JSON. */
final class DoctorJson {
  private DoctorJson() {}

  static String of(List<DoctorCommand.Check> checks, boolean good) {
    return Json.pretty(
        json -> {
          json.writeStartObject();
          json.writeBooleanProperty("good", good);
          json.writeName("checks");
          json.writeStartArray();
          for (DoctorCommand.Check check : checks) {
            json.writeStartObject();
            json.writeStringProperty("name", check.name());
            json.writeBooleanProperty("good", check.good());
            json.writeStringProperty("detail", check.detail());
            json.writeEndObject();
          }
          json.writeEndArray();
          json.writeEndObject();
        });
  }
}
