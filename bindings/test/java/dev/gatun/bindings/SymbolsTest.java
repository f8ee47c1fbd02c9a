package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.bindings.generated.NativeSymbols;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The list of needed symbols is complete, and the libraries and the generated classes agree. */
class SymbolsTest {
  @Test
  void neededSymbols_areTheFunctionsOfTheGeneratedClasses() throws Exception {
    var functions = new TreeSet<String>();
    for (var f : GeneratedSet.read().functions()) {
      if (!f.owner().equals("mtmd_h")) {
        functions.add(f.name());
      }
    }
    assertEquals(List.copyOf(functions), LibrarySet.neededSymbols());
  }

  @Test
  void neededSymbols_areAllExportedByTheLibraries() {
    TestFiles.natives();
    PlatformName platform = PlatformName.current();
    var libraries = LibrarySet.open(NativeFolder.locate(platform), platform);
    assertEquals(List.of(), libraries.missing(LibrarySet.neededSymbols()));
  }

  @Test
  void pin_namesTheListOfSymbols() throws Exception {
    try (var in = NativeLibraries.class.getResourceAsStream("symbols.txt")) {
      byte[] hash = java.security.MessageDigest.getInstance("SHA-256").digest(in.readAllBytes());
      assertEquals(
          dev.gatun.bindings.generated.Pin.SYMBOLS,
          java.util.HexFormat.of().formatHex(hash).substring(0, 16));
    }
  }

  @Test
  void missingSymbol_isNamed() {
    SymbolLookup all = name -> Optional.of(MemorySegment.ofAddress(1));
    assertEquals(List.of(), LibrarySet.missing(all, List.of("llama_decode", "llama_free")));
    SymbolLookup without = name -> name.equals("llama_decode") ? Optional.empty() : all.find(name);
    assertEquals(List.of("llama_decode"), LibrarySet.missing(without, LibrarySet.neededSymbols()));
  }

  @Test
  void manyMissingSymbols_areCutToAFew() {
    SymbolLookup none = name -> Optional.empty();
    List<String> missing = LibrarySet.missing(none, LibrarySet.neededSymbols());
    assertEquals(LibrarySet.neededSymbols().subList(0, missing.size()), missing);
    assertTrue(missing.size() < 20, missing::toString);
  }

  /** A handle whose type is not that of its method fails at its first call, whenever that is. */
  @Test
  void everyFunction_linksWithTheTypeOfItsMethod() throws Exception {
    TestFiles.natives();
    NativeLibraries.load();
    int linked = 0;
    for (var f : GeneratedSet.read().functions()) {
      if (f.owner().equals("mtmd_h")) {
        continue; // its library is not part of the set yet
      }
      Class<?> owner = Class.forName(GeneratedSet.PACKAGE + "." + f.owner());
      Class<?> holder = Class.forName(owner.getName() + "$" + f.name());
      var descriptor = (FunctionDescriptor) read(holder, "DESC");
      Method method = method(owner, f.name());
      linked++;
      if (has(holder, "ADDRESS")) {
        assertEquals(carriers(descriptor), List.of(method.getParameterTypes()), f.name());
        assertTrue(((MemorySegment) read(holder, "ADDRESS")).address() != 0, f.name());
        continue;
      }
      var handle = (MethodHandle) read(holder, "HANDLE");
      assertEquals(method.getReturnType(), handle.type().returnType(), f.name());
      assertEquals(List.of(method.getParameterTypes()), handle.type().parameterList(), f.name());
      int hidden = handle.type().parameterCount() - descriptor.argumentLayouts().size();
      assertEquals(f.signature().startsWith("s") ? 1 : 0, hidden, f.name());
    }
    assertEquals(LibrarySet.neededSymbols().size(), linked);
  }

  @Test
  void findBeforeLoading_orOfAnUnknownName_isATypedError() throws Exception {
    Method find = NativeSymbols.class.getDeclaredMethod("find", String.class);
    find.setAccessible(true);
    TestFiles.natives();
    NativeLibraries.load();
    var thrown =
        org.junit.jupiter.api.Assertions.assertThrows(
            java.lang.reflect.InvocationTargetException.class,
            () -> find.invoke(null, "llama_no_such_function"));
    assertEquals(
        "the native libraries do not export llama_no_such_function",
        thrown.getCause().getMessage());
  }

  private static boolean has(Class<?> holder, String name) {
    return java.util.Arrays.stream(holder.getDeclaredFields())
        .anyMatch(field -> field.getName().equals(name));
  }

  private static List<Class<?>> carriers(FunctionDescriptor descriptor) {
    return descriptor.toMethodType().parameterList();
  }

  private static Object read(Class<?> holder, String name) throws ReflectiveOperationException {
    Field field = holder.getDeclaredField(name);
    field.setAccessible(true);
    return field.get(null);
  }

  private static Method method(Class<?> owner, String name) {
    for (Method m : owner.getDeclaredMethods()) {
      if (m.getName().equals(name)) {
        return m;
      }
    }
    throw new IllegalStateException("no method " + name);
  }
}
