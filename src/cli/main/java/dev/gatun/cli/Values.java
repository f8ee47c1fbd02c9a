package dev.gatun.cli;

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
