package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.bindings.generated.CTypes;
import dev.gatun.bindings.generated.llama_batch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import org.junit.jupiter.api.Test;

/** A pointer gets its bounds and its owner in one place, and they hold. */
class SegmentsTest {
  private static GuardPage guardPage() throws Throwable {
    TestFiles.linux("guard pages are mapped on Linux only");
    return GuardPage.map();
  }

  @Test
  void nullPointer_isRefused_neverSized() {
    try (Arena arena = Arena.ofConfined()) {
      var freed = new ArrayList<MemorySegment>();
      for (Runnable call :
          new Runnable[] {
            () -> Segments.sized(MemorySegment.NULL, 8),
            () -> Segments.utf8(MemorySegment.NULL, 8),
            () -> Segments.owned(MemorySegment.NULL, arena, freed::add)
          }) {
        var thrown = assertThrows(IllegalStateException.class, call::run);
        assertTrue(thrown.getMessage().contains("NULL"), thrown::getMessage);
      }
      assertTrue(freed.isEmpty(), "NULL would have been freed");
    }
  }

  @Test
  void sizedSegment_enforcesItsBounds() throws Throwable {
    GuardPage guard = guardPage();
    MemorySegment sized = Segments.sized(guard.last(8), 8);
    sized.set(ValueLayout.JAVA_LONG, 0, 42);
    assertEquals(42, sized.get(ValueLayout.JAVA_LONG, 0));
    assertThrows(IndexOutOfBoundsException.class, () -> sized.get(ValueLayout.JAVA_BYTE, 8));
    assertThrows(
        IndexOutOfBoundsException.class, () -> sized.set(ValueLayout.JAVA_BYTE, 8, (byte) 1));
    assertThrows(
        IndexOutOfBoundsException.class, () -> sized.get(ValueLayout.JAVA_LONG_UNALIGNED, 1));
    assertThrows(IndexOutOfBoundsException.class, () -> sized.asSlice(0, 9));
    assertThrows(IndexOutOfBoundsException.class, () -> sized.get(ValueLayout.JAVA_BYTE, -1));
  }

  /** The check above is worth something only if an unchecked read would really end the JVM. */
  @Test
  void uncheckedReadPastTheBorder_endsAJvm() throws Exception {
    TestFiles.linux("guard pages are mapped on Linux only");
    var result =
        ChildJvm.modular("-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null", ChildJvm.GRANT)
            .run("stray-read");
    assertTrue(result.text().contains("about=to read"), result::toString);
    assertFalse(result.text().contains("done=yes"), result::toString);
    assertFalse(result.status() == 0, result::toString);
  }

  @Test
  void rawPointer_cannotBeReadAtAll() throws Throwable {
    MemorySegment raw = guardPage().last(8);
    assertThrows(IndexOutOfBoundsException.class, () -> raw.get(ValueLayout.JAVA_BYTE, 0));
  }

  @Test
  void structTooSmallForItsField_isRefused() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment small = arena.allocate(llama_batch.BYTES - 8, llama_batch.ALIGNMENT);
      assertEquals(0, llama_batch.n_tokens(small));
      assertThrows(IndexOutOfBoundsException.class, () -> llama_batch.logits(small));
    }
  }

  @Test
  void truthValuesAndPointers_areReadAndWrittenAsCDoes() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment struct = arena.allocate(16, 8);
      CTypes.bool(struct, 3, true);
      assertEquals(1, struct.get(ValueLayout.JAVA_BYTE, 3));
      assertTrue(struct.get(ValueLayout.JAVA_BOOLEAN, 3));
      assertTrue(CTypes.bool(struct, 3));
      CTypes.bool(struct, 3, false);
      assertFalse(CTypes.bool(struct, 3));
      CTypes.pointer(struct, 8, struct);
      assertEquals(struct.address(), struct.get(ValueLayout.ADDRESS, 8).address());
      assertEquals(struct.address(), CTypes.pointer(struct, 8).address());
      assertEquals(0, CTypes.pointer(struct, 8).byteSize());
      assertThrows(IndexOutOfBoundsException.class, () -> CTypes.pointer(struct, 16));
      assertThrows(IllegalArgumentException.class, () -> CTypes.pointer(struct, 4));
    }
  }

  /** The address of a heap segment is an offset: C would read memory of somebody else. */
  @Test
  void heapSegment_isNeverWrittenAsAPointer() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment struct = llama_batch.allocate(arena);
      MemorySegment heap = MemorySegment.ofArray(new int[4]);
      assertThrows(IllegalArgumentException.class, () -> llama_batch.token(struct, heap));
      assertEquals(0, llama_batch.token(struct).address());
    }
  }

  @Test
  void utf8_stopsAtItsLimit_evenAtAPageBorder() throws Throwable {
    MemorySegment last = guardPage().last(3);
    Segments.sized(last, 3).copyFrom(MemorySegment.ofArray("abc".getBytes(StandardCharsets.UTF_8)));
    assertEquals("abc", Segments.utf8(last, 3));
    assertEquals("ab", Segments.utf8(last, 2));
    assertEquals("", Segments.utf8(last, 0));
  }

  @Test
  void utf8_stopsAtNul_andReplacesBadBytes() {
    try (Arena arena = Arena.ofConfined()) {
      byte[] bytes = {'g', (byte) 0xC3, (byte) 0xA4, (byte) 0xFF, '!', 0, 'x'};
      MemorySegment text = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
      assertEquals("g\u00e4\ufffd!", Segments.utf8(text, bytes.length));
    }
  }

  @Test
  void ownedPointer_isFreedOnceByItsArena_andDeadAfterwards() {
    var freed = new ArrayList<Long>();
    MemorySegment owned;
    try (Arena arena = Arena.ofConfined()) {
      owned = Segments.owned(MemorySegment.ofAddress(0x1000), arena, p -> freed.add(p.address()));
      assertEquals(0, owned.byteSize());
      assertTrue(owned.scope().isAlive());
    }
    assertEquals(java.util.List.of(0x1000L), freed);
    assertFalse(owned.scope().isAlive());
  }
}
