package dev.gatun.cli;

import dev.gatun.ContextOptions;
import dev.gatun.FlashAttention;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.SparseAttention;
import dev.gatun.offload.GpuLayers;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.RopeSpec;
import dev.gatun.rope.StaticScaling;
import java.util.ArrayList;
import java.util.List;

/** What {@code bench} varies: every flag takes a list, and every combination is one test. */
final class BenchGrid {
  /**
   * One test.
   *
   * @param model which model, by its index in the list that was given
   * @param gpuLayers layers on GPUs
   * @param promptTokens tokens read at once
   * @param answerTokens tokens decoded one by one
   * @param depth tokens that the context holds before
   * @param options threads, batches, types
   */
  record Test(
      int model,
      GpuLayers gpuLayers,
      int promptTokens,
      int answerTokens,
      int depth,
      ContextOptions options) {
    /** Returns the name that llama-bench gives such a test. */
    String name() {
      String name =
          answerTokens == 0
              ? "pp" + promptTokens
              : promptTokens == 0
                  ? "tg" + answerTokens
                  : "pp" + promptTokens + "+tg" + answerTokens;
      return depth == 0 ? name : name + " @ d" + depth;
    }

    int contextTokens() {
      return promptTokens + answerTokens + depth;
    }
  }

  private static final int MOST = 1 << 24;

  private List<Integer> prompts = List.of(512);
  private List<Integer> answers = List.of(128);
  private final List<int[]> both = new ArrayList<>();
  private List<Integer> depths = List.of(0);
  private List<Integer> threads = List.of(ContextOptions.defaults().threads());
  private List<Integer> batches = List.of(2048);
  private List<Integer> microBatches = List.of(512);
  private List<Integer> polls = List.of(50);
  private List<KvCacheType> keyTypes = List.of(KvCacheType.F16);
  private List<KvCacheType> valueTypes = List.of(KvCacheType.F16);
  private List<FlashAttention> flashAttention = List.of(FlashAttention.AUTO);
  private List<GpuLayers> gpuLayers = List.of(GpuLayers.all());
  private List<Boolean> hostKv = List.of(false);
  private SparseAttention sparse = SparseAttention.full();
  private List<RopeScaling> ropes = List.of(RopeScaling.modelDefault());

  void declare(OptionTable table) {
    table
        .group(
            "Tests (every flag takes a list such as 1,2,4 or a range such as 1-8*2 or"
                + " 256-1024+256):")
        .value(
            "-p,--n-prompt",
            "N",
            "Tokens read at once; 0 leaves the test out (512).",
            v -> prompts = ranges("-p", v, 0, MOST))
        .value(
            "-n,--n-gen",
            "N",
            "Tokens decoded one by one; 0 leaves the test out (128).",
            v -> answers = ranges("-n", v, 0, MOST))
        .value(
            "-pg",
            "P,N",
            "Read P and decode N in one test; may be given several times.",
            this::both)
        .value(
            "-d,--n-depth",
            "N",
            "Tokens in the context before (0).",
            v -> depths = ranges("-d", v, 0, MOST))
        .value(SharedFlag.THREADS, v -> threads = ranges("-t", v, 1, 512))
        .value(SharedFlag.BATCH, v -> batches = ranges("-b", v, 1, 1 << 20))
        .value(SharedFlag.MICRO_BATCH, v -> microBatches = ranges("-ub", v, 1, 1 << 20))
        .value(SharedFlag.KEY_TYPE, v -> keyTypes = types("--kv-k", v))
        .value(SharedFlag.VALUE_TYPE, v -> valueTypes = types("--kv-v", v))
        .value(SharedFlag.FLASH_ATTENTION, this::flashAttention)
        .value(
            "--rope",
            "SPEC",
            "Position scaling, such as rerope:64 or yarn:8; several with semicolons (model).",
            this::ropes)
        .value(SharedFlag.SPARSE, v -> sparse = SparseFlag.parse(v))
        .value("-ngl,--n-gpu-layers", "N|all", "Layers on GPUs (all).", this::gpuLayers)
        .value(
            "-nkvo,--no-kv-offload", "0|1", "Keep the KV cache in host memory (0).", this::hostKv)
        .value(SharedFlag.POLL, v -> polls = ranges("--poll", v, 0, 100));
  }

  private void both(String value) {
    String[] parts = value.split(",");
    if (parts.length != 2) {
      throw CliException.usage("-pg needs two numbers such as 512,128, not '" + value + "'");
    }
    both.add(
        new int[] {Values.whole("-pg", parts[0], 1, MOST), Values.whole("-pg", parts[1], 1, MOST)});
  }

