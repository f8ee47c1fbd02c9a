package dev.gatun.bindings;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes C from what the generated classes say, compiles it against the real headers, and compares.
 *
 * <p>Sizes, alignments, offsets, constants and prototypes are C, because that is how the libraries
 * see the headers; a prototype that differs from its header does not compile. The kinds of fields,
 * parameters and results need templates, and are C++.
 */
final class AbiProbe {
  private static final String INCLUDES =
      """
      #include "llama.h"
      #include "ggml.h"
      #include "ggml-alloc.h"
      #include "ggml-backend.h"
      #include "ggml-cpu.h"
      #include "ggml-rpc.h"
      #include "gguf.h"
      #include "mtmd.h"
      #include "gatun_shim.h"
      #include <stddef.h>
      #include <stdio.h>
      """;

  private static final String KINDS =
      """
      #include <string>
      #include <type_traits>
      template <class T> std::string kind() {
        using U = std::remove_cv_t<T>;
        if constexpr (std::is_void_v<U>) return "v";
        else if constexpr (std::is_same_v<U, bool>) return "z";
        else if constexpr (std::is_pointer_v<U>) return "p";
        else if constexpr (std::is_array_v<U>)
          return "a" + std::to_string(std::extent_v<U>) + ":" + kind<std::remove_extent_t<U>>();
        else if constexpr (std::is_floating_point_v<U>) return "f" + std::to_string(sizeof(U));
        else if constexpr (std::is_class_v<U>) return "s" + std::to_string(sizeof(U));
        else if constexpr (std::is_enum_v<U> || std::is_integral_v<U>)
          return "i" + std::to_string(sizeof(U));
        else return "?";
      }
      template <class T> struct Sig;
      template <class R, class... A> struct Sig<R(A...)> {
        static std::string text() {
          std::string s = kind<R>() + "(";
          const char * comma = "";
          ((s += comma + kind<A>(), comma = ","), ...);
          return s + ")";
        }
      };
      template <class R, class... A> struct Sig<R (*)(A...)> : Sig<R(A...)> {};
      static void line(const char * key, const std::string & value) {
        printf("%s=%s\\n", key, value.c_str());
      }
      """;

  private final Path work;
  private final List<Path> includes;

  /**
   * Creates a probe.
   *
   * @param work where sources and programs are written
   * @param llama the pinned tree
   * @param first folders of headers that go before those of the tree
   */
  AbiProbe(Path work, Path llama, Path... first) {
    assumeTrue(works("cc"), "no C compiler named cc on the PATH: install one to run this test");
    assumeTrue(works("c++"), "no C++ compiler named c++ on the PATH: install one to run this test");
    this.work = work;
    this.includes = new ArrayList<>(List.of(first));
    for (String folder : List.of("include", "ggml/include", "tools/mtmd")) {
      includes.add(llama.resolve(folder));
    }
    includes.add(TestFiles.root().resolve("native/shim"));
  }

  /** Returns what differs between the Java side and the headers; what the compilers say, too. */
  List<String> differences(GeneratedSet set) throws IOException, InterruptedException {
    var expected = new TreeMap<String, String>();
    String c = cProgram(set, expected);
    var differences = new ArrayList<String>();
    var actual = new LinkedHashMap<String, String>();
    run("cc", "-std=c11", "probe.c", c, actual, differences);
    int facts = expected.size();
    String cpp = cppProgram(set, expected);
    if (expected.size() > facts) {
      run("c++", "-std=c++17", "probe.cpp", cpp, actual, differences);
    }
    if (differences.isEmpty()) {
      compare(expected, actual, differences);
    }
    return differences;
  }

  /** Returns how many facts the programs print for a set. */
  static int facts(GeneratedSet set) {
    var expected = new TreeMap<String, String>();
    cProgram(set, expected);
    cppProgram(set, expected);
    return expected.size() + set.functions().size();
  }

  private static void compare(
      Map<String, String> expected, Map<String, String> actual, List<String> differences) {
    for (var e : expected.entrySet()) {
      String value = actual.getOrDefault(e.getKey(), "nothing");
      if (!value.equals(e.getValue())) {
        differences.add(
            e.getKey() + ": the bindings say " + e.getValue() + ", the headers " + value);
      }
    }
  }

