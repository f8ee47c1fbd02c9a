package dev.gatun.internal;

import static dev.gatun.bindings.generated.llama_h.llama_time_us;

import dev.gatun.bindings.generated.gatun_interrupt;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Stops a running decode from another thread: a native cell that the compute threads read between
 * graph nodes, and the operation it is meant for, so that a late cancellation never hits the next
 * one.
 *
 * <p>Thread-safe.
 */
public final class Interrupt {
  private final MemorySegment cell;
  private @Nullable Object running;
  private boolean always;

  Interrupt(Arena arena) {
    cell = arena.allocate(gatun_interrupt.BYTES, gatun_interrupt.ALIGNMENT);
  }

  MemorySegment cell() {
    return cell;
  }

  /**
   * Begins an operation on the driving thread.
   *
   * @param operation its identity
   * @param remainingMicros time until its deadline; 0 for none
   */
  public synchronized void begin(Object operation, long remainingMicros) {
    running = operation;
    gatun_interrupt.deadline_us(cell, remainingMicros == 0 ? 0 : llama_time_us() + remainingMicros);
    set(always);
  }

  /** Ends the operation. */
  public synchronized void end() {
    running = null;
    set(always);
  }

  /** Stops the operation if it is the running one. */
  public synchronized void stop(Object operation) {
    if (running == operation) {
      set(true);
    }
  }

  /** Stops whatever runs now or later. */
  synchronized void stopAlways() {
    always = true;
    set(true);
  }

  private void set(boolean value) {
    // A volatile access to a segment needs a handle whose making is felt in a short command.
    cell.set(ValueLayout.JAVA_INT, 0L, value ? 1 : 0);
    VarHandle.fullFence();
  }
}