  private void flashAttention(String value) {
    List<FlashAttention> list = new ArrayList<>();
    for (String part : value.split(",")) {
      list.add(ContextFlags.flashAttention("-fa", part));
    }
    flashAttention = list;
  }

  private void ropes(String value) {
    List<RopeScaling> list = new ArrayList<>();
    for (String part : value.split(";")) {
      try {
        RopeSpec spec = RopeSpec.parse(part.strip());
        RopeScaling scaling = spec.at(2);
        if (spec.followsLength() && scaling instanceof StaticScaling) {
          throw CliException.usage(
              "--rope " + part + " needs a factor here, such as " + spec.name() + ":8");
        }
        list.add(scaling);
      } catch (IllegalArgumentException e) {
        throw CliException.usage("--rope: " + e.getMessage());
      }
    }
    ropes = list;
  }

  private void gpuLayers(String value) {
    List<GpuLayers> list = new ArrayList<>();
    for (String part : value.split(",")) {
      list.add(ModelFlags.gpuLayers("-ngl", part));
    }
    gpuLayers = list;
  }

  private void hostKv(String value) {
    List<Boolean> list = new ArrayList<>();
    for (String part : value.split(",")) {
      list.add(Values.whole("-nkvo", part, 0, 1) == 1);
    }
    hostKv = list;
  }

  private static List<KvCacheType> types(String flag, String value) {
    List<KvCacheType> list = new ArrayList<>();
    for (String part : value.split(",")) {
      list.add(ContextFlags.kvType(flag, part));
    }
    return list;
  }

  /** Reads {@code 1,2,8-32*2,100-300+100}. */
  static List<Integer> ranges(String flag, String value, int low, int high) {
    List<Integer> numbers = new ArrayList<>();
    for (String part : value.split(",", -1)) {
      int dash = part.indexOf('-', 1);
      if (dash < 0) {
        numbers.add(Values.whole(flag, part, low, high));
        continue;
      }
      int times = part.indexOf('*', dash);
      int plus = part.indexOf('+', dash);
      int end = times > 0 ? times : plus > 0 ? plus : part.length();
      int first = Values.whole(flag, part.substring(0, dash), low, high);
      int last = Values.whole(flag, part.substring(dash + 1, end), first, high);
      int step = end == part.length() ? 1 : Values.whole(flag, part.substring(end + 1), 1, high);
      if (times > 0 && (step < 2 || first == 0)) {
        throw CliException.usage(flag + " never reaches the end of the range '" + part + "'");
      }
      for (long n = first; n <= last; n = times > 0 ? n * step : n + step) {
        numbers.add((int) n);
        if (numbers.size() > 10_000) {
          throw CliException.usage(flag + " has more than 10,000 values: '" + value + "'");
        }
      }
    }
    return numbers;
  }

  /** Returns every combination, models outermost, so that each is loaded as seldom as possible. */
  List<Test> tests(int models) {
    List<int[]> sizes = new ArrayList<>();
    prompts.stream().filter(p -> p > 0).forEach(p -> sizes.add(new int[] {p, 0}));
    answers.stream().filter(n -> n > 0).forEach(n -> sizes.add(new int[] {0, n}));
    sizes.addAll(both);
    List<Test> tests = new ArrayList<>();
    for (int model = 0; model < models; model++) {
      for (GpuLayers layers : gpuLayers) {
        for (ContextOptions options : contexts()) {
          for (int depth : depths) {
            for (int[] size : sizes) {
              int tokens = size[0] + size[1] + depth;
              tests.add(
                  new Test(
                      model,
                      layers,
                      size[0],
                      size[1],
                      depth,
                      options.withContextTokens(Math.max(2, tokens))));
            }
          }
        }
      }
    }
    return tests;
  }

  private List<ContextOptions> contexts() {
    return ropes.stream().flatMap(rope -> contexts(rope).stream()).toList();
  }

  private List<ContextOptions> contexts(RopeScaling rope) {
    List<ContextOptions> all = new ArrayList<>();
    ContextOptions base =
        ContextOptions.defaults().withRopeScaling(rope).withSparseAttention(sparse);
    for (int batch : batches) {
      for (int micro : microBatches) {
        for (KvCacheType k : keyTypes) {
          for (KvCacheType v : valueTypes) {
            for (boolean host : hostKv) {
              for (FlashAttention fa : flashAttention) {
                for (int count : threads) {
                  for (int poll : polls) {
                    all.add(
                        base.withBatchTokens(batch)
                            .withMicroBatchTokens(micro)
                            .withKeyType(k)
                            .withFlashAttention(fa)
                            .withValueType(v)
                            .withOffloadKv(!host)
                            .withThreads(count)
                            .withBatchThreads(count)
                            .withPolling(poll));
                  }
                }
              }
            }
          }
        }
      }
    }
    return all;
  }
}
