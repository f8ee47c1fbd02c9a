package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.bindings.generated.llama_h;
import dev.gatun.bindings.generated.llama_progress_callback;
import dev.gatun.bindings.generated.llama_token_data;
import dev.gatun.bindings.generated.llama_token_data_array;
import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What Java throws inside an upcall is kept for the caller, and the JVM goes on. */
class CallbacksTest {
  @Test
  void progress_isPassedOn_andItsAnswerPassedBack() throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      var seen = new ArrayList<Float>();
      ProgressCallback callback =
          ProgressCallback.of(
              f -> {
                seen.add(f);
                return f < 0.5f;
              });
      MethodHandle call = progress(callback, arena);
      assertTrue((boolean) call.invokeExact(0.25f, MemorySegment.NULL));
      assertFalse((boolean) call.invokeExact(0.75f, MemorySegment.NULL));
      assertEquals(List.of(0.25f, 0.75f), seen);
      assertTrue(callback.failure().isEmpty());
    }
  }

  @Test
  void exceptionInProgress_isStored_andStopsTheLoad() throws Throwable {
    for (Throwable thrown :
        List.of(
            new IllegalArgumentException("from a listener"),
            new StackOverflowError("an error, too"),
            new java.io.IOException("sneaky"))) {
      try (Arena arena = Arena.ofConfined()) {
        var calls = new AtomicInteger();
        ProgressCallback callback =
            ProgressCallback.of(
                _ -> {
                  calls.incrementAndGet();
                  throw CallbacksTest.<RuntimeException>sneaky(thrown);
                });
        MethodHandle call = progress(callback, arena);
        assertFalse((boolean) call.invokeExact(0.1f, MemorySegment.NULL));
        assertFalse((boolean) call.invokeExact(0.2f, MemorySegment.NULL));
        assertSame(thrown, callback.failure().orElseThrow());
        assertEquals(1, calls.get(), "a listener that threw must not be called again");
      }
    }
  }

  @Test
  void sampler_callsJavaFromNativeCode() {
    TestFiles.natives();
    NativeLibraries.load();
    try (Arena arena = Arena.ofConfined()) {
      var accepted = new ArrayList<Integer>();
      var resets = new AtomicInteger();
      SamplerCallbacks callbacks =
          SamplerCallbacks.of(
              new SamplerCallbacks.Work() {
                @Override
                public void apply(MemorySegment candidates) {
                  llama_token_data_array.selected(candidates, 1);
                }

                @Override
                public void accept(int token) {
                  accepted.add(token);
                }

                @Override
                public void reset() {
                  resets.incrementAndGet();
                }
              });
      MemorySegment sampler = callbacks.newSampler(arena);
      MemorySegment candidates = candidates(arena);
      llama_h.llama_sampler_apply(sampler, candidates);
      llama_h.llama_sampler_accept(sampler, 7);
      llama_h.llama_sampler_reset(sampler);
      llama_h.llama_sampler_free(sampler);
      assertEquals(1, llama_token_data_array.selected(candidates));
      assertEquals(List.of(7), accepted);
      assertEquals(1, resets.get());
      assertTrue(callbacks.takeFailure().isEmpty());
    }
  }

  /**
   * llama.cpp's warnings ask a sampler for its name and do not look whether it has the function.
   */
  @Test
  void sampler_hasAName() {
    TestFiles.natives();
    NativeLibraries.load();
    try (Arena arena = Arena.ofConfined()) {
      SamplerCallbacks callbacks =
          SamplerCallbacks.of(
              new SamplerCallbacks.Work() {
                @Override
                public void apply(MemorySegment candidates) {}

                @Override
                public void accept(int token) {}

                @Override
                public void reset() {}
              });
      MemorySegment sampler = callbacks.newSampler(arena);
      assertEquals("java", Segments.utf8(llama_h.llama_sampler_name(sampler), 16));
      llama_h.llama_sampler_free(sampler);
    }
  }

  @Test
  void exceptionInSampler_isStored_firstOneWins_andIsTakenOnce() {
    TestFiles.natives();
    NativeLibraries.load();
    try (Arena arena = Arena.ofConfined()) {
      var first = new IllegalStateException("apply");
      SamplerCallbacks callbacks =
          SamplerCallbacks.of(
              new SamplerCallbacks.Work() {
                @Override
                public void apply(MemorySegment candidates) {
                  throw first;
                }

                @Override
                public void accept(int token) {
                  throw new IllegalStateException("accept");
                }

                @Override
                public void reset() {
                  throw new AssertionError("reset");
                }
              });
      MemorySegment sampler = callbacks.newSampler(arena);
      llama_h.llama_sampler_apply(sampler, candidates(arena));
      llama_h.llama_sampler_accept(sampler, 7);
      assertSame(first, callbacks.takeFailure().orElseThrow());
      assertTrue(callbacks.takeFailure().isEmpty());
      llama_h.llama_sampler_reset(sampler);
      assertEquals("reset", callbacks.takeFailure().orElseThrow().getMessage());
      llama_h.llama_sampler_free(sampler);
    }
  }

  /** Sampler code reads candidates through this segment only; it ends where the struct ends. */
  @Test
  void candidatesOfASampler_haveTheirSize() {
    TestFiles.natives();
    NativeLibraries.load();
    try (Arena arena = Arena.ofConfined()) {
      var sizes = new ArrayList<Long>();
      SamplerCallbacks callbacks =
          SamplerCallbacks.of(
              new SamplerCallbacks.Work() {
                @Override
                public void apply(MemorySegment candidates) {
                  sizes.add(candidates.byteSize());
                  sizes.add(llama_token_data_array.data(candidates).byteSize());
                }

                @Override
                public void accept(int token) {}

                @Override
                public void reset() {}
              });
      MemorySegment sampler = callbacks.newSampler(arena);
      llama_h.llama_sampler_apply(sampler, candidates(arena));
      llama_h.llama_sampler_free(sampler);
      assertEquals(List.of(llama_token_data_array.BYTES, 0L), sizes);
      assertTrue(callbacks.takeFailure().isEmpty());
    }
  }

  private static MemorySegment candidates(Arena arena) {
    MemorySegment array = llama_token_data_array.allocate(arena);
    llama_token_data_array.data(array, llama_token_data.allocateArray(2, arena));
    llama_token_data_array.size(array, 2);
    llama_token_data_array.selected(array, -1);
    return array;
  }

  private static MethodHandle progress(ProgressCallback callback, Arena arena) {
    return Linker.nativeLinker()
        .downcallHandle(callback.pointer(arena), llama_progress_callback.descriptor());
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> T sneaky(Throwable thrown) throws T {
    throw (T) thrown;
  }
}
