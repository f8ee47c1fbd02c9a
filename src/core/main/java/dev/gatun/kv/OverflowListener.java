package dev.gatun.kv;

/** Is told of every overflow, inside the call, on its thread; it must not use the session. */
@FunctionalInterface
public interface OverflowListener {
  /** Takes what was dropped. */
  void onOverflow(OverflowEvent event);

  /** Returns a listener that does nothing: the session counts what is dropped all the same. */
  static OverflowListener none() {
    return event -> {};
  }
}
