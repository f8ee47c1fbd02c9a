package dev.gatun.bindings;

import dev.gatun.bindings.generated.gatun_shim_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Loads the back-end modules of a folder one by one and remembers what became of each. The CPU back
 * end comes in variants, of which the one with the highest score on this machine is loaded.
 *
 * <p>Used inside the loader's lock.
 */
final class Backends {
  static final String PROPERTY = "gatun.backends";
  static final String VARIABLE = "GATUN_BACKENDS";

  private static final String PREFIX = "ggml-";
  private static final String CPU = "cpu";
  private static final String RPC = "rpc";
  private static final int MESSAGE_BYTES = 4096;

  private final NativeFolder folder;
  private final PlatformName platform;
  private final List<String> wanted;
  private final List<BackendStatus> statuses = new ArrayList<>();

  Backends(NativeFolder folder, PlatformName platform) {
    this.folder = folder;
    this.platform = platform;
    String setting = Settings.value(PROPERTY, VARIABLE).toLowerCase(Locale.ROOT);
    this.wanted = setting.isEmpty() ? List.of() : List.of(setting.split("[,\\s]+"));
  }

  List<BackendStatus> statuses() {
    return List.copyOf(statuses);
  }

  /**
   * Loads the GPU back ends and the CPU; a GPU that does not load leaves the CPU.
   *
   * @throws NativeLoadError if no CPU variant runs on this machine
   */
  void load() {
    List<String> variants = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      for (String file : folder.files()) {
        String name = nameOf(file);
        if (name.equals(CPU) || name.startsWith(CPU + "-")) {
          variants.add(file);
        } else if (name.equals(RPC)) {
          skip(file, "loaded when a remote device is added");
        } else if (!name.isEmpty()) {
          loadGpu(file, name, arena);
        }
      }
      loadCpu(variants, arena);
    }
  }

  /**
   * Loads a back end that waits to be asked for.
   *
   * @param backend its name, such as {@code rpc}
   * @throws NativeLoadError if it is not there or does not load
   */
  void loadOnDemand(String backend) {
    for (int i = 0; i < statuses.size(); i++) {
      BackendStatus status = statuses.get(i);
      if (status.name().equals(backend)) {
        if (status.loaded()) {
          return;
        }
        try (Arena arena = Arena.ofConfined()) {
          String failure = tryLoad(status.path(), arena);
          statuses.set(i, result(backend, status.path(), failure));
          if (failure.isEmpty()) {
            return;
          }
          throw new NativeLoadError(
              "the back end "
                  + backend
                  + " does not load: "
                  + failure
                  + "; gatun doctor shows more");
        }
      }
    }
    throw new NativeLoadError(
        "the back end "
            + backend
            + " is not in "
            + folder.path()
            + "; build the natives with it, or take the gatun-native jar that holds it");
  }

  private void loadGpu(String file, String name, Arena arena) {
    if (!wanted.isEmpty() && !wanted.contains(name)) {
      skip(file, "not in " + PROPERTY);
      return;
    }
    Path path = folder.path().resolve(file);
    statuses.add(result(name, path, tryLoad(path, arena)));
  }

  private void loadCpu(List<String> variants, Arena arena) {
    // To ask every variant for its score opens every one; the answer for this processor is kept.
    String processor = variants.size() > 1 ? Processor.description() : "";
    if (loadRemembered(variants, processor, arena)) {
      return;
    }
    String best = "";
    int bestScore = 0;
    List<BackendStatus> failed = new ArrayList<>();
    List<String> usable = new ArrayList<>();
    for (String file : variants) {
      // The only one is tried without a question: ggml asks for the score, too.
      int score = variants.size() == 1 ? 1 : score(file, arena, failed);
      if (score >= 0) {
        usable.add(file);
      }
      if (score > bestScore) {
        best = file;
        bestScore = score;
      }
    }
    statuses.addAll(failed);
    for (String file : usable) {
      if (file.equals(best)) {
        Path path = folder.path().resolve(file);
        String failure = tryLoad(path, arena);
        statuses.add(result(nameOf(file), path, failure));
        if (!failure.isEmpty()) {
          throw new NativeLoadError(
              "the CPU back end "
                  + path
                  + " does not load: "
                  + failure
                  + "; build the natives again");
        }
      } else {
        skip(
            file,
            best.isEmpty() ? "this machine cannot run it" : "a variant suits this machine better");
      }
    }
    if (best.isEmpty()) {
      throw noCpu(variants, failed);
    }
    if (failed.isEmpty()) {
      StartupNote.ofVariant(folder, processor, best).write();
    }
  }

  /** Loads the variant that suited this processor best before; ggml itself refuses a wrong one. */
  private boolean loadRemembered(List<String> variants, String processor, Arena arena) {
    for (String best : variants) {
      if (StartupNote.ofVariant(folder, processor, best).exists()) {
        Path path = folder.path().resolve(best);
        if (!tryLoad(path, arena).isEmpty()) {
          return false;
        }
        for (String file : variants) {
          if (file.equals(best)) {
            statuses.add(result(nameOf(file), path, ""));
          } else {
            skip(file, "a variant suits this machine better");
          }
        }
        return true;
      }
    }
    return false;
  }

  private NativeLoadError noCpu(List<String> variants, List<BackendStatus> failed) {
    var reasons = new StringBuilder();
    for (BackendStatus status : failed) {
      reasons.append("; ").append(status.name()).append(": ").append(status.detail());
    }
    return new NativeLoadError(
        "no CPU back end in %s runs on this machine (%s)%s; build the natives on this machine (cmake -P native/build.cmake)"
            .formatted(
                folder.path(),
                variants.isEmpty() ? "there is none" : String.join(", ", variants),
                reasons));
  }

  /** Returns how well a variant suits this machine, 0 if it does not; negative after a failure. */
  private int score(String file, Arena arena, List<BackendStatus> failed) {
    MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
    MemorySegment error = arena.allocate(MESSAGE_BYTES);
    Path path = folder.path().resolve(file);
    int status =
        gatun_shim_h.gatun_backend_score(
            arena.allocateFrom(path.toString()), out, error, MESSAGE_BYTES);
    if (status != gatun_shim_h.GATUN_OK) {
      failed.add(result(nameOf(file), path, reason(error)));
      return -1;
    }
    return Math.max(0, out.get(ValueLayout.JAVA_INT, 0));
  }

  /** Returns why the module does not load; "" when it does. */
  private static String tryLoad(Path path, Arena arena) {
    MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
    MemorySegment error = arena.allocate(MESSAGE_BYTES);
    int status =
        gatun_shim_h.gatun_backend_load(
            arena.allocateFrom(path.toString()), out, error, MESSAGE_BYTES);
    if (status == gatun_shim_h.GATUN_OK) {
      return "";
    }
    return reason(error);
  }

  private static String reason(MemorySegment error) {
    String message = error.getString(0).strip();
    return message.isEmpty() ? "ggml gives no reason" : message;
  }

  private static BackendStatus result(String name, Path path, String failure) {
    return new BackendStatus(
        name,
        path,
        failure.isEmpty() ? BackendStatus.State.LOADED : BackendStatus.State.FAILED,
        failure);
  }

  private void skip(String file, String why) {
    statuses.add(
        new BackendStatus(
            nameOf(file), folder.path().resolve(file), BackendStatus.State.SKIPPED, why));
  }

  /** Returns {@code cpu-zen4} for {@code libggml-cpu-zen4.so}; "" for what is no back end. */
  private String nameOf(String file) {
    String library = platform.libraryOf(file);
    if (!library.startsWith(PREFIX) || library.equals(PREFIX + "base")) {
      return "";
    }
    return library.substring(PREFIX.length());
  }
}
