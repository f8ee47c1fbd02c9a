package dev.gatun;

import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufTensor;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.TwoBand;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A forward pass in double precision, written from the definitions and sharing no code with the
 * native side: RMS norm, queries, keys and values, rotation, grouped attention, SwiGLU.
 *
 * <p>Architectures {@code llama} (adjacent pairs turn) and {@code qwen2} (halves turn; biases).
 * Keys are kept without rotation, and each score rotates both sides.
 */
final class ReferenceModel {
  /** Where queries and keys are rotated to. */
  interface Positions {
    double[] frequencies();

    double query(int query, int key);

    double key(int query, int key);

    /** Where a key stands in the cache, which is where it is rounded. */
    double cell(int key);

    /** Multiplies the scores of a query. */
    double scale(int query);

    static Positions of(Rotation rotation) {
      return new Positions() {
        @Override
        public double[] frequencies() {
          return rotation.inverseFrequencies();
        }

        @Override
        public double query(int query, int key) {
          return query;
        }

        @Override
        public double key(int query, int key) {
          return key;
        }

        @Override
        public double cell(int key) {
          return key;
        }

        @Override
        public double scale(int query) {
          return rotation.attentionFactor() * rotation.attentionFactor();
        }
      };
    }

    static Positions of(TwoBand bands, RopeBasis basis) {
      return new Positions() {
        @Override
        public double[] frequencies() {
          return Rotation.unscaled(basis).inverseFrequencies();
        }

        @Override
        public double query(int query, int key) {
          return bands.queryPosition(query, key);
        }

        @Override
        public double key(int query, int key) {
          return bands.keyPosition(query, key);
        }

        @Override
        public double cell(int key) {
          return bands.keyPosition(1 << 24, key);
        }

        @Override
        public double scale(int query) {
          return bands.logN() ? TwoBand.logNFactor(query, basis.trainedTokens()) : 1;
        }
      };
    }
  }

  /** Sees what a query attends to. */
  interface Watcher {
    /**
     * Sees one head.
     *
     * @param query without rotation
     * @param probabilities of the keys 0 to {@code position}
     */
    void see(int layer, int head, int position, double[] query, double[] probabilities);
  }

  /** Hides keys from queries. */
  interface Mask {
    boolean hides(int query, int key);
  }

  private record Layer(
      double[] norm,
      double[] q,
      double[] k,
      double[] v,
      double[] qBias,
      double[] kBias,
      double[] vBias,
      double[] out,
      double[] ffnNorm,
      double[] gate,
      double[] up,
      double[] down) {}

  private final List<Layer> layers = new ArrayList<>();
  private final double[] embedding;
  private final double[] outputNorm;
  private final boolean adjacent;
  private final double epsilon;
  private final RopeBasis basis;
  private final int width;
  private final int heads;
  private final int keyHeads;
  private final int headSize;

  ReferenceModel(Path path) {
    GgufFile file = GgufFile.open(path);
    String prefix = file.model().architecture() + ".";
    adjacent = prefix.equals("llama.");
    width = (int) file.uint32(prefix + "embedding_length").orElseThrow();
    heads = (int) file.uint32(prefix + "attention.head_count").orElseThrow();
    keyHeads = (int) file.uint32(prefix + "attention.head_count_kv").orElseThrow();
    headSize = width / heads;
    epsilon = file.real(prefix + "attention.layer_norm_rms_epsilon").orElseThrow();
    basis =
        new RopeBasis(
            headSize,
            file.real(prefix + "rope.freq_base").orElseThrow(),
            (int) file.uint32(prefix + "context_length").orElseThrow());
    embedding = read(file, "token_embd.weight");
    outputNorm = read(file, "output_norm.weight");
    for (int i = 0; i < file.uint32(prefix + "block_count").orElseThrow(); i++) {
      String layer = "blk." + i + ".";
      layers.add(
          new Layer(
              read(file, layer + "attn_norm.weight"),
              read(file, layer + "attn_q.weight"),
              read(file, layer + "attn_k.weight"),
              read(file, layer + "attn_v.weight"),
              read(file, layer + "attn_q.bias"),
              read(file, layer + "attn_k.bias"),
              read(file, layer + "attn_v.bias"),
              read(file, layer + "attn_output.weight"),
              read(file, layer + "ffn_norm.weight"),
              read(file, layer + "ffn_gate.weight"),
              read(file, layer + "ffn_up.weight"),
              read(file, layer + "ffn_down.weight")));
    }
  }

