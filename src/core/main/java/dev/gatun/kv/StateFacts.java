package dev.gatun.kv;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

/**
 * What a state file says about itself, without its cells.
 *
 * @param path the file
 * @param fileBytes its length
 * @param version format version
 * @param created when it was saved
 * @param label the user's words; may be empty
 * @param fingerprint fingerprint of the model
 * @param modelName name of the model
 * @param settings settings that a session must share to use it
 * @param tokens number of tokens
 * @param decoded how many of them have cells
 * @param cellBytes bytes of the cells
 * @param checkpoints after how many tokens there is a checkpoint, ascending
 * @param checkpointBytes bytes of all checkpoints
 */
public record StateFacts(
    Path path,
    long fileBytes,
    int version,
    Instant created,
    String label,
    String fingerprint,
    String modelName,
    StateSettings settings,
    int tokens,
    int decoded,
    long cellBytes,
    List<Integer> checkpoints,
    long checkpointBytes) {}
