package dev.gatun.rope;

import dev.gatun.json.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** Reference numbers that an independent program computed. */
public final class Vectors {
  private Vectors() {}

  public static Map<String, Object> read(String name) {
    try (InputStream in = Vectors.class.getResourceAsStream(name)) {
      return Json.parseObject(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @SuppressWarnings("unchecked")
  public static Map<String, Object> map(Map<String, Object> map, String key) {
    return (Map<String, Object>) map.get(key);
  }

  public static double number(Map<String, Object> map, String key) {
    return ((Number) map.get(key)).doubleValue();
  }

  public static double[] array(Object list) {
    return ((List<?>) list).stream().mapToDouble(n -> ((Number) n).doubleValue()).toArray();
  }

  public static double[][] matrix(Object list) {
    return ((List<?>) list).stream().map(Vectors::array).toArray(double[][]::new);
  }
}
