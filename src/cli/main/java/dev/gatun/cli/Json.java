package dev.gatun.cli;

import java.io.StringWriter;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.util.DefaultPrettyPrinter;

/** Writes JSON. Loaded only when somebody asks for it. */
final class Json {
  /** Writes the content of one value. */
  @FunctionalInterface
  interface Body {
    void write(JsonGenerator json);
  }

  static final JsonFactory FACTORY = new JsonFactory();

  private Json() {}

  /** Returns one object on one line. */
  static String line(Body body) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = FACTORY.createGenerator(ObjectWriteContext.empty(), text)) {
      json.writeStartObject();
      body.write(json);
      json.writeEndObject();
    }
    return text.toString();
  }

  /** Returns a value on several lines. */
  static String pretty(Body body) {
    StringWriter text = new StringWriter();
    ObjectWriteContext context =
        new ObjectWriteContext.Base() {
          @Override
          public tools.jackson.core.PrettyPrinter getPrettyPrinter() {
            return new DefaultPrettyPrinter();
          }

          @Override
          public boolean hasPrettyPrinter() {
            return true;
          }
        };
    try (JsonGenerator json = FACTORY.createGenerator(context, text)) {
      body.write(json);
    }
    return text.toString();
  }
}
