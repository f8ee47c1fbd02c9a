package dev.gatun.bindings;

import dev.gatun.bindings.generated.Pin;
import dev.gatun.bindings.generated.gatun_shim_h;
import dev.gatun.bindings.generated.llama_context_params;
import dev.gatun.bindings.generated.llama_model_params;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Compares the loaded libraries with the bindings before anything else is called: every symbol, the
 * shim's ABI number, the tree they were built from, and defaults of C read through the Java
 * layouts.
 */
final class StartupCheck {
  private static final int LOAD_MODE_AUTO = -1;
  private static final int N_BATCH = 2048;
  private static final int N_UBATCH = 512;
  private static final int TYPE_F16 = 1;

  private StartupCheck() {}

  /**
   * Checks.
   *
   * @throws NativeLoadError naming what differs
   */
  static void run(LibrarySet libraries, NativeFolder folder) {
    StartupNote note = StartupNote.of(folder);
    if (!note.exists()) {
      List<String> missing = libraries.missing(LibrarySet.neededSymbols());
      if (!missing.isEmpty()) {
        throw unfit(folder, "they do not export " + String.join(", ", missing));
      }
      note.write();
    }
    int abi = gatun_shim_h.gatun_shim_abi();
    if (abi != gatun_shim_h.GATUN_SHIM_ABI) {
      throw unfit(
          folder,
          "the shim has ABI " + abi + " and this version needs " + gatun_shim_h.GATUN_SHIM_ABI);
    }
    String tree = Segments.utf8(gatun_shim_h.gatun_llama_tree(), 64);
    if (!tree.equals(Pin.TREE)) {
      throw unfit(
          folder,
          "they were built from the llama.cpp tree %s and this version needs %s (%s)"
              .formatted(tree, Pin.TREE, Pin.TAG));
    }
    try (Arena arena = Arena.ofConfined()) {
      canaries(folder, arena);
    }
  }

  /** A default at the wrong place means that the layout has changed. */
  private static void canaries(NativeFolder folder, Arena arena) {
    MemorySegment model = arena.allocate(llama_model_params.BYTES, llama_model_params.ALIGNMENT);
    gatun_shim_h.gatun_model_default_params(model);
    boolean good =
        llama_model_params.n_gpu_layers(model) == -1
            && llama_model_params.load_mode(model) == LOAD_MODE_AUTO
            && !llama_model_params.vocab_only(model)
            && llama_model_params.use_extra_bufts(model)
            && !llama_model_params.load_mtp(model);
    MemorySegment context =
        arena.allocate(llama_context_params.BYTES, llama_context_params.ALIGNMENT);
    gatun_shim_h.gatun_context_default_params(context);
    good &=
        llama_context_params.n_batch(context) == N_BATCH
            && llama_context_params.n_ubatch(context) == N_UBATCH
            && llama_context_params.yarn_ext_factor(context) == -1f
            && llama_context_params.type_v(context) == TYPE_F16
            && llama_context_params.offload_kqv(context)
            && llama_context_params.swa_full(context)
            && !llama_context_params.kv_unified(context);
    if (!good) {
      throw unfit(folder, "their default parameters do not read as those of " + Pin.TAG);
    }
  }

  private static NativeLoadError unfit(NativeFolder folder, String why) {
    return new NativeLoadError(
        "The native libraries in "
            + folder.path()
            + " do not fit this version of Gatun: "
            + why
            + "; build them again (cmake -P native/build.cmake) or take the gatun-native jar of"
            + " this version");
  }
}
