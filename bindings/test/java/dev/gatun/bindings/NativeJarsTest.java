package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Libraries come out of jars whole, once, and also when several JVMs start at the same time. */
class NativeJarsTest {
  private static final PlatformName HERE = PlatformName.current();

  @TempDir Path folder;

  @Test
  void firstStart_unpacksEveryFile() throws Exception {
    NativeFolder unpacked = unpack(jar("core", files("a", "b")));
    assertEquals(folder.resolve("cache/natives"), unpacked.path().getParent());
    assertTrue(unpacked.path().getFileName().toString().startsWith(HERE + "-"));
    assertEquals(List.of("liba.so", "libb.so"), unpacked.files());
    assertEquals("library a", Files.readString(unpacked.path().resolve("liba.so")));
    assertEquals(List.of(), unpacked.problems());
    assertEquals(1, finishedFolders().size());
  }

  @Test
  void secondStart_touchesNothing() throws Exception {
    Path jar = jar("core", files("a", "b"));
    Path first = unpack(jar).path();
    Map<String, String> before = states(first);
    assertEquals(first, unpack(jar).path());
    assertEquals(before, states(first));
    assertEquals(3, before.size(), before::toString);
  }

  @Test
  void otherContent_livesBesideTheFirst() throws Exception {
    Path first = unpack(jar("core", files("a"))).path();
    Path second = unpack(jar("core", files("b"))).path();
    assertFalse(first.equals(second));
    assertEquals(2, finishedFolders().size());
    assertEquals("library a", Files.readString(first.resolve("liba.so")));
  }

  @Test
  void jarOfAGpuBackEnd_joinsTheCore() throws Exception {
    Path core = unpack(jar("core", files("a"))).path();
    NativeFolder both = unpack(jar("core", files("a")), jar("vulkan", files("ggml-vulkan")));
    assertEquals(List.of("liba.so", "libggml-vulkan.so"), both.files());
    assertFalse(core.equals(both.path()));
    assertEquals(2, both.indexes().size());
  }

  @Test
  void damagedFileInTheJar_isRefusedByName_andLeavesNothing() throws Exception {
    Map<String, String> files = files("a", "b");
    Path jar = jar("core", files, Map.of("libb.so", "LIBRARY b"));
    var thrown = assertThrows(NativeLoadError.class, () -> unpack(jar));
    assertContains(thrown, "libb.so", jar.getFileName().toString(), "damaged", "download");
    assertEquals(List.of(), finishedFolders());
    assertEquals(List.of(), unfinishedFolders());
  }

  @Test
  void cutFileInTheJar_isRefusedByName() throws Exception {
    Path jar = jar("core", files("a", "b"), Map.of("libb.so", "lib"));
    assertContains(
        assertThrows(NativeLoadError.class, () -> unpack(jar)), "libb.so", "3 bytes", "damaged");
    assertEquals(List.of(), finishedFolders());
  }

  @Test
  void fileMissingFromTheJar_isRefusedByName() throws Exception {
    Path jar = jar("core", files("a", "b"), Map.of("libb.so", ""));
    assertContains(
        assertThrows(NativeLoadError.class, () -> unpack(jar)), "libb.so is missing from the jar");
    assertEquals(List.of(), finishedFolders());
  }

  @Test
  void cutFileInAFinishedFolder_isMended() throws Exception {
    Path jar = jar("core", files("a", "b"));
    Path unpacked = unpack(jar).path();
    Files.writeString(unpacked.resolve("liba.so"), "lib");
    NativeFolder mended = unpack(jar);
    assertEquals(unpacked, mended.path());
    assertEquals(List.of(), mended.problems());
    assertEquals(List.of(), unfinishedFolders());
  }

  @Test
  void fileMissingFromAFinishedFolder_isMended() throws Exception {
    Path jar = jar("core", files("a", "b"));
    Path unpacked = unpack(jar).path();
    Files.delete(unpacked.resolve("libb.so"));
    assertEquals(List.of(), unpack(jar).problems());
    assertEquals("library b", Files.readString(unpacked.resolve("libb.so")));
  }

  @Test
  void indexMissingFromAFinishedFolder_isMended() throws Exception {
    Path jar = jar("core", files("a", "b"));
    Path unpacked = unpack(jar).path();
    Files.delete(unpacked.resolve("core.index"));
    assertEquals(1, unpack(jar).indexes().size());
  }

  @Test
  void leftoversOfADeadJvm_areRemoved() throws Exception {
    Path jar = jar("core", files("a"));
    Path unpacked = unpack(jar).path();
    Path dead = unpacked.resolveSibling(unpacked.getFileName() + ".tmp-4711");
    Files.createDirectories(dead);
    Files.writeString(dead.resolve("liba.so"), "half");
    Files.delete(unpacked.resolve("liba.so"));
    unpack(jar);
    assertFalse(Files.exists(dead));
  }

  @Test
  void noJar_isRefusedWithTheClassifier() {
    var thrown = assertThrows(NativeLoadError.class, this::unpack);
    assertContains(thrown, "classifier " + HERE, "gatun-native", "gatun.native.dir");
  }

  @Test
  void cacheThatCannotBeWritten_isRefusedWithTheSetting() throws Exception {
    Path jar = jar("core", files("a"));
    Path cache = Files.writeString(folder.resolve("cache"), "a file");
    assertContains(
        assertThrows(NativeLoadError.class, () -> unpack(jar)),
        cache.toString(),
        "gatun.cache.dir",
        "GATUN_CACHE_DIR");
  }

