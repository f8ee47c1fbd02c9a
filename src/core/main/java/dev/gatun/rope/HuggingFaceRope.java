package dev.gatun.rope;

import dev.gatun.json.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads position scalings as Hugging Face transformers and vLLM write them: the {@code
 * rope_scaling} or {@code rope_parameters} of a configuration, or the whole {@code config.json}
 * around them, in new spelling ({@code rope_type}, "longrope") and old ({@code type}, "su").
 *
 * <p>Source: transformers, {@code modeling_rope_utils.py}; vLLM, {@code rotary_embedding}.
 */
public final class HuggingFaceRope {
  private static final List<String> TYPES =
      List.of("default", "linear", "dynamic", "ntk", "yarn", "longrope", "llama3");

  /** Say nothing about how positions are scaled. */
  private static final Set<String> ACCOMPANYING =
      Set.of(
          "rope_type",
          "type",
          "rope_theta",
          "partial_rotary_factor",
          "finetuned",
          "max_position_embeddings",
          "original_max_position_embeddings",
          "factor");

  private final Map<String, Object> values;
  private final Map<String, Object> config;
  private final Set<String> unread;

  private HuggingFaceRope(Map<String, Object> values, Map<String, Object> config) {
    this.values = values;
    this.config = config;
    this.unread = new TreeSet<>(values.keySet());
    unread.removeAll(ACCOMPANYING);
    values.forEach(
        (key, value) -> {
          if (value == Json.NULL) {
            unread.remove(key);
          }
        });
  }

  /**
   * Reads a scaling.
   *
   * <p>"dynamic" becomes its value at factor × trained length, as vLLM has it. "ntk" is vLLM's. A
   * configuration that scales nothing becomes {@link RopeScaling#none()}.
   *
   * @param json a scaling, or a configuration with one
   * @throws IllegalArgumentException if the text is not JSON, or names a type or a parameter that
   *     is not known, or leaves out one that is needed
   */
  public static RopeScaling parse(String json) {
    Map<String, Object> config;
    try {
      config = Json.parseObject(json);
    } catch (Json.JsonException e) {
      throw new IllegalArgumentException(
          "the RoPE configuration is not JSON: " + e.getMessage(), e);
    }
    if (map(config, "text_config").isPresent()) {
      config = map(config, "text_config").get();
    }
    Optional<Map<String, Object>> inner = map(config, "rope_parameters");
    if (inner.isEmpty()) {
      inner = map(config, "rope_scaling");
    }
    // Newest form: one set of parameters for each kind of layer; scaling is for full attention.
    if (inner.isPresent() && map(inner.get(), "full_attention").isPresent()) {
      inner = map(inner.get(), "full_attention");
    }
    if (inner.isPresent()) {
      return new HuggingFaceRope(inner.get(), config).scaling();
    }
    if (config.containsKey("rope_type") || config.containsKey("type")) {
      return new HuggingFaceRope(config, Map.of()).scaling();
    }
    if (config.containsKey("rope_scaling") || config.containsKey("max_position_embeddings")) {
      return RopeScaling.none();
    }
    throw new IllegalArgumentException(
        "the JSON has no \"rope_type\", \"rope_scaling\" or \"rope_parameters\"; give the scaling or the whole config.json");
  }

  private RopeScaling scaling() {
    String type = type();
    RopeScaling scaling =
        switch (type) {
          case "default" -> RopeScaling.none();
          case "linear" -> RopeScaling.linear(needed("factor"));
          case "dynamic" -> DynamicNtk.vllm(needed("factor"));
          case "ntk" -> RopeScaling.ntkFixed(needed("factor"));
          case "yarn", "deepseek_yarn" -> yarn();
          case "longrope", "su" -> longRope();
          case "llama3" ->
              new Llama3(
                  factor(),
                  needed("low_freq_factor"),
                  needed("high_freq_factor"),
                  originalTokens());
          case "mrope" ->
              throw new IllegalArgumentException(
                  "rope_type \"mrope\" is a model's own way to count positions and no scaling; leave it out");
          default ->
              throw new IllegalArgumentException(
                  "rope_type \"%s\" is not known; there are %s"
                      .formatted(type, String.join(", ", TYPES)));
        };
    if (!unread.isEmpty()) {
      throw new IllegalArgumentException(
          "rope_type \"%s\" has no parameter %s; leave it out"
              .formatted(type, String.join(", ", unread)));
    }
    return scaling;
  }

