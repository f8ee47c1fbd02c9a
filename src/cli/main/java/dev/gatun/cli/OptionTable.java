package dev.gatun.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The flags and positional arguments of a command as data. Two readers use it: {@link FastParser},
 * which costs next to nothing at start, and {@link Picocli}, which writes help, suggestions and
 * completion scripts. Written as data because reading annotations of a hundred flags by reflection
 * takes longer than the rest of a warm start.
 */
final class OptionTable {
  /** Takes a value; throws {@link CliException} when it is not a good one. */
  @FunctionalInterface
  interface Setter {
    void set(String value);
  }

  /**
   * One flag.
   *
   * @param names all names, the short one first
   * @param label what the value is, for help; empty for a flag without a value
   * @param text one sentence of help
   * @param group heading under which help shows it
   * @param setter takes the value; {@code "true"} for a flag without one
   */
  record Option(List<String> names, String label, String text, String group, Setter setter) {
    boolean takesValue() {
      return !label.isEmpty();
    }
  }

  /**
   * The positional arguments.
   *
   * @param label name in help
   * @param text one sentence of help
   * @param most how many there may be
   * @param setter takes each one
   */
  record Positional(String label, String text, int most, Setter setter) {}

  private final List<Option> options = new ArrayList<>(128);
  private final Map<String, Option> byName = new HashMap<>(512);
  private String group = "Options:";
  private @Nullable Positional positional;

  /** Starts a group; the flags that follow stand under this heading. */
  OptionTable group(String heading) {
    group = heading;
    return this;
  }

  /** Adds a flag without a value. */
  OptionTable flag(String names, String text, Runnable setter) {
    return add(names, "", text, value -> setter.run());
  }

  /** Adds a flag with a value. */
  OptionTable value(String names, String label, String text, Setter setter) {
    return add(names, label, text, setter);
  }

  /** Adds a flag with a value that other commands have, too. */
  OptionTable value(SharedFlag flag, Setter setter) {
    return add(flag.names(), flag.label(), flag.text(), setter);
  }

  /** Adds a flag without a value that other commands have, too. */
  OptionTable flag(SharedFlag flag, Runnable setter) {
    return flag(flag.names(), flag.text(), setter);
  }

  /** Declares the positional arguments. */
  OptionTable positional(String label, String text, int most, Setter setter) {
    positional = new Positional(label, text, most, setter);
    return this;
  }

  private OptionTable add(String names, String label, String text, Setter setter) {
    List<String> list = new ArrayList<>(4);
    int from = 0;
    for (int comma; (comma = names.indexOf(',', from)) >= 0; from = comma + 1) {
      list.add(names.substring(from, comma));
    }
    list.add(names.substring(from));
    Option option = new Option(list, label, text, group, setter);
    options.add(option);
    for (String name : list) {
      if (byName.put(name, option) != null) {
        throw new IllegalStateException("two flags are called " + name);
      }
    }
    return this;
  }

  List<Option> options() {
    return options;
  }

  @Nullable Option option(String name) {
    return byName.get(name);
  }

  @Nullable Positional positional() {
    return positional;
  }
}