  @Test
  void manyThreadsOfOneJvm_unpackOnce() throws Exception {
    Path jar = jar("core", files("a", "b", "c"));
    int threads = 8;
    var barrier = new CyclicBarrier(threads);
    try (var pool = Executors.newFixedThreadPool(threads)) {
      Callable<Path> start =
          () -> {
            barrier.await();
            return unpack(jar).path();
          };
      var found = new ArrayList<Path>();
      for (var future : pool.invokeAll(java.util.Collections.nCopies(threads, start))) {
        found.add(future.get());
      }
      assertEquals(1, found.stream().distinct().count());
    }
    assertEquals(1, finishedFolders().size());
    assertEquals(List.of(), unfinishedFolders());
  }

  /** The real libraries, an empty cache, and two JVMs that start at the same moment. */
  @Test
  void twoJvmsAtOnce_bothLoad_andOneFolderIsLeft() throws Exception {
    Path jar = jarOf(TestFiles.natives());
    var child =
        ChildJvm.classPath(
            List.of(jar),
            ChildJvm.GRANT_CLASS_PATH,
            "-Dgatun.cache.dir=" + folder.resolve("cache"));
    // Both read a byte before they load, so that neither is ahead by the start of its JVM.
    Process one = child.start("wait", "load", "verify");
    Process two = child.start("wait", "load", "verify");
    for (Process p : List.of(one, two)) {
      p.getOutputStream().write('\n');
      p.getOutputStream().flush();
    }
    var first = ChildJvm.finish(one);
    var second = ChildJvm.finish(two);
    assertEquals(0, first.status(), first::toString);
    assertEquals(0, second.status(), second::toString);
    assertEquals(List.of(), first.values("problem"));
    assertEquals(List.of(), second.values("problem"));
    assertEquals(first.value("folder"), second.value("folder"));
    assertEquals(List.of(Path.of(first.value("folder"))), finishedFolders());
    assertEquals(List.of(), unfinishedFolders());

    Map<String, String> before = states(Path.of(first.value("folder")));
    var third = child.run("load");
    assertEquals(first.value("folder"), third.value("folder"));
    assertEquals(before, states(Path.of(first.value("folder"))));
  }

  private NativeFolder unpack(Path... jars) throws IOException {
    URL[] urls = new URL[jars.length];
    for (int i = 0; i < jars.length; i++) {
      urls[i] = jars[i].toUri().toURL();
    }
    try (var loader = new URLClassLoader(urls, ClassLoader.getPlatformClassLoader())) {
      return NativeJars.unpacked(HERE, folder.resolve("cache"), loader);
    }
  }

  private static Map<String, String> files(String... names) {
    var files = new LinkedHashMap<String, String>();
    for (String name : names) {
      files.put(HERE.fileNames(name).getFirst(), "library " + name);
    }
    return files;
  }

  private Path jar(String component, Map<String, String> files) throws IOException {
    return jar(component, files, Map.of());
  }

  /** A jar whose index tells of {@code files}; {@code instead} replaces some, "" leaves one out. */
  private Path jar(String component, Map<String, String> files, Map<String, String> instead)
      throws IOException {
    Path jar = Files.createTempFile(folder, component, ".jar");
    String root = NativeJars.ROOT + HERE + "/";
    var lines = new ArrayList<String>();
    try (var out = new ZipOutputStream(Files.newOutputStream(jar))) {
      for (var e : files.entrySet()) {
        lines.add(TestFiles.line(e.getKey(), TestFiles.bytes(e.getValue())));
        String content = instead.getOrDefault(e.getKey(), e.getValue());
        if (!content.isEmpty()) {
          out.putNextEntry(new ZipEntry(root + e.getKey()));
          out.write(TestFiles.bytes(content));
        }
      }
      out.putNextEntry(new ZipEntry(root + component + NativeIndex.SUFFIX));
      out.write(TestFiles.bytes(TestFiles.index(HERE.toString(), lines.toArray(String[]::new))));
    }
    return jar;
  }

  private Path jarOf(Path natives) throws IOException {
    Path jar = folder.resolve("natives.jar");
    String root = NativeJars.ROOT + HERE + "/";
    try (var out = new ZipOutputStream(Files.newOutputStream(jar));
        var files = Files.list(natives)) {
      out.setLevel(1);
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        out.putNextEntry(new ZipEntry(root + file.getFileName()));
        Files.copy(file, out);
      }
    }
    return jar;
  }

  private List<Path> finishedFolders() throws IOException {
    return folders(false);
  }

  private List<Path> unfinishedFolders() throws IOException {
    return folders(true);
  }

  private List<Path> folders(boolean unfinished) throws IOException {
    Path root = folder.resolve("cache/natives");
    if (!Files.isDirectory(root)) {
      return List.of();
    }
    try (var files = Files.list(root)) {
      return files
          .filter(Files::isDirectory)
          .filter(f -> f.getFileName().toString().contains(".tmp-") == unfinished)
          .toList();
    }
  }

  /** What would change if a file were written again. */
  private static Map<String, String> states(Path folder) throws IOException {
    var states = new TreeMap<String, String>();
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        var a = Files.readAttributes(file, BasicFileAttributes.class);
        states.put(
            file.getFileName().toString(),
            a.fileKey() + " " + a.lastModifiedTime() + " " + a.size());
      }
    }
    return states;
  }

  private static void assertContains(NativeLoadError thrown, String... parts) {
    for (String part : parts) {
      assertTrue(
          thrown.getMessage().contains(part), () -> part + " is not in: " + thrown.getMessage());
    }
  }
}