  private String type() {
    Object type = values.get("rope_type");
    if (type == null || type == Json.NULL) {
      type = values.get("type");
    }
    if (type instanceof String text) {
      return text;
    }
    throw new IllegalArgumentException(
        "the scaling has no \"rope_type\" in quotes; there are " + String.join(", ", TYPES));
  }

  private Yarn yarn() {
    Optional<Double> fixed = number("attention_factor");
    Optional<Double> mscale = number("mscale").filter(value -> value != 0);
    Optional<Double> all = number("mscale_all_dim").filter(value -> value != 0);
    double multiplier = number("attn_factor").orElse(1.0);
    Temperature temperature;
    if (!truth("apply_yarn_scaling", true)) {
      temperature = Temperature.off();
    } else if (fixed.isPresent()) {
      temperature = new Temperature.Fixed(fixed.get());
    } else if (mscale.isPresent() && all.isPresent()) {
      temperature = new Temperature.DeepSeek(mscale.get(), all.get());
    } else {
      temperature = new Temperature.Standard(multiplier);
    }
    return RopeScaling.yarn(factor())
        .withOriginalTokens(originalTokens())
        .withExtrapolationFactor(number("extrapolation_factor").orElse(1.0))
        .withTemperature(temperature)
        .withBetas(number("beta_fast").orElse(Double.NaN), number("beta_slow").orElse(Double.NaN))
        .withTruncate(truth("truncate", true));
  }

  private LongRope longRope() {
    double factor = factor();
    // Phi-3.5-MoE states the attention factor of each table.
    Optional<Double> ofShort = number("short_mscale");
    Optional<Double> ofLong = number("long_mscale");
    double attention =
        number("attention_factor").or(() -> factor > 1 ? ofLong : ofShort).orElse(Double.NaN);
    return new LongRope(
        table("short_factor"), table("long_factor"), factor, originalTokens(), attention);
  }

  /** The factor, else what the configuration's two lengths say. */
  private double factor() {
    Optional<Double> stated = number("factor");
    if (stated.isPresent()) {
      return stated.get();
    }
    int original = originalTokens();
    Optional<Double> longest = positive(config, "max_position_embeddings");
    if (original > 0 && longest.isPresent()) {
      return longest.get() / original;
    }
    return needed("factor");
  }

  private int originalTokens() {
    String key = "original_max_position_embeddings";
    double tokens = number(key).or(() -> positive(config, key)).orElse(0.0);
    if (tokens != Math.rint(tokens) || tokens < 0 || tokens > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "\"%s\" must be a number of tokens, but is %s".formatted(key, Checks.shown(tokens)));
    }
    return (int) tokens;
  }

  private double needed(String key) {
    return number(key)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "rope_type \"%s\" needs a number \"%s\"".formatted(type(), key)));
  }

  private Optional<Double> number(String key) {
    unread.remove(key);
    return number(values, key);
  }

  private static Optional<Double> positive(Map<String, Object> map, String key) {
    return number(map, key).filter(value -> value > 0);
  }

  private static Optional<Double> number(Map<String, Object> map, String key) {
    Object value = map.get(key);
    if (value == null || value == Json.NULL) {
      return Optional.empty();
    }
    if (value instanceof Number number) {
      return Optional.of(number.doubleValue());
    }
    throw new IllegalArgumentException("\"%s\" must be a number, but is %s".formatted(key, value));
  }

  private boolean truth(String key, boolean otherwise) {
    unread.remove(key);
    Object value = values.getOrDefault(key, Json.NULL);
    if (value == Json.NULL) {
      return otherwise;
    }
    if (value instanceof Boolean truth) {
      return truth;
    }
    throw new IllegalArgumentException(
        "\"%s\" must be true or false, but is %s".formatted(key, value));
  }

  private List<Double> table(String key) {
    unread.remove(key);
    return table(values, key);
  }

  /** Reads a list of numbers. */
  static List<Double> table(Map<String, Object> map, String key) {
    if (!(map.get(key) instanceof List<?> list)) {
      throw new IllegalArgumentException("\"%s\" must be a list of numbers".formatted(key));
    }
    List<Double> table = new ArrayList<>(list.size());
    for (Object element : list) {
      if (!(element instanceof Number number)) {
        throw new IllegalArgumentException(
            "\"%s\" must be a list of numbers, but has %s".formatted(key, element));
      }
      table.add(number.doubleValue());
    }
    return table;
  }

  @SuppressWarnings("unchecked")
  private static Optional<Map<String, Object>> map(Map<String, Object> map, String key) {
    return map.get(key) instanceof Map<?, ?> inner
        ? Optional.of((Map<String, Object>) inner)
        : Optional.empty();
  }
}
