package dev.gatun.rope;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.DoubleFunction;

/** Reads {@code name[:argument][,key=value]...}; what is left over is an error. */
final class RopeSpecReader {
  private final String text;
  private final String name;
  private String argument;
  private final Map<String, String> options = new LinkedHashMap<>();

  RopeSpecReader(String text) {
    this.text = text;
    String[] parts = text.strip().split(",", -1);
    int colon = parts[0].indexOf(':');
    name = colon < 0 ? parts[0] : parts[0].substring(0, colon);
    argument = colon < 0 ? "" : parts[0].substring(colon + 1);
    if (colon >= 0 && argument.isEmpty()) {
      throw wrong("there is nothing after the colon");
    }
    for (int i = 1; i < parts.length; i++) {
      int equals = parts[i].indexOf('=');
      if (equals < 1 || options.containsKey(parts[i].substring(0, equals))) {
        throw wrong("'" + parts[i] + "' is not a new key=value");
      }
      options.put(parts[i].substring(0, equals), parts[i].substring(equals + 1));
    }
  }

  RopeSpec read() {
    RopeSpec spec;
    try {
      spec = method();
    } catch (NumberFormatException e) {
      throw wrong("it needs a number: " + e.getMessage());
    }
    if (!argument.isEmpty()) {
      throw wrong("'" + name + "' takes nothing after a colon");
    }
    if (!options.isEmpty()) {
      throw wrong("'" + name + "' has no option " + String.join(", ", options.keySet()));
    }
    return spec;
  }

  private RopeSpec method() {
    return switch (name) {
      case "auto" -> RopeSpec.fixed(name, RopeScaling.auto());
      case "auto-fast" -> RopeSpec.fixed(name, RopeScaling.autoFast());
      case "none" -> RopeSpec.fixed(name, RopeScaling.none());
      case "model" -> RopeSpec.fixed(name, RopeScaling.modelDefault());
      case "linear" -> stretched(RopeScaling::linear);
      case "ntk" -> stretched(RopeScaling::ntkAware);
      case "ntk-fixed" -> stretched(RopeScaling::ntkFixed);
      case "dynamic" -> RopeSpec.fixed(name, new Dynamic(family()));
      case "dynamic-hf" -> stretched(DynamicNtk::vllm);
      case "by-parts" -> byParts(NtkByParts.Ramp.CODE);
      case "by-parts-paper" -> byParts(NtkByParts.Ramp.PAPER);
      case "yarn" -> yarn();
      case "llama3" -> {
        int original = whole("original");
        yield stretched(factor -> RopeScaling.llama3(factor).withOriginalTokens(original));
      }
      case "self-extend" ->
          RopeSpec.fixed(name, new SelfExtend(wholeArgument(), whole("window"), logN()));
      case "rerope" -> RopeSpec.fixed(name, new ReRope(wholeArgument(), logN()));
      case "leaky-rerope" ->
          RopeSpec.fixed(
              name,
              new LeakyReRope(
                  argument.isEmpty() ? 0 : Double.parseDouble(takenArgument()),
                  whole("window"),
                  logN()));
      case "dual-chunk" -> RopeSpec.fixed(name, dualChunk());
      default -> throw wrong("there is no method '" + name + "'");
    };
  }

  private RopeSpec stretched(DoubleFunction<RopeScaling> scaling) {
    return argument.isEmpty()
        ? RopeSpec.following(name, scaling)
        : RopeSpec.fixed(name, scaling.apply(Double.parseDouble(takenArgument())));
  }

  private RopeSpec byParts(NtkByParts.Ramp ramp) {
    int original = whole("original");
    double fast = number("fast");
    double slow = number("slow");
    boolean truncate = onOff("truncate");
    return stretched(factor -> new NtkByParts(factor, original, fast, slow, ramp, truncate));
  }

  private RopeSpec yarn() {
    int original = whole("original");
    double fast = number("fast");
    double slow = number("slow");
    boolean truncate = onOff("truncate");
    Temperature temperature = temperature();
    return stretched(factor -> new Yarn(factor, original, 1, temperature, fast, slow, truncate));
  }

  private Temperature temperature() {
    String value = options.remove("temperature");
    if (value == null || value.equals("on")) {
      return Temperature.standard();
    }
    return value.equals("off")
        ? Temperature.off()
        : new Temperature.Fixed(Double.parseDouble(value));
  }

  private Dynamic.Family family() {
    return switch (takenArgument()) {
      case "", "yarn" -> Dynamic.Family.YARN;
      case "ntk" -> Dynamic.Family.NTK_AWARE;
      case "linear" -> Dynamic.Family.LINEAR;
      case "auto" -> Dynamic.Family.AUTO;
      default -> throw wrong("dynamic is yarn, ntk, linear or auto");
    };
  }

  private DualChunk dualChunk() {
    if (argument.isEmpty()) {
      return new DualChunk(0, 0, logN());
    }
    String[] sizes = takenArgument().split("/", -1);
    if (sizes.length > 2) {
      throw wrong("dual-chunk has a chunk and a local window: dual-chunk:192/64");
    }
    return new DualChunk(
        Integer.parseInt(sizes[0]), sizes.length == 2 ? Integer.parseInt(sizes[1]) : 0, logN());
  }

  private String takenArgument() {
    String taken = argument;
    argument = "";
    return taken;
  }

  private int wholeArgument() {
    return argument.isEmpty() ? 0 : Integer.parseInt(takenArgument());
  }

  private int whole(String key) {
    String value = options.remove(key);
    return value == null ? 0 : Integer.parseInt(value);
  }

  private double number(String key) {
    String value = options.remove(key);
    return value == null ? Double.NaN : Double.parseDouble(value);
  }

  private boolean logN() {
    return onOff("logn");
  }

  private boolean onOff(String key) {
    String value = options.remove(key);
    if (value == null || value.equals("on")) {
      return true;
    }
    if (value.equals("off")) {
      return false;
    }
    throw wrong(key + " must be on or off, not '" + value + "'");
  }

  private IllegalArgumentException wrong(String why) {
    return new IllegalArgumentException(
        "'%s' is no RoPE scaling: %s; there are %s".formatted(text, why, RopeSpec.forms()));
  }
}
