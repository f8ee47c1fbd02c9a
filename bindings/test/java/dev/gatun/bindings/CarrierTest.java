package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Functions of whole numbers are called through one shape, and every argument arrives. */
class CarrierTest {
  private static final List<Object> ARRIVED = new ArrayList<>();

  @SuppressWarnings("unused") // called from native code
  private static int target(
      MemorySegment p, int i, boolean yes, long l, short s, byte b, int max, boolean no) {
    ARRIVED.addAll(List.of(p.address(), i, yes, l, s, b, max, no));
    return -7;
  }

  @Test
  void argumentsOfEveryWidth_arriveWhole() throws Exception {
    ARRIVED.clear();
    try (Arena arena = Arena.ofConfined()) {
      var type =
          MethodType.methodType(
              int.class,
              MemorySegment.class,
              int.class,
              boolean.class,
              long.class,
              short.class,
              byte.class,
              int.class,
              boolean.class);
      var stub =
          Linker.nativeLinker()
              .upcallStub(
                  MethodHandles.lookup().findStatic(CarrierTest.class, "target", type),
                  FunctionDescriptor.of(
                      ValueLayout.JAVA_INT,
                      ValueLayout.ADDRESS,
                      ValueLayout.JAVA_INT,
                      ValueLayout.JAVA_BOOLEAN,
                      ValueLayout.JAVA_LONG,
                      ValueLayout.JAVA_SHORT,
                      ValueLayout.JAVA_BYTE,
                      ValueLayout.JAVA_INT,
                      ValueLayout.JAVA_BOOLEAN),
                  arena);
      MemorySegment pointer = arena.allocate(8);
      long result =
          call(
              stub,
              pointer,
              of(-5),
              of(1),
              of(Long.MIN_VALUE),
              of((short) -300),
              of((byte) -3),
              of(Integer.MAX_VALUE),
              of(0));
      assertEquals(-7, (int) result);
      assertEquals(
          List.of(
              pointer.address(),
              -5,
              true,
              Long.MIN_VALUE,
              (short) -300,
              (byte) -3,
              Integer.MAX_VALUE,
              false),
          ARRIVED);
    }
  }

  @Test
  void deadSegment_isRefusedBeforeTheCall() throws Exception {
    MemorySegment dead;
    try (Arena arena = Arena.ofConfined()) {
      dead = arena.allocate(8);
    }
    MemorySegment function = Linker.nativeLinker().defaultLookup().findOrThrow("abs");
    assertEquals(3, (int) call(function, of(-3)));
    assertThrows(IllegalStateException.class, () -> call(function, dead));
  }

  @Test
  void heapSegment_isRefused() {
    MemorySegment function = Linker.nativeLinker().defaultLookup().findOrThrow("abs");
    assertThrows(
        IllegalArgumentException.class, () -> call(function, MemorySegment.ofArray(new byte[8])));
  }

  /** The generator writes calls as text; a swapped or forgotten parameter would compile. */
  @Test
  void everyCarriedFunction_passesItsParametersInOrder_andCutsItsResult() throws Exception {
    var body =
        Pattern.compile(
            "public static (\\w+) (\\w+)\\(([^)]*)\\) \\{\\s+([^;]*Carrier\\.call\\([^;]*);");
    int checked = 0;
    for (Path file : GeneratedSet.sources()) {
      if (!file.toString().endsWith("_h.java")) {
        continue;
      }
      Matcher m = body.matcher(Files.readString(file));
      while (m.find()) {
        var call = new StringBuilder("Carrier.call(" + m.group(2) + ".ADDRESS");
        for (String parameter : m.group(3).isBlank() ? new String[0] : m.group(3).split(", ")) {
          String name = parameter.substring(parameter.indexOf(' ') + 1);
          call.append(", ")
              .append(
                  switch (parameter.substring(0, parameter.indexOf(' '))) {
                    case "MemorySegment" -> name;
                    case "boolean" -> "Carrier.of(" + name + " ? 1 : 0)";
                    case "int", "long", "short", "byte" -> "Carrier.of(" + name + ")";
                    default -> throw new IllegalStateException(file + ": " + parameter);
                  });
        }
        call.append(')');
        String expected =
            switch (m.group(1)) {
              case "void" -> call.toString();
              case "boolean" -> "return (byte) " + call + " != 0";
              case "int", "short", "byte" -> "return (" + m.group(1) + ") " + call;
              case "long" -> "return " + call;
              case "MemorySegment" -> "return MemorySegment.ofAddress(" + call + ")";
              default -> throw new IllegalStateException(file + ": " + m.group(1));
            };
        assertEquals(expected, m.group(4), m.group(2));
        checked++;
      }
    }
    assertTrue(checked > 300, checked + " functions");
  }

  private static MemorySegment of(long value) {
    return MemorySegment.ofAddress(value);
  }

  private static long call(MemorySegment function, MemorySegment... arguments) throws Exception {
    Class<?> carrier = Class.forName(GeneratedSet.PACKAGE + ".Carrier");
    Class<?>[] types = new Class<?>[arguments.length + 1];
    java.util.Arrays.fill(types, MemorySegment.class);
    Method method = carrier.getDeclaredMethod("call", types);
    method.setAccessible(true);
    Object[] all = new Object[types.length];
    all[0] = function;
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    try {
      return (long) method.invoke(null, all);
    } catch (InvocationTargetException e) {
      throw (RuntimeException) e.getCause();
    }
  }
}
