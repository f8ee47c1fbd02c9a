package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads and checks one mapped GGUF file. */
final class GgufParser {
  static final int DEFAULT_ALIGNMENT = 32;
  static final String ALIGNMENT_KEY = "general.alignment";

  // llama.cpp looks for duplicates by comparing every pair: more would take it minutes.
  private static final long MAX_KEYS = 16_384;
  private static final long MAX_TENSORS = 65_536;
  private static final long MAX_NAME_BYTES = 63;
  private static final long MAX_KEY_BYTES = 65_535;
  private static final long MAX_ARRAY_BYTES = 1L << 29;
  private static final int MAX_DIMENSIONS = 4;
  private static final int MAX_NESTING = 4;
  private static final int MAX_NESTED_ARRAYS = 65_536;
  // The least that one entry occupies: lengths, types and one byte of name.
  private static final long SMALLEST_PAIR = 8 + 1 + 4 + 1;
  private static final long SMALLEST_TENSOR = 8 + 1 + 4 + 4 + 8;

  /** What one file holds. */
  record Parsed(
      int version,
      long alignment,
      Map<String, GgufValue> metadata,
      List<GgufTensor> tensors,
      long dataOffset,
      long fileBytes) {}

  private final GgufCursor cursor;
  private final String name;
  private final int part;
  private int nestedArrays;

  private GgufParser(MemorySegment file, String name, int part) {
    this.name = name;
    this.part = part;
    this.cursor = new GgufCursor(file, name);
  }

  static Parsed parse(MemorySegment file, String name, int part) {
    GgufMagic.check(file, name);
    return new GgufParser(file, name, part).parse();
  }

  private Parsed parse() {
    cursor.int32("the magic number");
    int version = version();
    long tensorCount = cursor.count("the number of tensors", SMALLEST_TENSOR, MAX_TENSORS);
    long pairCount = cursor.count("the number of metadata keys", SMALLEST_PAIR, MAX_KEYS);
    Map<String, GgufValue> metadata = metadata(pairCount);
    long alignment = alignment(metadata);
    List<GgufTensor> relative = tensors(tensorCount, alignment);
    long headerEnd = cursor.position();
    long dataOffset = tensorCount == 0 ? headerEnd : alignUp(headerEnd, alignment);
    List<GgufTensor> tensors = place(relative, dataOffset);
    checkExtent(tensors);
    return new Parsed(version, alignment, metadata, tensors, dataOffset, cursor.length());
  }

  private int version() {
    long at = cursor.position();
    int version = cursor.int32("the version");
    if (version != 0 && (version & 0xFFFF) == 0) {
      throw new GgufFormatException(
          name
              + ", byte "
              + at
              + ": the version reads "
              + Integer.toUnsignedString(version)
              + ", so the file is big endian; convert it again for little endian");
    }
    if (version == 1) {
      throw new GgufFormatException(
          name
              + ", byte "
              + at
              + ": GGUF version 1 is no longer read; download a newer conversion of the model");
    }
    if (version < 2 || version > 3) {
      throw new GgufFormatException(
          name
              + ", byte "
              + at
              + ": GGUF version "
              + Integer.toUnsignedString(version)
              + " is unknown (2 and 3 are read); update Gatun or download the file again");
    }
    return version;
  }

  private Map<String, GgufValue> metadata(long count) {
    Map<String, GgufValue> metadata = LinkedHashMap.newLinkedHashMap((int) count);
    for (long i = 0; i < count; i++) {
      long at = cursor.position();
      String key = cursor.text("metadata key " + i, MAX_KEY_BYTES);
      if (key.isEmpty()) {
        throw cursor.fault(at, "metadata key " + i + " is empty");
      }
      if (key.indexOf('\0') >= 0) {
        throw cursor.fault(at, "metadata key " + i + " holds a NUL character");
      }
      String what = "the value of key '" + key + "'";
      GgufValue value = value(type(what), what, 0);
      if (metadata.putIfAbsent(key, value) != null) {
        throw cursor.fault(at, "key '" + key + "' appears twice");
      }
    }
    return metadata;
  }

  private GgufType type(String what) {
    long at = cursor.position();
    int code = cursor.int32("the type of " + what);
    GgufType type = GgufType.ofCode(code);
    if (type == null) {
      throw cursor.fault(at, what + " has the unknown type " + code + " (0 to 12 are known)");
    }
    return type;
  }

