package dev.gatun.bindings.generated;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * One call shape for every function whose arguments and result are pointers, integers or truth
 * values: up to {@value #MOST} arguments of 64 bits, a result of 64 bits.
 *
 * <p>Why: the linker makes about ten classes for each shape that it meets, some 10 ms of a cold
 * start, and the functions that answer a prompt have more than twenty shapes. On every 64-bit ABI
 * that Gatun runs on (System V and Windows x86-64, AAPCS64 and Apple's) such an argument takes one
 * register or one stack slot of 8 bytes, a callee ignores what stands beside its arguments and above
 * the bits of its parameter's type, and the caller cleans up; what stands above the bits of the
 * result's type is cut off by the caller. Apple's ABI packs arguments on the stack, but the first eight
 * are in registers, and a function with more of them is called this way only when the rest has 64 bits
 * by itself. Floating-point numbers and structs by value travel elsewhere: functions that have them
 * keep a shape of their own.
 *
 * <p>Every argument is a segment, so that the JDK keeps the arena of each one open during the call and
 * refuses dead ones, as for any other downcall; {@link #of} makes an integer into one.
 */
@SuppressWarnings("restricted")
final class Carrier {
    /** The most arguments. */
    static final int MOST = 10;

    private static final MemorySegment NONE = MemorySegment.NULL;

    private static final MethodHandle CALL =
        Linker.nativeLinker().downcallHandle(
            FunctionDescriptor.of(
                JAVA_LONG,
                ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS,
                ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS));

    private Carrier() {}

    /** Returns an argument that is an integer or a truth value. */
    static MemorySegment of(long value) {
        return MemorySegment.ofAddress(value);
    }

    static long call(MemorySegment f) {
        return call(f, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE);
    }

    static long call(MemorySegment f, MemorySegment a) {
        return call(f, a, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE);
    }

    static long call(MemorySegment f, MemorySegment a, MemorySegment b) {
        return call(f, a, b, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE);
    }

    static long call(MemorySegment f, MemorySegment a, MemorySegment b, MemorySegment c) {
        return call(f, a, b, c, NONE, NONE, NONE, NONE, NONE, NONE, NONE);
    }

    static long call(
            MemorySegment f,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d) {
        return call(f, a, b, c, d, NONE, NONE, NONE, NONE, NONE, NONE);
    }

    static long call(
            MemorySegment f,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d,
            MemorySegment e) {
        return call(f, a, b, c, d, e, NONE, NONE, NONE, NONE, NONE);
    }

    static long call(
            MemorySegment f,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d,
            MemorySegment e,
            MemorySegment g) {
        return call(f, a, b, c, d, e, g, NONE, NONE, NONE, NONE);
    }

    static long call(
            MemorySegment f,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d,
            MemorySegment e,
            MemorySegment g,
            MemorySegment h) {
        return call(f, a, b, c, d, e, g, h, NONE, NONE, NONE);
    }

    static long call(
            MemorySegment f,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d,
            MemorySegment e,
            MemorySegment g,
            MemorySegment h,
            MemorySegment i) {
        return call(f, a, b, c, d, e, g, h, i, NONE, NONE);
    }

    static long call(
            MemorySegment f,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d,
            MemorySegment e,
            MemorySegment g,
            MemorySegment h,
            MemorySegment i,
            MemorySegment j) {
        return call(f, a, b, c, d, e, g, h, i, j, NONE);
    }

    /** Calls the function at {@code f}; what it does not take is ignored. */
    static long call(
            MemorySegment f,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            MemorySegment d,
            MemorySegment e,
            MemorySegment g,
            MemorySegment h,
            MemorySegment i,
            MemorySegment j,
            MemorySegment k) {
        try {
            return (long) CALL.invokeExact(f, a, b, c, d, e, g, h, i, j, k);
        } catch (Error | RuntimeException ex) {
            throw ex;
        } catch (Throwable ex) {
            throw new AssertionError(ex);
        }
    }
}
