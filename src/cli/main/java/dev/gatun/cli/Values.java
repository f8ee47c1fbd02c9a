package dev.gatun.cli;

import java.time.Duration;
import java.util.List;
import java.util.Locale;

/** Reads the values of flags; a bad one is answered with the flag, the value and a good example. */
final class Values {
  private Values() {}

  /** A whole number within limits, both included. */
  static int whole(String flag, String value, int low, int high) {
    try {
      int number = Integer.parseInt(value);
      if (number >= low && number <= high) {
        return number;
      }
    } catch (NumberFormatException e) {
      throw CliException.usage(flag + " needs a whole number, not '" + value + "'");
    }
    throw CliException.usage(
        flag
            + (high == Integer.MAX_VALUE
                ? " must be at least " + low
                : " must be from " + low + " to " + high)
            + ", not "
            + value);
  }

  /** A number within limits, both included. */
  static float number(String flag, String value, double low, double high) {
    try {
      float number = Float.parseFloat(value);
      if (number >= low && number <= high) {
        return number;
      }
    } catch (NumberFormatException e) {
      throw CliException.usage(flag + " needs a number, not '" + value + "'");
    }
    throw CliException.usage(
        flag
            + (high == Double.MAX_VALUE
                ? " must be at least " + plain(low)
                : " must be from " + plain(low) + " to " + plain(high))
            + ", not "
            + value);
  }

  /** One of a few words, whatever their case; the answer is in the case of {@code words}. */
  static String word(String flag, String value, List<String> words) {
    for (String word : words) {
      if (word.equalsIgnoreCase(value)) {
        return word;
      }
    }
    throw CliException.usage(
        flag + " must be one of " + String.join(", ", words) + ", not '" + value + "'");
  }

  /** A number of bytes, such as {@code 500M} or {@code 2G}; the units are powers of 1,024. */
  static long byteCount(String flag, String value) {
    return scaled(
        flag,
        value,
        "a size such as 500M or 2G",
        "kmgt",
        new long[] {1L << 10, 1L << 20, 1L << 30, 1L << 40});
  }

  /** A time span, such as {@code 90m}, {@code 12h} or {@code 30d}. */
  static Duration age(String flag, String value) {
    return Duration.ofSeconds(
        scaled(flag, value, "an age such as 12h or 30d", "smhd", new long[] {1, 60, 3600, 86_400}));
  }

  private static long scaled(
      String flag, String value, String example, String units, long[] factors) {
    String text = value.toLowerCase(Locale.ROOT);
    int unit = text.isEmpty() ? -1 : units.indexOf(text.charAt(text.length() - 1));
    try {
      double number = Double.parseDouble(unit < 0 ? text : text.substring(0, text.length() - 1));
      double whole = number * (unit < 0 ? 1 : factors[unit]);
      if (whole >= 0 && whole < 1L << 60) {
        return (long) whole;
      }
    } catch (NumberFormatException e) {
      throw CliException.usage(flag + " needs " + example + ", not '" + value + "'");
    }
    throw CliException.usage(flag + " needs " + example + ", not '" + value + "'");
  }

  private static String plain(double number) {
    return number == Math.rint(number) && Math.abs(number) < 1e9
        ? Long.toString((long) number)
        : Double.toString(number);
  }

  /** A whole number as people read it: {@code 12,345}. */
  static String grouped(long number) {
    return String.format(Locale.ROOT, "%,d", number);
  }

  /** A time as people read it: {@code 45 s}, {@code 3 min 20 s}, {@code 2 h 5 min}. */
  static String duration(double seconds) {
    long whole = Math.round(Math.max(0, seconds));
    if (whole < 60) {
      return whole + " s";
    }
    return whole < 3600
        ? whole / 60 + " min " + whole % 60 + " s"
        : whole / 3600 + " h " + whole % 3600 / 60 + " min";
  }

  /** A number of bytes as people read it, in powers of 1,024. */
  static String bytes(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    String[] units = {"KiB", "MiB", "GiB", "TiB"};
    double value = bytes;
    int unit = -1;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return String.format(Locale.ROOT, "%.2f %s", value, units[unit]);
  }
}
