package dev.gatun.json;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The little JSON that the core needs: writing strings and reading values. RFC 8259, strictly.
 *
 * <p>A value is read as {@code Map<String, Object>} (in the text's order), {@code List<Object>},
 * {@link String}, {@link Double} or {@link Long}, {@link Boolean}, or {@link #NULL}.
 */
public final class Json {
  /** The value {@code null}. */
  public static final Object NULL =
      new Object() {
        @Override
        public String toString() {
          return "null";
        }
      };

  /** The deepest nesting that is read. */
  public static final int MAX_DEPTH = 200;

  private final String text;
  private int position;

  private Json(String text) {
    this.text = text;
  }

  /** A text is not JSON. */
  public static final class JsonException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    JsonException(String message) {
      super(message);
    }
  }

  /**
   * Appends a string in quotes. Lone surrogates become U+FFFD, so that the result is valid UTF-8
   * later.
   */
  public static void quote(StringBuilder out, CharSequence value) {
    out.append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          if (c < 0x20) {
            out.append("\\u00").append(hex(c >> 4)).append(hex(c & 15));
          } else if (!Character.isSurrogate(c)) {
            out.append(c);
          } else if (Character.isHighSurrogate(c)
              && i + 1 < value.length()
              && Character.isLowSurrogate(value.charAt(i + 1))) {
            out.append(c).append(value.charAt(++i));
          } else {
            out.append('\ufffd');
          }
        }
      }
    }
    out.append('"');
  }

  private static char hex(int digit) {
    return Character.forDigit(digit, 16);
  }

  /**
   * Reads a JSON text.
   *
   * @throws JsonException if it is not one, with the position
   */
  public static Object parse(String text) {
    Json reader = new Json(text);
    Object value = reader.value(0);
    reader.space();
    if (reader.position < text.length()) {
      throw reader.wrong("the end of the text");
    }
    return value;
  }

  /**
   * Reads a JSON object.
   *
   * @throws JsonException if the text is not one
   */
  @SuppressWarnings("unchecked")
  public static Map<String, Object> parseObject(String text) {
    Object value = parse(text);
    if (value instanceof Map<?, ?> map) {
      return (Map<String, Object>) map;
    }
    throw new JsonException("expected a JSON object, but found another value");
  }

  private Object value(int depth) {
    if (depth > MAX_DEPTH) {
      throw new JsonException("the JSON text is nested deeper than " + MAX_DEPTH + " levels");
    }
    space();
    if (position >= text.length()) {
      throw wrong("a value");
    }
    return switch (text.charAt(position)) {
      case '{' -> object(depth);
      case '[' -> array(depth);
      case '"' -> string();
      case 't' -> word("true", Boolean.TRUE);
      case 'f' -> word("false", Boolean.FALSE);
      case 'n' -> word("null", NULL);
      default -> number();
    };
  }

  private Map<String, Object> object(int depth) {
    Map<String, Object> map = new LinkedHashMap<>();
    position++;
    space();
    if (take('}')) {
      return map;
    }
    do {
      space();
      if (position >= text.length() || text.charAt(position) != '"') {
        throw wrong("a name in quotes");
      }
      String name = string();
      space();
      if (!take(':')) {
        throw wrong("':'");
      }
      map.put(name, value(depth + 1));
      space();
    } while (take(','));
    if (!take('}')) {
      throw wrong("',' or '}'");
    }
    return map;
  }

  private List<Object> array(int depth) {
    List<Object> list = new ArrayList<>();
    position++;
    space();
    if (take(']')) {
      return list;
    }
    do {
      list.add(value(depth + 1));
      space();
    } while (take(','));
    if (!take(']')) {
      throw wrong("',' or ']'");
    }
    return list;
  }

  private String string() {
    int start = ++position;
    while (position < text.length() && plain(text.charAt(position))) {
      position++;
    }
    if (take('"')) {
      return text.substring(start, position - 1);
    }
    StringBuilder out = new StringBuilder(text.substring(start, position));
    while (position < text.length()) {
      char c = text.charAt(position++);
      if (c == '"') {
        return out.toString();
      } else if (c == '\\') {
        out.append(escape());
      } else if (c < 0x20) {
        position--;
        throw wrong("an escape for a control character");
      } else {
        out.append(c);
      }
    }
    throw wrong("'\"'");
  }

  private static boolean plain(char c) {
    return c != '"' && c != '\\' && c >= 0x20;
  }

  private char escape() {
    if (position >= text.length()) {
      throw wrong("an escape");
    }
    char c = text.charAt(position++);
    return switch (c) {
      case '"', '\\', '/' -> c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> {
        int value = 0;
        for (int i = 0; i < 4; i++) {
          char digit = position < text.length() ? text.charAt(position) : ' ';
          if (digit >= 128 || Character.digit(digit, 16) < 0) {
            throw wrong("a hexadecimal digit");
          }
          value = value * 16 + Character.digit(digit, 16);
          position++;
        }
        yield (char) value;
      }
      default -> {
        position--;
        throw wrong("one of \"\\/bfnrtu");
      }
    };
  }

  private Object word(String word, Object value) {
    if (!text.startsWith(word, position)) {
      throw wrong("a value");
    }
    position += word.length();
    return value;
  }

  private Object number() {
    int start = position;
    take('-');
    if (!take('0')) {
      digits("a value");
    }
    boolean whole = true;
    if (take('.')) {
      whole = false;
      digits("a digit");
    }
    if (take('e') || take('E')) {
      whole = false;
      if (!take('+')) {
        take('-');
      }
      digits("a digit");
    }
    String number = text.substring(start, position);
    if (whole && number.length() <= 18) {
      return Long.valueOf(number);
    }
    return Double.valueOf(number);
  }

  private void digits(String expected) {
    int start = position;
    while (position < text.length()
        && text.charAt(position) >= '0'
        && text.charAt(position) <= '9') {
      position++;
    }
    if (position == start) {
      throw wrong(expected);
    }
  }

  private boolean take(char c) {
    if (position < text.length() && text.charAt(position) == c) {
      position++;
      return true;
    }
    return false;
  }

  private void space() {
    while (position < text.length() && " \t\r\n".indexOf(text.charAt(position)) >= 0) {
      position++;
    }
  }

  private JsonException wrong(String expected) {
    String found =
        position < text.length() ? "'" + text.charAt(position) + "'" : "the end of the text";
    return new JsonException(
        "expected " + expected + " at character " + position + ", but found " + found);
  }
}