  private static String cProgram(GeneratedSet set, Map<String, String> expected) {
    var out = new StringBuilder(INCLUDES);
    for (var f : set.functions()) {
      out.append(f.prototype()).append(";\n");
    }
    out.append("int main(void) {\n");
    for (var s : set.structs()) {
      number(out, expected, "sizeof " + s.name(), "sizeof(%s)".formatted(s.type()), s.bytes());
      number(
          out, expected, "alignof " + s.name(), "_Alignof(%s)".formatted(s.type()), s.alignment());
      s.offsets()
          .forEach(
              (field, offset) ->
                  number(
                      out,
                      expected,
                      "offsetof " + s.name() + "." + field,
                      "offsetof(%s, %s)".formatted(s.type(), field),
                      offset));
    }
    for (var c : set.constants()) {
      if (c.value() instanceof Integer i) {
        number(out, expected, "constant " + c.name(), "(int) (" + c.name() + ")", i);
      } else {
        String key = "constant " + c.name();
        expected.put(key, c.value().toString());
        out.append("  printf(\"%s=%%s\\n\", %s);\n".formatted(key, c.name()));
      }
    }
    return out.append("  return 0;\n}\n").toString();
  }

  private static void number(
      StringBuilder out, Map<String, String> expected, String key, String c, long value) {
    expected.put(key, Long.toString(value));
    out.append("  printf(\"%s=%%lld\\n\", (long long) %s);\n".formatted(key, c));
  }

  private static String cppProgram(GeneratedSet set, Map<String, String> expected) {
    var out = new StringBuilder(INCLUDES).append(KINDS).append("int main() {\n");
    for (var s : set.structs()) {
      s.kinds()
          .forEach(
              (field, kind) -> {
                String key = "kind " + s.name() + "." + field;
                expected.put(key, kind);
                out.append(
                    "  line(\"%s\", kind<decltype(%s::%s)>());\n".formatted(key, s.name(), field));
              });
    }
    for (var f : set.functions()) {
      signature(out, expected, f.name(), f.signature());
    }
    set.callbacks().forEach((name, text) -> signature(out, expected, name, text));
    return out.append("  return 0;\n}\n").toString();
  }

  private static void signature(
      StringBuilder out, Map<String, String> expected, String name, String value) {
    String key = "signature " + name;
    expected.put(key, value);
    // A function's name is an expression; a typedef is a type, and so is a struct's member.
    boolean type = !value.isEmpty() && isCallback(name);
    String of = name.contains("::") || !type ? "decltype(" + name + ")" : name;
    out.append("  line(\"%s\", Sig<%s>::text());\n".formatted(key, of));
  }

  private static boolean isCallback(String name) {
    try {
      Class.forName(GeneratedSet.PACKAGE + "." + name.replace("::", "$"));
      return true;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }

  private void run(
      String compiler,
      String standard,
      String file,
      String source,
      Map<String, String> actual,
      List<String> differences)
      throws IOException, InterruptedException {
    Path path = work.resolve(file);
    Path program = work.resolve(file + ".exe");
    Files.writeString(path, source);
    var command = new ArrayList<>(List.of(compiler, standard, "-w", "-O0"));
    for (Path folder : includes) {
      command.add("-I" + folder);
    }
    // Unresolved functions do not matter: decltype and declarations do not call them.
    command.addAll(List.of(path.toString(), "-o", program.toString()));
    Output compiled = output(command);
    if (compiled.status() != 0) {
      for (String line : compiled.text().split("\n")) {
        if (line.contains("error:")) {
          differences.add(line);
        }
      }
      if (differences.isEmpty()) {
        differences.add(compiler + " failed: " + compiled.text());
      }
      return;
    }
    Output ran = output(List.of(program.toString()));
    if (ran.status() != 0) {
      differences.add(file + " ended with " + ran.status());
    }
    for (String line : ran.text().split("\n")) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        actual.put(line.substring(0, equals), line.substring(equals + 1));
      }
    }
  }

  private record Output(int status, String text) {}

  private static Output output(List<String> command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Output(process.waitFor(), text);
  }

  private static boolean works(String compiler) {
    try {
      return output(List.of(compiler, "--version")).status() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
