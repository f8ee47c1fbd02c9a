package dev.gatun.cli;

import dev.gatun.offload.Device;
import java.util.List;
import java.util.Locale;
import tools.jackson.core.JsonGenerator;

/** Devices as JSON. */
final class DevicesJson {
  private DevicesJson() {}

  static String of(List<Device> devices) {
    return Json.pretty(json -> write(json, devices));
  }

  static void write(JsonGenerator json, List<Device> devices) {
    json.writeStartArray();
    for (Device device : devices) {
      json.writeStartObject();
      json.writeStringProperty("name", device.name());
      json.writeStringProperty("description", device.description());
      json.writeStringProperty("kind", device.kind().name().toLowerCase(Locale.ROOT));
      json.writeStringProperty("backend", device.backend());
      json.writeNumberProperty("totalBytes", device.totalBytes());
      json.writeNumberProperty("freeBytes", device.freeBytes());
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}
