package dev.gatun.gguf;

import java.util.Objects;

/**
 * One metadata value: a whole number, a floating-point number, a truth value, a text or an array.
 *
 * <p>Immutable; any thread.
 */
public sealed interface GgufValue
    permits GgufValue.Whole, GgufValue.Real, GgufValue.Bool, GgufValue.Text, GgufArray {

  /** Returns the type as the file states it. */
  GgufType type();

  /**
   * A whole number of any of the eight integer types.
   *
   * @param type an integer type
   * @param value the value; a {@link GgufType#UINT64} above {@link Long#MAX_VALUE} appears negative
   */
  record Whole(GgufType type, long value) implements GgufValue {
    public Whole {
      if (!type.isInteger()) {
        throw new IllegalArgumentException(type + " is not an integer type");
      }
      boolean fits =
          switch (type) {
            case UINT8 -> value == (value & 0xFF);
            case INT8 -> value == (byte) value;
            case UINT16 -> value == (value & 0xFFFF);
            case INT16 -> value == (short) value;
            case UINT32 -> value == (value & 0xFFFF_FFFFL);
            case INT32 -> value == (int) value;
            default -> true;
          };
      if (!fits) {
        throw new IllegalArgumentException(value + " does not fit in " + type);
      }
    }

    /** Tells whether the number is at least 0 and at most {@link Long#MAX_VALUE}. */
    public boolean isCount() {
      return value >= 0;
    }

    @Override
    public String toString() {
      return type == GgufType.UINT64 ? Long.toUnsignedString(value) : Long.toString(value);
    }
  }

  /**
   * A floating-point number.
   *
   * @param type {@link GgufType#FLOAT32} or {@link GgufType#FLOAT64}
   * @param value the value, exact for both types
   */
  record Real(GgufType type, double value) implements GgufValue {
    public Real {
      if (!type.isReal()) {
        throw new IllegalArgumentException(type + " is not a floating-point type");
      }
    }

    @Override
    public String toString() {
      return type == GgufType.FLOAT32 ? Float.toString((float) value) : Double.toString(value);
    }
  }

  /**
   * A truth value.
   *
   * @param value the value
   */
  record Bool(boolean value) implements GgufValue {
    @Override
    public GgufType type() {
      return GgufType.BOOL;
    }

    @Override
    public String toString() {
      return Boolean.toString(value);
    }
  }

  /**
   * A text.
   *
   * @param value the text
   */
  record Text(String value) implements GgufValue {
    public Text {
      Objects.requireNonNull(value, "value");
    }

    @Override
    public GgufType type() {
      return GgufType.STRING;
    }

    @Override
    public String toString() {
      return value;
    }
  }

  /** Returns a {@link GgufType#UINT32} value. */
  static GgufValue uint32(long value) {
    return new Whole(GgufType.UINT32, value);
  }

  /** Returns a {@link GgufType#INT32} value. */
  static GgufValue int32(int value) {
    return new Whole(GgufType.INT32, value);
  }

  /** Returns a {@link GgufType#UINT64} value. */
  static GgufValue uint64(long value) {
    return new Whole(GgufType.UINT64, value);
  }

  /** Returns a {@link GgufType#FLOAT32} value. */
  static GgufValue float32(float value) {
    return new Real(GgufType.FLOAT32, value);
  }

  /** Returns a {@link GgufType#BOOL} value. */
  static GgufValue bool(boolean value) {
    return new Bool(value);
  }

  /** Returns a {@link GgufType#STRING} value. */
  static GgufValue text(String value) {
    return new Text(value);
  }
}
