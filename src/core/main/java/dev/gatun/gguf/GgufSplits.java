package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Finds the parts of a model that is split over several files; checks that they fit together. */
final class GgufSplits {
  static final String NUMBER = "split.no";
  static final String COUNT = "split.count";
  static final String TENSORS = "split.tensors.count";

  // The numbers are written in 16 bits.
  private static final int MAX_PARTS = 65_535;
  private static final Pattern NAME = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})\\.gguf");

  private GgufSplits() {}

  /** One part: where it lies and what it holds. */
  record Part(Path path, GgufParser.Parsed parsed) {}

  /** Returns the name of part {@code index}, counted from 0: {@code prefix-00001-of-00003.gguf}. */
  static String partName(String prefix, int index, int count) {
    return String.format(Locale.ROOT, "%s-%05d-of-%05d.gguf", prefix, index + 1, count);
  }

  /** Returns all parts in order, given one of them. */
  static List<Part> resolve(
      Path path, GgufParser.Parsed opened, BiFunction<Path, Integer, GgufParser.Parsed> parser) {
    int count = number(path, opened.metadata(), COUNT, MAX_PARTS);
    if (count <= 1) {
      return List.of(new Part(path, opened));
    }
    int number = number(path, opened.metadata(), NUMBER, MAX_PARTS);
    if (number >= count) {
      throw fault(path, "says it is part " + (number + 1) + " of " + count);
    }
    Matcher matcher = NAME.matcher(String.valueOf(path.getFileName()));
    if (!matcher.matches()) {
      throw new GgufFormatException(
          path
              + " is part "
              + (number + 1)
              + " of "
              + count
              + ", but its name does not end in -0000N-of-0000M.gguf, so the other parts cannot be"
              + " found; give it its original name");
    }
    String expected = partName(matcher.group(1), number, count);
    if (!expected.equals(String.valueOf(path.getFileName()))) {
      throw fault(path, "holds part " + (number + 1) + " of " + count + ", so its name is wrong");
    }
    List<Path> paths = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      Path part = path.resolveSibling(partName(matcher.group(1), i, count));
      if (!Files.isRegularFile(part)) {
        throw new GgufFormatException(
            path
                + " is part "
                + (number + 1)
                + " of "
                + count
                + " and part "
                + (i + 1)
                + " ("
                + part.getFileName()
                + ") is not beside it; put all parts into one folder");
      }
      paths.add(part);
    }
    List<Part> parts = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      parts.add(new Part(paths.get(i), parser.apply(paths.get(i), i)));
    }
    check(parts);
    return List.copyOf(parts);
  }

  private static void check(List<Part> parts) {
    Map<String, GgufValue> first = parts.getFirst().parsed().metadata();
    Path firstPath = parts.getFirst().path();
    Set<String> names = new HashSet<>();
    long tensors = 0;
    for (int i = 0; i < parts.size(); i++) {
      Path path = parts.get(i).path();
      GgufParser.Parsed parsed = parts.get(i).parsed();
      int count = number(path, parsed.metadata(), COUNT, MAX_PARTS);
      int number = number(path, parsed.metadata(), NUMBER, MAX_PARTS);
      if (count != parts.size() || number != i) {
        throw fault(
            path,
            "says it is part "
                + (number + 1)
                + " of "
                + count
                + ", not part "
                + (i + 1)
                + " of "
                + parts.size());
      }
      for (String key : List.of("general.architecture", "general.name", TENSORS)) {
        GgufValue here = parsed.metadata().get(key);
        GgufValue there = first.get(key);
        if (here != null && there != null && !here.equals(there)) {
          throw fault(
              path,
              "does not belong to "
                  + firstPath.getFileName()
                  + ": key '"
                  + key
                  + "' is "
                  + here
                  + " here and "
                  + there
                  + " there");
        }
      }
      for (GgufTensor tensor : parsed.tensors()) {
        if (!names.add(tensor.name())) {
          throw fault(path, "holds tensor '" + tensor.name() + "', which an earlier part holds");
        }
      }
      tensors += parsed.tensors().size();
    }
    int stated = number(firstPath, first, TENSORS, Integer.MAX_VALUE);
    if (stated != tensors) {
      throw fault(firstPath, "promises " + stated + " tensors, but the parts hold " + tensors);
    }
  }

  private static int number(Path path, Map<String, GgufValue> metadata, String key, int limit) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      if (key.equals(COUNT)) {
        return 0;
      }
      throw fault(path, "has no key '" + key + "'");
    }
    if (!(value instanceof GgufValue.Whole whole) || whole.value() < 0 || whole.value() > limit) {
      throw fault(path, "has the value " + value + " for key '" + key + "'");
    }
    // Native code ends the process on another type in the second part and after.
    if (!key.equals(TENSORS) && whole.type() != GgufType.UINT16) {
      throw fault(path, "has key '" + key + "' as " + whole.type() + " instead of UINT16");
    }
    return (int) whole.value();
  }

  private static GgufFormatException fault(Path path, String what) {
    return new GgufFormatException(
        path + " " + what + "; download all parts of the model again, from one place");
  }
}
