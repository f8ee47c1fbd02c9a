package dev.gatun.bench;

import dev.gatun.ContextOptions;
import dev.gatun.Generation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.internal.ContextParameters;
import dev.gatun.internal.ModelParameters;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.internal.NativeModel;
import dev.gatun.internal.NativeSampler;
import dev.gatun.internal.RopeParameters;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a generated token costs beside {@code llama_decode}, on a model with a 32,000-token
 * vocabulary and hardly any weights, with llama.cpp's usual chain of samplers.
 *
 * <p>Compare the medians. {@link #token} is a token through the public API. {@link #nativeCalls}
 * makes the same native calls (decode, and the chain on the same logits) and nothing else. {@link
 * #decode} is the decode alone. So {@code token - nativeCalls} is Gatun's own cost, and {@code
 * nativeCalls - decode} is llama.cpp's for the samplers.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 8, time = 2)
@Fork(2)
public class TokenOverhead {
  private static final int CONTEXT = 512;
  private static final Sampler CHAIN = Sampler.defaults(42);

  private Path file;
  private LlamaModel model;
  private LlamaContext context;
  private LlamaSession session;
  private Generation generation;
  private NativeModel nativeModel;
  private NativeContext nativeContext;
  private NativeSampler nativeSampler;
  private int position;
  private int next;

  /** Makes the model and one context for each way. */
  @Setup
  public void open() throws IOException {
    Path tiny =
        Path.of(System.getProperty("gatun.root"))
            .resolve("src/cli/main/resources/dev/gatun/cli/gatun-tiny-f16.gguf");
    file = Files.createTempFile("overhead", ".gguf");
    SyntheticModel.write(SyntheticModel.Shape.named("vocab32k-tiny"), tiny, file, 1);
    model = LlamaModel.load(file);
    context =
        model.newContext(
            ContextOptions.defaults()
                .withContextTokens(CONTEXT)
                .withThreads(1)
                .withBatchThreads(1));
    session = context.newSession();
    nativeModel =
        NativeModel.load(
            List.of(file), new ModelParameters(-1, -1, false, false, List.of(), f -> true, false));
    nativeContext =
        new NativeContext(
            nativeModel,
            new ContextParameters(
                CONTEXT,
                2048,
                512,
                1,
                1,
                1,
                50,
                1,
                1,
                -1,
                RopeParameters.ofModel(false),
                false,
                true,
                false),
            "bench");
    nativeSampler = NativeSampler.create(nativeModel, CHAIN);
    position = CONTEXT;
  }

  /** Frees everything. */
  @TearDown
  public void close() throws IOException {
    if (generation != null) {
      generation.close();
    }
    session.close();
    context.close();
    model.close();
    nativeSampler.close();
    nativeContext.close();
    nativeModel.release();
    Files.delete(file);
  }

  /** One token through the public API: decode, sampler chain, text, stop strings. */
  @Benchmark
  public Object token() {
    if (generation == null || session.remaining() < 2) {
      restart();
    }
    return generation.next().orElseThrow();
  }

  private void restart() {
    if (generation != null) {
      generation.close();
    }
    session.clear();
    generation =
        session.generate(
            new int[] {1},
            GenerationOptions.defaults()
                .withSampler(CHAIN)
                .withStops(List.of("</never>", "<|never|>"))
                .withIgnoreEndOfGeneration(true));
  }

  /** The same native calls, bare. */
  @Benchmark
  public int nativeCalls() {
    decode();
    next = nativeSampler.sample(nativeContext.handle(), -1);
    return next;
  }

  /** The decode alone. */
  @Benchmark
  public int decode() {
    if (position >= CONTEXT - 1) {
      NativeMemory.removeAll(nativeContext, 0);
      position = 0;
    }
    nativeContext.put(0, next, position++, 0, true);
    return nativeContext.decode(1);
  }
}