  RopeBasis basis() {
    return basis;
  }

  private static double[] read(GgufFile file, String name) {
    if (file.tensor(name).isEmpty()) {
      return new double[0];
    }
    GgufTensor tensor = file.tensor(name).orElseThrow();
    ValueLayout.OfFloat layout =
        ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = file.mapTensor(tensor, arena);
      double[] values = new double[(int) tensor.elements()];
      Arrays.setAll(values, i -> data.getAtIndex(layout, i));
      return values;
    }
  }

  /** Begins a text whose cache rounds nothing. */
  Text text(Positions positions) {
    return new Text(positions, false);
  }

  /** Begins a text whose attention sees keys and values rounded to half precision. */
  Text roundedText(Positions positions) {
    return new Text(positions, true);
  }

  /** One sequence. Its keys know the hidden states of the time when they were made. */
  final class Text {
    private final Positions positions;
    private final double[] frequencies;
    private final boolean half;
    private final Map<Double, double[]> turns = new HashMap<>();
    private Watcher watcher = (layer, head, position, query, probabilities) -> {};
    private Mask mask = (query, key) -> false;

    /** By layer and position: all key heads, without rotation. */
    private final List<List<double[]>> keys = new ArrayList<>();

    private final List<List<double[]>> values = new ArrayList<>();

    private Text(Positions positions, boolean half) {
      this.positions = positions;
      this.frequencies = positions.frequencies();
      this.half = half;
      for (int i = 0; i < layers.size(); i++) {
        keys.add(new ArrayList<>());
        values.add(new ArrayList<>());
      }
    }

    /** Lets somebody see the attention of the tokens that follow. */
    Text watchedBy(Watcher value) {
      watcher = value;
      return this;
    }

    /** Hides keys from the tokens that follow. */
    Text masked(Mask value) {
      mask = value;
      return this;
    }

    /** Removes tokens; those that follow move back as they are. */
    void discard(int from, int to) {
      keys.forEach(list -> list.subList(from, to).clear());
      values.forEach(list -> list.subList(from, to).clear());
    }

    /** Puts tokens in the place of others; those that follow move as they are. */
    void splice(int at, int removed, int... inserted) {
      Text tail = fork();
      tail.discard(0, at + removed);
      discard(at, keys.getFirst().size());
      append(inserted);
      for (int i = 0; i < layers.size(); i++) {
        keys.get(i).addAll(tail.keys.get(i));
        values.get(i).addAll(tail.values.get(i));
      }
    }

    /** Returns a copy that goes its own way. */
    Text fork() {
      Text copy = new Text(positions, half);
      for (int i = 0; i < layers.size(); i++) {
        copy.keys.get(i).addAll(keys.get(i));
        copy.values.get(i).addAll(values.get(i));
      }
      return copy;
    }

    /** Appends tokens and returns the logits after each. */
    double[][] append(int... tokens) {
      double[][] logits = new double[tokens.length][];
      for (int i = 0; i < tokens.length; i++) {
        logits[i] = step(tokens[i]);
      }
      return logits;
    }

    private double[] step(int token) {
      double[] x = Arrays.copyOfRange(embedding, token * width, (token + 1) * width);
      for (int il = 0; il < layers.size(); il++) {
        Layer layer = layers.get(il);
        double[] normed = normed(x, layer.norm);
        double[] q = product(layer.q, normed, layer.qBias);
        keys.get(il).add(product(layer.k, normed, layer.kBias));
        values.get(il).add(rounded(product(layer.v, normed, layer.vBias)));
        add(x, product(layer.out, attention(il, q), new double[0]));
        double[] inner = normed(x, layer.ffnNorm);
        double[] gate = product(layer.gate, inner, new double[0]);
        double[] up = product(layer.up, inner, new double[0]);
        for (int i = 0; i < gate.length; i++) {
          gate[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
        }
        add(x, product(layer.down, gate, new double[0]));
      }
      return product(embedding, normed(x, outputNorm), new double[0]);
    }

    private double[] attention(int il, double[] q) {
      List<double[]> layerKeys = keys.get(il);
      int i = layerKeys.size() - 1;
      double[][] scores = new double[heads][i + 1];
      for (int j = 0; j <= i; j++) {
        double[] k = layerKeys.get(j);
        double keyPosition = positions.key(i, j);
        if (half) {
          double cell = positions.cell(j);
          k = turned(rounded(turned(k, cell)), keyPosition - cell);
        } else {
          k = turned(k, keyPosition);
        }
        double[] turnedQuery = turned(q, positions.query(i, j));
        for (int h = 0; h < heads; h++) {
          int kh = h / (heads / keyHeads) * headSize;
          double sum = 0;
          for (int e = 0; e < headSize; e++) {
            sum += turnedQuery[h * headSize + e] * k[kh + e];
          }
          scores[h][j] =
              mask.hides(i, j)
                  ? Double.NEGATIVE_INFINITY
                  : sum * positions.scale(i) / Math.sqrt(headSize);
        }
      }
      double[] result = new double[heads * headSize];
      for (int h = 0; h < heads; h++) {
        int vh = h / (heads / keyHeads) * headSize;
        double most = Arrays.stream(scores[h]).max().orElseThrow();
        double total = 0;
        double[] probabilities = new double[i + 1];
        for (int j = 0; j <= i; j++) {
          double weight = Math.exp(scores[h][j] - most);
          total += weight;
          probabilities[j] = weight;
          double[] v = values.get(il).get(j);
          for (int e = 0; e < headSize; e++) {
            result[h * headSize + e] += weight * v[vh + e];
          }
        }
        for (int e = 0; e < headSize; e++) {
          result[h * headSize + e] /= total;
        }
        for (int j = 0; j <= i; j++) {
          probabilities[j] /= total;
        }
        watcher.see(
            il, h, i, Arrays.copyOfRange(q, h * headSize, (h + 1) * headSize), probabilities);
      }
      return result;
    }

    private double[] turned(double[] all, double position) {
      double[] turn =
          turns.computeIfAbsent(
              position,
              p -> {
                double[] made = new double[frequencies.length * 2];
                for (int f = 0; f < frequencies.length; f++) {
                  made[2 * f] = Math.cos(p * frequencies[f]);
                  made[2 * f + 1] = Math.sin(p * frequencies[f]);
                }
                return made;
              });
      double[] out = all.clone();
      for (int head = 0; head < all.length; head += headSize) {
        for (int f = 0; f < frequencies.length; f++) {
          int a = adjacent ? head + 2 * f : head + f;
          int b = adjacent ? a + 1 : a + frequencies.length;
          out[a] = all[a] * turn[2 * f] - all[b] * turn[2 * f + 1];
          out[b] = all[a] * turn[2 * f + 1] + all[b] * turn[2 * f];
        }
      }
      return out;
    }

    private double[] rounded(double[] values) {
      if (!half) {
        return values;
      }
      double[] out = new double[values.length];
      Arrays.setAll(out, e -> Float.float16ToFloat(Float.floatToFloat16((float) values[e])));
      return out;
    }
  }

  private double[] normed(double[] x, double[] weight) {
    double squares = 0;
    for (double value : x) {
      squares += value * value;
    }
    double factor = 1 / Math.sqrt(squares / x.length + epsilon);
    double[] out = new double[x.length];
    Arrays.setAll(out, i -> x[i] * factor * weight[i]);
    return out;
  }

  private static double[] product(double[] matrix, double[] x, double[] bias) {
    double[] out = new double[matrix.length / x.length];
    for (int row = 0; row < out.length; row++) {
      double sum = bias.length == 0 ? 0 : bias[row];
      int at = row * x.length;
      for (int i = 0; i < x.length; i++) {
        sum += matrix[at + i] * x[i];
      }
      out[row] = sum;
    }
    return out;
  }

  private static void add(double[] to, double[] what) {
    for (int i = 0; i < to.length; i++) {
      to[i] += what[i];
    }
  }
}
