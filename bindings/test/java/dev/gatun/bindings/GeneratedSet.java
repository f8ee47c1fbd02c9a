package dev.gatun.bindings;

import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.PaddingLayout;
import java.lang.foreign.SequenceLayout;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the committed generated classes say about C: by reflection where a class can be asked
 * without a native library, and from the source text for C snippets and function descriptors.
 *
 * <p>Types are written as kinds, which is all that a call depends on: {@code v} void, {@code z}
 * bool, {@code i4} an integer or enum of 4 bytes, {@code f4} and {@code f8}, {@code p} a pointer,
 * {@code s56} a struct of 56 bytes, {@code a128:i1} an array.
 */
record GeneratedSet(
    List<Struct> structs,
    List<Constant> constants,
    List<Function> functions,
    Map<String, String> callbacks) {
  static final String PACKAGE = "dev.gatun.bindings.generated";

  /** A struct: its C type, and for each field (flattened) its offset and kind. */
  record Struct(
      String name,
      String type,
      long bytes,
      long alignment,
      Map<String, Long> offsets,
      Map<String, String> kinds) {}

  /** A constant; its value is an Integer or a String. */
  record Constant(String name, Object value) {}

  /** A function: the class that holds it, its C prototype and its descriptor's kinds. */
  record Function(String owner, String name, String prototype, String signature) {}

  private static final Pattern FUNCTION =
      Pattern.compile(
          "static final class (\\w+) \\{\\s+static final FunctionDescriptor DESC ="
              + " FunctionDescriptor\\.(of|ofVoid)\\(([^;]*)\\);"
              + "[\\s\\S]*?\\{@snippet lang=c :\\s+\\* ([\\s\\S]*?)\\s+\\* }\\s+\\*/\\s+"
              + "public static \\w+ (\\w+)\\(");

  /** Reads the whole set from the module's source folder and the loaded classes. */
  static GeneratedSet read() throws IOException, ReflectiveOperationException {
    var structs = new ArrayList<Struct>();
    var constants = new ArrayList<Constant>();
    var functions = new ArrayList<Function>();
    var callbacks = new LinkedHashMap<String, String>();
    for (Path file : sources()) {
      String name = file.getFileName().toString().replace(".java", "");
      String text = Files.readString(file);
      Class<?> type = Class.forName(PACKAGE + "." + name);
      if (name.endsWith("_h")) {
        addConstants(type, constants);
        addFunctions(name, text, functions);
      } else if (text.contains("long BYTES = ")) {
        structs.add(struct(type, name, text));
        for (Class<?> nested : type.getDeclaredClasses()) {
          callbacks.put(name + "::" + nested.getSimpleName(), signature(descriptor(nested)));
        }
      } else if (text.contains("interface Function")) {
        callbacks.put(name, signature(descriptor(type)));
      }
    }
    return new GeneratedSet(structs, constants, functions, callbacks);
  }

  static List<Path> sources() throws IOException {
    Path folder = TestFiles.root().resolve("bindings/main/java").resolve(PACKAGE.replace('.', '/'));
    try (var files = Files.list(folder)) {
      return files.filter(f -> f.toString().endsWith(".java")).sorted().toList();
    }
  }

  private static void addConstants(Class<?> type, List<Constant> constants)
      throws IllegalAccessException {
    for (Field field : type.getDeclaredFields()) {
      int modifiers = field.getModifiers();
      if (Modifier.isPublic(modifiers) && Modifier.isStatic(modifiers)) {
        constants.add(new Constant(field.getName(), field.get(null)));
      }
    }
  }

  private static void addFunctions(String owner, String text, List<Function> functions)
      throws ReflectiveOperationException {
    int expected = text.split("static final FunctionDescriptor DESC", -1).length - 1;
    int before = functions.size();
    Matcher m = FUNCTION.matcher(text);
    while (m.find()) {
      if (!m.group(1).equals(m.group(5))) {
        throw new IllegalStateException(m.group(1) + " is followed by " + m.group(5));
      }
      var kinds = new ArrayList<String>();
      for (String layout : m.group(3).strip().split("\\s*,\\s*")) {
        if (!layout.isEmpty()) {
          kinds.add(kind(layout(layout)));
        }
      }
      String result = m.group(2).equals("of") ? kinds.removeFirst() : "v";
      String prototype = m.group(4).replaceAll("\\s+\\*\\s+", " ");
      functions.add(
          new Function(owner, m.group(1), prototype, result + "(" + String.join(",", kinds) + ")"));
    }
    if (functions.size() - before != expected) {
      throw new IllegalStateException(
          owner + ": read " + (functions.size() - before) + " functions of " + expected);
    }
  }

  private static MemoryLayout layout(String expression) throws ReflectiveOperationException {
    if (expression.startsWith("CTypes.")) {
      Class<?> types = Class.forName(PACKAGE + ".CTypes");
      return (MemoryLayout) types.getField(expression.substring("CTypes.".length())).get(null);
    }
    String struct = expression.substring(0, expression.indexOf(".layout()"));
    return (MemoryLayout) Class.forName(PACKAGE + "." + struct).getMethod("layout").invoke(null);
  }

  private static FunctionDescriptor descriptor(Class<?> type) throws ReflectiveOperationException {
    return (FunctionDescriptor) type.getMethod("descriptor").invoke(null);
  }

  private static Struct struct(Class<?> type, String name, String text)
      throws ReflectiveOperationException {
    var offsets = new LinkedHashMap<String, Long>();
    for (Field field : type.getDeclaredFields()) {
      if (field.getName().endsWith("$offset")) {
        offsets.put(field.getName().replace("$offset", ""), field.getLong(null));
      }
    }
    var kinds = new LinkedHashMap<String, String>();
    var layoutOffsets = new LinkedHashMap<String, Long>();
    var layout = (GroupLayout) type.getMethod("layout").invoke(null);
    flatten(layout, 0, kinds, layoutOffsets);
    long bytes = type.getField("BYTES").getLong(null);
    if (!offsets.equals(layoutOffsets) || bytes != layout.byteSize()) {
      throw new IllegalStateException(name + ": the constants and the layout differ");
    }
    boolean tagged = text.contains(" * struct " + name + " {");
    return new Struct(
        name,
        (tagged ? "struct " : "") + name,
        bytes,
        type.getField("ALIGNMENT").getLong(null),
        offsets,
        kinds);
  }

  private static void flatten(
      GroupLayout group, long base, Map<String, String> kinds, Map<String, Long> offsets) {
    boolean union = group instanceof java.lang.foreign.UnionLayout;
    long at = base;
    for (MemoryLayout member : group.memberLayouts()) {
      String name = member.name().orElse("$anon");
      if (!name.startsWith("$anon")) {
        kinds.put(name, kind(member));
        offsets.put(name, at);
      } else if (member instanceof GroupLayout inner) {
        flatten(inner, at, kinds, offsets);
      } else if (!(member instanceof PaddingLayout)) {
        throw new IllegalStateException("a member without a name in " + group);
      }
      at += union ? 0 : member.byteSize();
    }
  }

  private static String signature(FunctionDescriptor descriptor) {
    return descriptor.returnLayout().map(GeneratedSet::kind).orElse("v")
        + "("
        + String.join(",", descriptor.argumentLayouts().stream().map(GeneratedSet::kind).toList())
        + ")";
  }

  private static String kind(MemoryLayout layout) {
    return switch (layout) {
      case ValueLayout.OfBoolean _ -> "z";
      case ValueLayout.OfFloat _ -> "f4";
      case ValueLayout.OfDouble _ -> "f8";
      case AddressLayout _ -> "p";
      case ValueLayout v -> "i" + v.byteSize();
      case SequenceLayout s -> "a" + s.elementCount() + ":" + kind(s.elementLayout());
      case GroupLayout g -> "s" + g.byteSize();
      case PaddingLayout _ -> throw new IllegalStateException("padding has no kind");
    };
  }
}