  private GgufValue value(GgufType type, String what, int depth) {
    return switch (type) {
      case UINT8 -> new GgufValue.Whole(type, cursor.u8(what));
      case INT8 -> new GgufValue.Whole(type, (byte) cursor.u8(what));
      case UINT16 -> new GgufValue.Whole(type, cursor.int16(what) & 0xFFFF);
      case INT16 -> new GgufValue.Whole(type, cursor.int16(what));
      case UINT32 -> new GgufValue.Whole(type, cursor.uint32(what));
      case INT32 -> new GgufValue.Whole(type, cursor.int32(what));
      case UINT64, INT64 -> new GgufValue.Whole(type, cursor.int64(what));
      case FLOAT32 -> new GgufValue.Real(type, cursor.float32(what));
      case FLOAT64 -> new GgufValue.Real(type, cursor.float64(what));
      case BOOL -> new GgufValue.Bool(truth(what));
      case STRING -> new GgufValue.Text(cursor.text(what, MAX_ARRAY_BYTES));
      case ARRAY -> array(what, depth);
    };
  }

  private boolean truth(String what) {
    long at = cursor.position();
    int value = cursor.u8(what);
    if (value > 1) {
      throw cursor.fault(at, what + " is " + value + ", which is no truth value (0 or 1)");
    }
    return value == 1;
  }

  private GgufArray array(String what, int depth) {
    long at = cursor.position();
    if (depth >= MAX_NESTING) {
      throw cursor.fault(at, what + " nests arrays deeper than " + MAX_NESTING + " levels");
    }
    GgufType elementType = type("an element of " + what);
    long smallest = Math.max(1, elementType.bytes());
    if (elementType == GgufType.STRING) {
      smallest = Long.BYTES;
    } else if (elementType == GgufType.ARRAY) {
      smallest = Integer.BYTES + Long.BYTES;
    }
    long size =
        cursor.count("the number of elements of " + what, smallest, MAX_ARRAY_BYTES / smallest);
    switch (elementType) {
      case STRING -> {
        return cursor.texts((int) size, what, MAX_ARRAY_BYTES);
      }
      case ARRAY -> {
        nestedArrays += (int) size;
        if (size > MAX_NESTED_ARRAYS || nestedArrays > MAX_NESTED_ARRAYS) {
          throw cursor.fault(at, what + " holds more than " + MAX_NESTED_ARRAYS + " arrays");
        }
        List<GgufArray> arrays = new ArrayList<>((int) size);
        for (long i = 0; i < size; i++) {
          arrays.add(array("element " + i + " of " + what, depth + 1));
        }
        return GgufArray.ofArrays(arrays);
      }
      default -> {
        byte[] bytes = cursor.bytes(size * elementType.bytes(), what);
        if (elementType == GgufType.BOOL) {
          for (byte value : bytes) {
            if (value != 0 && value != 1) {
              throw cursor.fault(at, what + " holds " + (value & 0xFF) + " as a truth value");
            }
          }
        }
        return GgufArray.ofNumbers(elementType, (int) size, bytes);
      }
    }
  }

  private long alignment(Map<String, GgufValue> metadata) {
    GgufValue value = metadata.get(ALIGNMENT_KEY);
    if (value == null) {
      return DEFAULT_ALIGNMENT;
    }
    if (!(value instanceof GgufValue.Whole whole) || whole.type() != GgufType.UINT32) {
      throw keyFault(ALIGNMENT_KEY, "is of type " + value.type() + " but must be UINT32");
    }
    long alignment = whole.value();
    if (alignment < 8 || Long.bitCount(alignment) != 1) {
      throw keyFault(
          ALIGNMENT_KEY, "is " + alignment + " but must be a power of two of at least 8");
    }
    return alignment;
  }

  private List<GgufTensor> tensors(long count, long alignment) {
    List<GgufTensor> tensors = new ArrayList<>((int) count);
    Set<String> names = HashSet.newHashSet((int) count);
    for (long i = 0; i < count; i++) {
      long at = cursor.position();
      GgufTensor tensor = tensor(i);
      if (!names.add(tensor.name())) {
        throw cursor.fault(at, "tensor '" + tensor.name() + "' appears twice");
      }
      if (tensor.fileOffset() % alignment != 0) {
        throw cursor.fault(
            at,
            "the data of tensor '"
                + tensor.name()
                + "' starts at "
                + tensor.fileOffset()
                + ", which is not a multiple of the alignment "
                + alignment);
      }
      tensors.add(tensor);
    }
    return tensors;
  }

