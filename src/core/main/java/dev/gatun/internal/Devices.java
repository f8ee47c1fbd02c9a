package dev.gatun.internal;

import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_backend_reg;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_by_name;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_count;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_description;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_get;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_memory;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_name;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_dev_type;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_reg_name;

import dev.gatun.bindings.Segments;
import dev.gatun.offload.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** The devices of the loaded back ends. Thread-safe once the back ends are loaded. */
public final class Devices {
  private static final int MAX_NAME_BYTES = 1024;

  private Devices() {}

  /** Returns the devices, in the order of the registry. */
  public static List<Device> list() {
    List<Device> devices = new ArrayList<>();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment free = call.allocate(ValueLayout.JAVA_LONG);
      MemorySegment total = call.allocate(ValueLayout.JAVA_LONG);
      long count = ggml_backend_dev_count();
      for (long i = 0; i < count; i++) {
        MemorySegment device = ggml_backend_dev_get(i);
        ggml_backend_dev_memory(device, free, total);
        devices.add(
            new Device(
                text(ggml_backend_dev_name(device)),
                text(ggml_backend_dev_description(device)),
                kind(ggml_backend_dev_type(device)),
                text(ggml_backend_reg_name(ggml_backend_dev_backend_reg(device))),
                total.get(ValueLayout.JAVA_LONG, 0),
                free.get(ValueLayout.JAVA_LONG, 0)));
      }
    }
    return List.copyOf(devices);
  }

  /** Returns a NULL-terminated array of {@code ggml_backend_dev_t}. */
  static MemorySegment pointers(List<String> names, Arena arena) {
    MemorySegment array = arena.allocate(ValueLayout.ADDRESS, names.size() + 1L);
    for (int i = 0; i < names.size(); i++) {
      MemorySegment device = ggml_backend_dev_by_name(arena.allocateFrom(names.get(i)));
      if (device.address() == 0) {
        throw new IllegalArgumentException(
            "no device is named %s; gatun devices lists them".formatted(names.get(i)));
      }
      array.setAtIndex(ValueLayout.ADDRESS, i, device);
    }
    return array;
  }

  private static Device.Kind kind(int type) {
    // enum ggml_backend_dev_type
    return switch (type) {
      case 0 -> Device.Kind.CPU;
      case 1 -> Device.Kind.GPU;
      case 2 -> Device.Kind.INTEGRATED_GPU;
      case 3 -> Device.Kind.ACCELERATOR;
      default -> Device.Kind.OTHER;
    };
  }

  private static String text(MemorySegment pointer) {
    return Segments.utf8(pointer, MAX_NAME_BYTES);
  }
}
