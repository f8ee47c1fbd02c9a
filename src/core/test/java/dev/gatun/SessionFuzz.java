package dev.gatun;

import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.internal.NativeCells;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * What drives contexts at random: the seed, how often each operation was done, and what to say when
 * one goes wrong.
 *
 * @param <O> what may happen
 */
abstract class SessionFuzz<O extends Enum<O>> {
  final List<LlamaModel> models;
  final long seed;
  final Random random;
  final Map<O, Integer> counts;
  final List<String> history = new ArrayList<>();
  FuzzContext chosen;
  int refusals;

  SessionFuzz(List<LlamaModel> models, long seed, Class<O> operations) {
    this.models = models;
    this.seed = seed;
    this.random = new Random(seed);
    this.counts = new EnumMap<>(operations);
    this.chosen = new FuzzContext(models.getFirst(), ContextOptions.defaults());
    for (O operation : operations.getEnumConstants()) {
      counts.put(operation, 0);
    }
  }

  /** A small model of one of the families. */
  static Path shape(Path folder, Family family, int layers, int headSize) {
    return ReferenceFiles.write(folder, family, layers, 2 * headSize, 2, 1);
  }

  /** Operations by how often they come: each once, and some again. */
  static <O> List<O> mix(Stream<O> each, List<O> again) {
    return Stream.concat(each, again.stream()).toList();
  }

  int done(O operation) {
    return counts.get(operation);
  }

  void count(O operation) {
    counts.merge(operation, 1, Integer::sum);
  }

  <T> T any(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  int[] tokens(int count) {
    return random.ints(count, 3, ReferenceFiles.VOCABULARY).toArray();
  }

  /** Runs a call that a model may not be able to do; tells whether it was done. */
  boolean allowed(boolean mayBeUnsupported, Runnable call) {
    try {
      call.run();
      return true;
    } catch (UnsupportedOperationForModelException e) {
      require(mayBeUnsupported, () -> "refused without a reason: " + e);
      refusals++;
      return false;
    }
  }

  /** Says what led to a failure, so that it can be had again. */
  AssertionError failure(String more, Throwable cause) {
    return new AssertionError(
        "seed %d, %s with %s%s: %s"
            .formatted(seed, chosen.model(), chosen.options(), more, history),
        cause);
  }

  /** Positions of a session's cells in the context. */
  static int[] cells(LlamaSession session) {
    session.enter();
    try {
      return NativeCells.positions(
          session.nativeContext(), session.cells().sequence(), 0, NativeCells.END);
    } finally {
      session.exit();
    }
  }

  static void require(boolean holds, String what) {
    require(holds, () -> what);
  }

  static void require(boolean holds, Supplier<String> what) {
    if (!holds) {
      throw new AssertionError(what.get());
    }
  }
}
