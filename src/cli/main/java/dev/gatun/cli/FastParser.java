package dev.gatun.cli;

import dev.gatun.cli.OptionTable.Option;
import dev.gatun.cli.OptionTable.Positional;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads a command line that is plainly right. Whatever is not (an unknown name, a missing value, a
 * cluster of short names, a call for help) it leaves to {@link Picocli}, which reads the same table
 * and explains.
 */
final class FastParser {
  private FastParser() {}

  /**
   * Applies the arguments.
   *
   * @param table what there is
   * @param args all arguments
   * @param first index of the first argument to read
   * @return whether the line was plainly right; {@code false} means that nothing has been applied
   */
  static boolean parse(OptionTable table, String[] args, int first) {
    List<Option> options = new ArrayList<>(args.length);
    List<String> values = new ArrayList<>(args.length);
    List<String> positionals = new ArrayList<>(2);
    boolean onlyPositionals = false;
    for (int i = first; i < args.length; i++) {
      String arg = args[i];
      if (onlyPositionals || arg.length() < 2 || arg.charAt(0) != '-') {
        positionals.add(arg);
        continue;
      }
      if (arg.equals("--")) {
        onlyPositionals = true;
        continue;
      }
      Option option = table.option(arg);
      String value = "true";
      if (option == null) {
        int equals = arg.indexOf('=');
        option = equals < 0 ? null : table.option(arg.substring(0, equals));
        if (option == null || !option.takesValue()) {
          return false;
        }
        value = arg.substring(equals + 1);
      } else if (option.takesValue()) {
        if (++i == args.length || table.option(args[i]) != null) {
          return false;
        }
        value = args[i];
      }
      options.add(option);
      values.add(value);
    }
    @Nullable Positional positional = table.positional();
    if (positionals.size() > (positional == null ? 0 : positional.most())) {
      return false;
    }
    for (int i = 0; i < options.size(); i++) {
      options.get(i).setter().set(values.get(i));
    }
    if (positional != null) {
      for (String value : positionals) {
        positional.setter().set(value);
      }
    }
    return true;
  }
}
