package dev.gatun.sampling;

/**
 * Range checks of sampler parameters; every message names the parameter, the range and the value.
 */
final class Checks {
  /** The longest history a penalty may look at, in tokens. */
  static final int MAX_HISTORY = 1 << 24;

  private static final long MAX_SEED = 0xFFFF_FFFFL;

  private Checks() {}

  static void range(String name, float value, float low, float high) {
    if (!(value >= low && value <= high)) {
      throw new IllegalArgumentException(
          name + " must be from " + low + " to " + high + ", but is " + value);
    }
  }

  static void finite(String name, float value) {
    if (!Float.isFinite(value)) {
      throw new IllegalArgumentException(name + " must be a finite number, but is " + value);
    }
  }

  static void range(String name, long value, long low, long high) {
    if (value < low || value > high) {
      throw new IllegalArgumentException(
          name + " must be from " + low + " to " + high + ", but is " + value);
    }
  }

  static void minKeep(int value) {
    range("minKeep", value, 0, Integer.MAX_VALUE);
  }

  static void seed(long value) {
    range("seed", value, 0, MAX_SEED);
  }
}
