package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * The metadata and the tensor table of a GGUF model, read and checked; its weights stay on disk.
 *
 * <p>A model split over several files is one {@code GgufFile}: opening any part finds the others.
 * The files are mapped while they are read and released before {@link #open} returns, so there is
 * nothing to close. Immutable; any thread.
 */
public final class GgufFile {
  private final Path path;
  private final int version;
  private final List<Part> parts;
  private final Map<String, GgufValue> metadata;
  private final List<GgufTensor> tensors;
  private final Map<String, GgufTensor> tensorsByName;
  private volatile @Nullable String fingerprint;

  /**
   * One file of a model.
   *
   * @param path the file
   * @param fileBytes its length
   * @param dataOffset where its tensor data starts, in bytes
   * @param alignment the alignment of its tensor data, in bytes
   * @param tensorCount the number of tensors it holds
   */
  public record Part(Path path, long fileBytes, long dataOffset, long alignment, int tensorCount) {}

  private GgufFile(Path path, List<GgufSplits.Part> files) {
    this.path = path;
    this.version = files.getFirst().parsed().version();
    this.metadata = Collections.unmodifiableMap(files.getFirst().parsed().metadata());
    List<Part> partList = new ArrayList<>();
    List<GgufTensor> tensorList = new ArrayList<>();
    for (GgufSplits.Part file : files) {
      GgufParser.Parsed parsed = file.parsed();
      partList.add(
          new Part(
              file.path(),
              parsed.fileBytes(),
              parsed.dataOffset(),
              parsed.alignment(),
              parsed.tensors().size()));
      tensorList.addAll(parsed.tensors());
    }
    this.parts = List.copyOf(partList);
    this.tensors = List.copyOf(tensorList);
    Map<String, GgufTensor> byName = LinkedHashMap.newLinkedHashMap(tensors.size());
    tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
    this.tensorsByName = Collections.unmodifiableMap(byName);
  }

  /**
   * Reads a model file, and the other parts when it is one of several.
   *
   * <p>Checks the container strictly: magic, version, counts, lengths, texts, types, shapes,
   * offsets, overlaps and that the file is as long as its table says. Cost: the header only, some
   * milliseconds; no weight is read.
   *
   * @param path the file, or any part of a split model
   * @throws GgufFormatException if the file cannot be read or is not a sound GGUF file; the message
   *     says what is wrong, where, and what to do
   */
  public static GgufFile open(Path path) {
    Objects.requireNonNull(path, "path");
    GgufParser.Parsed opened = parse(path, 0);
    List<GgufSplits.Part> parts = GgufSplits.resolve(path, opened, GgufFile::parse);
    return new GgufFile(path, parts);
  }

  /**
   * Checks that native code can be given this model without ending the process.
   *
   * <p>Looks for values on which llama.cpp would stop at an assertion: impossible layer, head and
   * expert counts, tokens that appear twice, element types it cannot compute with. What it reports
   * as an error itself, such as a missing key, passes. Cost: some milliseconds for a large
   * vocabulary.
   *
   * @return this file
   * @throws GgufFormatException naming the key or the tensor, its value and what to do
   */
  public GgufFile requireLoadable() {
    ModelFileCheck.check(this);
    return this;
  }

  /**
   * Checks that native code can be given this LoRA adapter without ending the process.
   *
   * @param base the model it is for
   * @return this file
   * @throws GgufFormatException naming the key or the tensor and what to do
   */
  public GgufFile requireLoadableAdapter(GgufFile base) {
    AdapterFileCheck.check(this, base);
    return this;
  }

  private static GgufParser.Parsed parse(Path path, int part) {
    if (Files.isDirectory(path)) {
      throw new GgufFormatException(path + " is a folder; name the .gguf file in it");
    }
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
        Arena arena = Arena.ofConfined()) {
      MemorySegment file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      return GgufParser.parse(file, path.toString(), part);
    } catch (NoSuchFileException e) {
      throw new GgufFormatException(path + " does not exist; check the path", e);
    } catch (IOException | UnsupportedOperationException e) {
      throw new GgufFormatException(
          path + " cannot be read: " + e.getMessage() + "; check the file and its permissions", e);
    } catch (InternalError e) {
      // What the JVM throws when a mapped file has become shorter.
      throw new GgufFormatException(
          path + " changed while it was read; wait until it is complete and try again", e);
    }
  }

  /** Returns the path given to {@link #open}. */
  public Path path() {
    return path;
  }

  /** Returns the GGUF version of the first part: 2 or 3. */
  public int version() {
    return version;
  }

  /** Returns the model's files in order; one unless the model is split. */
  public List<Part> parts() {
    return parts;
  }

  /** Returns the metadata of the first part in the file's order. */
  public Map<String, GgufValue> metadata() {
    return metadata;
  }

  /** Returns the tensors of all parts in the files' order. */
  public List<GgufTensor> tensors() {
    return tensors;
  }

  /** Returns the tensor with this name, if there is one. */
  public Optional<GgufTensor> tensor(String name) {
    return Optional.ofNullable(tensorsByName.get(name));
  }

  /** Returns the number of elements of all tensors. */
  public long parameterCount() {
    return tensors.stream().mapToLong(GgufTensor::elements).sum();
  }

  /** Returns the number of bytes of all tensors, without padding. */
  public long tensorBytes() {
    return tensors.stream().mapToLong(GgufTensor::bytes).sum();
  }

  /** Returns the length of all parts in bytes. */
  public long fileBytes() {
    return parts.stream().mapToLong(Part::fileBytes).sum();
  }

  /**
   * Returns the text under {@code key}, if the key is there.
   *
   * @throws GgufFormatException if the value is no text
   */
  public Optional<String> string(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof GgufValue.Text text) {
      return Optional.of(text.value());
    }
    throw wrongType(key, value, "a text");
  }

  /**
   * Returns the whole number under {@code key}, of any integer type, if the key is there.
   *
   * @throws GgufFormatException if the value is no whole number between 0 and 4,294,967,295
   */
  public OptionalLong uint32(String key) {
    OptionalLong value = whole(key);
    if (value.isPresent() && value.getAsLong() != (value.getAsLong() & 0xFFFF_FFFFL)) {
      throw new GgufFormatException(
          path
              + ": key '"
              + key
              + "' is "
              + metadata.get(key)
              + " but must be between 0 and 4294967295; convert the model again");
    }
    return value;
  }

  /**
   * Returns the whole number under {@code key}, of any integer type, if the key is there.
   *
   * @throws GgufFormatException if the value is no whole number
   */
  public OptionalLong whole(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return OptionalLong.empty();
    }
    if (value instanceof GgufValue.Whole whole) {
      return OptionalLong.of(whole.value());
    }
    throw wrongType(key, value, "a whole number");
  }

  /**
   * Returns the floating-point number under {@code key}, if the key is there.
   *
   * @throws GgufFormatException if the value is no floating-point number
   */
  public OptionalDouble real(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return OptionalDouble.empty();
    }
    if (value instanceof GgufValue.Real real) {
      return OptionalDouble.of(real.value());
    }
    throw wrongType(key, value, "a floating-point number");
  }

  /**
   * Returns the truth value under {@code key}, if the key is there.
   *
   * @throws GgufFormatException if the value is no truth value
   */
  public Optional<Boolean> bool(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof GgufValue.Bool bool) {
      return Optional.of(bool.value());
    }
    throw wrongType(key, value, "a truth value");
  }

  /**
   * Returns the array under {@code key}, if the key is there.
   *
   * @throws GgufFormatException if the value is no array
   */
  public Optional<GgufArray> array(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof GgufArray array) {
      return Optional.of(array);
    }
    throw wrongType(key, value, "an array");
  }

  /** Returns the metadata in the words of language models. */
  public ModelMetadata model() {
    return new ModelMetadata(this);
  }

  /**
   * Returns the SHA-256 of the metadata and the tensor table, 64 hexadecimal digits.
   *
   * <p>Two files with the same fingerprint describe the same model; the weights themselves are not
   * read. Independent of how the model is split and of alignment.
   */
  public String fingerprint() {
    String known = fingerprint;
    if (known == null) {
      known = GgufFingerprint.of(this); // the same whoever computes it
      fingerprint = known;
    }
    return known;
  }

  /**
   * Maps the data of a tensor, read-only.
   *
   * @param tensor a tensor of this file
   * @param arena how long the mapping lives
   * @return {@code tensor.bytes()} bytes in the file's little-endian layout
   * @throws GgufFormatException if the file cannot be read any more or has become shorter
   */
  public MemorySegment mapTensor(GgufTensor tensor, Arena arena) {
    Path file = parts.get(tensor.part()).path();
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      if (channel.size() < tensor.fileOffset() + tensor.bytes()) {
        throw new GgufFormatException(
            file + " has become shorter since it was opened; open the complete file again");
      }
      return channel.map(FileChannel.MapMode.READ_ONLY, tensor.fileOffset(), tensor.bytes(), arena);
    } catch (IOException e) {
      throw new GgufFormatException(
          file + " cannot be read: " + e.getMessage() + "; check the file and its permissions", e);
    }
  }

  @Override
  public String toString() {
    return path + " (" + metadata.size() + " keys, " + tensors.size() + " tensors)";
  }

  private GgufFormatException wrongType(String key, GgufValue value, String expected) {
    return new GgufFormatException(
        path
            + ": key '"
            + key
            + "' is of type "
            + value.type()
            + " but must be "
            + expected
            + "; convert the model again");
  }
}
