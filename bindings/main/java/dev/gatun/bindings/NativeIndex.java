package dev.gatun.bindings;

import java.util.ArrayList;
import java.util.List;

/**
 * The list of files of one native component, as the native build writes it.
 *
 * <p>First line {@code # gatun-native 1 <tag> <tree> <platform>}, then one {@code <sha256> <bytes>
 * <file>} a line, in the order in which the libraries depend on each other.
 *
 * @param origin where the text came from, for messages
 * @param tag llama.cpp's release
 * @param tree llama.cpp's git tree id
 * @param platform what the files run on
 * @param entries the files
 */
record NativeIndex(String origin, String tag, String tree, String platform, List<Entry> entries) {
  static final String SUFFIX = ".index";

  /**
   * One file.
   *
   * @param sha256 64 lower-case hexadecimal digits
   * @param bytes its size
   * @param file its plain name
   */
  record Entry(String sha256, long bytes, String file) {}

  NativeIndex {
    entries = List.copyOf(entries);
  }

  /**
   * Reads an index.
   *
   * @throws NativeLoadError if the text is not one
   */
  static NativeIndex parse(String origin, String text) {
    var entries = new ArrayList<Entry>();
    String[] head = {};
    for (String raw : text.split("\n")) {
      String line = raw.strip();
      if (line.isEmpty()) {
        continue;
      }
      if (head.length == 0) {
        head = line.split(" ");
        if (head.length != 6 || !head[0].equals("#") || !head[1].equals("gatun-native")) {
          throw bad(origin, "its first line is '" + line + "'");
        }
        if (!head[2].equals("1")) {
          throw bad(
              origin, "it has format " + head[2] + " and this version of Gatun reads format 1");
        }
        continue;
      }
      if (!line.startsWith("#")) {
        entries.add(entry(origin, line));
      }
    }
    if (head.length == 0 || entries.isEmpty()) {
      throw bad(origin, "it lists no file");
    }
    return new NativeIndex(origin, head[3], head[4], head[5], entries);
  }

  private static Entry entry(String origin, String line) {
    int first = line.indexOf(' ');
    int second = line.indexOf(' ', first + 1);
    if (first != 64 || second < 0) {
      throw bad(origin, "it has the line '" + line + "'");
    }
    String file = line.substring(second + 1);
    // A name that is a path could write outside the folder it is unpacked into.
    if (file.isEmpty()
        || file.startsWith(".")
        || file.indexOf('/') >= 0
        || file.indexOf('\\') >= 0
        || file.indexOf(':') >= 0) {
      throw bad(origin, "'" + file + "' is not a plain file name");
    }
    try {
      long bytes = Long.parseLong(line.substring(first + 1, second));
      if (bytes >= 0) {
        return new Entry(line.substring(0, first), bytes, file);
      }
    } catch (NumberFormatException e) {
      // Falls through: the same message as for a negative size.
    }
    throw bad(origin, "it has the line '" + line + "'");
  }

  private static NativeLoadError bad(String origin, String why) {
    return new NativeLoadError(
        origin + " is not an index of native libraries: " + why + "; build or download it again");
  }
}
