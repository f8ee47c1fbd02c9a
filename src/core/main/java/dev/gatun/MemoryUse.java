package dev.gatun;

/**
 * Memory that a context and its model take on one device, as the native side reports it.
 *
 * @param device the device's name
 * @param bufferType the buffer type's name
 * @param onHost whether it is host memory
 * @param modelBytes weights, in bytes; a memory-mapped file is counted whole
 * @param contextBytes KV cells and recurrent states, in bytes
 * @param computeBytes compute buffers, in bytes
 */
public record MemoryUse(
    String device,
    String bufferType,
    boolean onHost,
    long modelBytes,
    long contextBytes,
    long computeBytes) {}