  /** Reads one entry; its offset still counts from the start of the data. */
  private GgufTensor tensor(long index) {
    long at = cursor.position();
    String tensorName = cursor.text("the name of tensor " + index, MAX_NAME_BYTES);
    if (tensorName.isEmpty() || tensorName.indexOf('\0') >= 0) {
      throw cursor.fault(at, "the name of tensor " + index + " is empty or holds a NUL character");
    }
    String what = "tensor '" + tensorName + "'";
    long dimensions = cursor.uint32("the number of dimensions of " + what);
    if (dimensions > MAX_DIMENSIONS) {
      throw cursor.fault(at, what + " has " + dimensions + " dimensions, more than 4");
    }
    List<Long> shape = new ArrayList<>((int) dimensions);
    long elements = 1;
    for (int i = 0; i < dimensions; i++) {
      long size = cursor.int64("dimension " + i + " of " + what);
      if (size <= 0) {
        throw cursor.fault(at, "dimension " + i + " of " + what + " is " + size + ", not positive");
      }
      if (Math.multiplyHigh(elements, size) != 0 || elements * size < 0) {
        throw cursor.fault(at, what + " has more elements than 63 bits can count");
      }
      elements *= size;
      shape.add(size);
    }
    int code = cursor.int32("the type of " + what);
    GgmlType type = GgmlType.ofCode(code);
    if (type == null) {
      throw cursor.fault(at, what + " has the unknown or retired type " + code);
    }
    long row = shape.isEmpty() ? 1 : shape.getFirst();
    if (row % type.blockElements() != 0) {
      throw cursor.fault(
          at,
          what
              + " of type "
              + type
              + " has rows of "
              + row
              + " elements, not a multiple of its block of "
              + type.blockElements());
    }
    if (elements / type.blockElements() > Long.MAX_VALUE / type.blockBytes()) {
      throw cursor.fault(at, what + " has more bytes than 63 bits can count");
    }
    long offset = cursor.int64("the data offset of " + what);
    if (offset < 0) {
      throw cursor.fault(at, "the data of " + what + " starts beyond 63 bits");
    }
    return new GgufTensor(tensorName, shape, type, part, offset, type.bytes(elements));
  }

  private List<GgufTensor> place(List<GgufTensor> relative, long dataOffset) {
    List<GgufTensor> placed = new ArrayList<>(relative.size());
    for (GgufTensor tensor : relative) {
      long start = tensor.fileOffset() + dataOffset;
      if (start < 0 || start + tensor.bytes() < 0) {
        throw new GgufFormatException(
            name
                + ": the data of tensor '"
                + tensor.name()
                + "' ends beyond 63 bits; the file is damaged: download it again");
      }
      placed.add(
          new GgufTensor(
              tensor.name(), tensor.dimensions(), tensor.type(), part, start, tensor.bytes()));
    }
    return List.copyOf(placed);
  }

  private void checkExtent(List<GgufTensor> tensors) {
    List<GgufTensor> sorted = new ArrayList<>(tensors);
    sorted.sort((a, b) -> Long.compare(a.fileOffset(), b.fileOffset()));
    for (int i = 1; i < sorted.size(); i++) {
      GgufTensor before = sorted.get(i - 1);
      GgufTensor tensor = sorted.get(i);
      if (before.fileOffset() + before.bytes() > tensor.fileOffset()) {
        throw new GgufFormatException(
            name
                + ": the data of tensors '"
                + before.name()
                + "' and '"
                + tensor.name()
                + "' overlap at byte "
                + tensor.fileOffset()
                + "; the file is damaged: download or convert it again");
      }
    }
    if (!sorted.isEmpty()) {
      GgufTensor last = sorted.getLast();
      long end = last.fileOffset() + last.bytes();
      if (end > cursor.length()) {
        throw new GgufFormatException(
            name
                + " is cut short: it has "
                + cursor.length()
                + " bytes, its tensors end at byte "
                + end
                + " ("
                + (end - cursor.length())
                + " bytes are missing, tensor '"
                + last.name()
                + "' is the last); download it again");
      }
    }
  }

  private GgufFormatException keyFault(String key, String what) {
    return new GgufFormatException(
        name
            + ": key '"
            + key
            + "' "
            + what
            + "; the file is damaged or was written wrongly: download or convert it again");
  }

  static long alignUp(long value, long alignment) {
    return Math.addExact(value, alignment - 1) & -alignment;
  }
}
