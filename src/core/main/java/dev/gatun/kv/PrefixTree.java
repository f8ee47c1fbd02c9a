package dev.gatun.kv;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A radix tree over token ids: which texts are remembered, and which part of them several share.
 * Each {@link Node} stands for the tokens between its parent's end and its own; its value says
 * where what was computed for them is. Texts that begin alike share nodes; where they part, a node
 * is divided.
 *
 * <p>Finding a text costs its length; {@link #coldest} looks at every node.
 *
 * <p>Thread: one at a time.
 *
 * @param <V> what a node carries
 */
public final class PrefixTree<V> {
  /** How values are divided and joined with their nodes. */
  public interface Values<V> {
    /**
     * Divides the value of a node whose tokens are divided.
     *
     * @param value of the node that covers {@code [start, end)}
     * @param start position of its first token
     * @param at where it is divided, between start and end
     * @param end position behind its last token
     */
    Halves<V> divide(V value, int start, int at, int end);

    /**
     * Joins the values of two nodes, the second of which is the first one's only child.
     *
     * @return the value for both; empty to leave them apart
     */
    Optional<V> join(V upper, V lower);
  }

  /**
   * A divided value.
   *
   * @param upper of the tokens before the division
   * @param lower of the others
   */
  public record Halves<V>(V upper, V lower) {}

  /**
   * The longest remembered beginning of a text.
   *
   * @param path the nodes from the first token on; of the last one perhaps only a part
   * @param length tokens that are alike
   */
  public record Match<V>(List<Node<V>> path, int length) {}

  /** Tokens that belong together. */
  public static final class Node<V> {
    private @Nullable Node<V> parent;
    private final Map<Integer, Node<V>> children = new HashMap<>();
    private int start;
    private int[] tokens;
    private V value;
    private int pins;
    private double heat;
    private long used;

    private Node(@Nullable Node<V> parent, int start, int[] tokens, V value) {
      this.parent = parent;
      this.start = start;
      this.tokens = tokens;
      this.value = value;
    }

    /** Returns the position of the first token. */
    public int start() {
      return start;
    }

    /** Returns the position behind the last token. */
    public int end() {
      return start + tokens.length;
    }

    /** Returns the number of tokens. */
    public int size() {
      return tokens.length;
    }

    /** Returns the value. */
    public V value() {
      return value;
    }

    /** Puts another value in place of the old one. */
    public void setValue(V next) {
      value = next;
    }

    /** Returns the nodes that follow; a view. */
    public Collection<Node<V>> children() {
      return Collections.unmodifiableCollection(children.values());
    }

    /** Tells whether nothing follows. */
    public boolean isLeaf() {
      return children.isEmpty();
    }

    /** Returns the node before this one; empty for a first node. */
    public Optional<Node<V>> parent() {
      return parent == null || parent.parent == null ? Optional.empty() : Optional.of(parent);
    }

    /** Returns the tokens from the first position to this node's end. */
    public int[] text() {
      int[] text = new int[end()];
      for (Node<V> node = this; node != null; node = node.parent) {
        System.arraycopy(node.tokens, 0, text, node.start, node.tokens.length);
      }
      return text;
    }

    /** Keeps the node, and with it those before it, until {@link #unpin()}. Counts. */
    public void pin() {
      pins++;
    }

    /**
     * Takes one {@link #pin()} back.
     *
     * @throws IllegalStateException if there is none
     */
    public void unpin() {
      if (pins == 0) {
        throw new IllegalStateException("the node at %d is not pinned".formatted(start));
      }
      pins--;
    }

    /** Tells whether it is pinned. */
    public boolean isPinned() {
      return pins > 0;
    }

    /** Returns what {@link PrefixTree#touch} was given last. */
    public double heat() {
      return heat;
    }

    private int common(int[] text) {
      int other = Math.min(text.length, end());
      int at = Arrays.mismatch(tokens, 0, other - start, text, start, other);
      return at < 0 ? other - start : at;
    }

    @Override
    public String toString() {
      return "[" + start + ", " + end() + ") " + value;
    }
  }

  private final Values<V> values;
  private final Node<V> root;
  private final Set<Node<V>> nodes = new LinkedHashSet<>();
  private long clock;
  private long tokens;

  /**
   * Creates an empty tree.
   *
   * @param values how values are divided and joined
   * @param empty value of the root, which stands for no token
   */
  public PrefixTree(Values<V> values, V empty) {
    this.values = values;
    this.root = new Node<>(null, 0, new int[0], empty);
  }

  /** Returns all nodes, oldest first; a view. */
  public Collection<Node<V>> nodes() {
    return Collections.unmodifiableCollection(nodes);
  }

  /** Returns the tokens that all nodes stand for; shared ones count once. */
  public long tokens() {
    return tokens;
  }

  /** Finds the longest remembered beginning of a text. */
  public Match<V> match(int[] text) {
    List<Node<V>> path = new ArrayList<>();
    Node<V> node = root;
    int length = 0;
    while (length < text.length && length == node.end()) {
      Node<V> next = node.children.get(text[length]);
      if (next == null) {
        break;
      }
      path.add(next);
      length += next.common(text);
      node = next;
    }
    return new Match<>(path, length);
  }

  /**
   * Remembers a text.
   *
   * @param text token ids, at least one
   * @param value makes the value of the node that is added, if one is, from its first position
   * @return the node that ends where the text ends
   * @throws IllegalArgumentException if the text is empty
   */
  public Node<V> insert(int[] text, Function<Integer, V> value) {
    if (text.length == 0) {
      throw new IllegalArgumentException("an empty text cannot be remembered");
    }
    Match<V> match = match(text);
    Node<V> node = match.path().isEmpty() ? root : match.path().getLast();
    if (match.length() < node.end()) {
      node = divide(node, match.length());
    }
    if (match.length() == text.length) {
      return node;
    }
    int start = match.length();
    Node<V> added =
        new Node<>(node, start, Arrays.copyOfRange(text, start, text.length), value.apply(start));
    node.children.put(text[start], added);
    nodes.add(added);
    tokens += added.size();
    return added;
  }

  /** Puts a new node before a divided one and returns it; pins stay with what follows. */
  private Node<V> divide(Node<V> node, int at) {
    Halves<V> halves = values.divide(node.value, node.start, at, node.end());
    int size = at - node.start;
    Node<V> before = node.parent == null ? root : node.parent;
    Node<V> upper =
        new Node<>(before, node.start, Arrays.copyOf(node.tokens, size), halves.upper());
    upper.heat = node.heat;
    upper.used = node.used;
    before.children.put(upper.tokens[0], upper);
    node.parent = upper;
    node.start = at;
    node.tokens = Arrays.copyOfRange(node.tokens, size, node.tokens.length);
    node.value = halves.lower();
    upper.children.put(node.tokens[0], node);
    nodes.add(upper);
    return upper;
  }

  /**
   * Forgets a node that nothing follows. A node that is then left with one child is joined with it,
   * if the values can be.
   *
   * @throws IllegalStateException if something follows or it is pinned
   */
  public void remove(Node<V> leaf) {
    if (!leaf.isLeaf() || leaf.pins > 0 || !nodes.contains(leaf)) {
      throw new IllegalStateException(
          "the node %s has %d children and %d pins"
              .formatted(leaf, leaf.children.size(), leaf.pins));
    }
    Node<V> before = leaf.parent == null ? root : leaf.parent;
    before.children.remove(leaf.tokens[0]);
    nodes.remove(leaf);
    tokens -= leaf.size();
    join(before);
  }

  /** Joins a node with its only child, if it has one and the values can be joined. */
  public void join(Node<V> upper) {
    if (!nodes.contains(upper) || upper.children.size() != 1 || upper.pins > 0) {
      return;
    }
    Node<V> lower = upper.children.values().iterator().next();
    Optional<V> value = values.join(upper.value, lower.value);
    if (value.isEmpty()) {
      return;
    }
    int[] joined = Arrays.copyOf(upper.tokens, upper.size() + lower.size());
    System.arraycopy(lower.tokens, 0, joined, upper.size(), lower.size());
    Node<V> before = upper.parent == null ? root : upper.parent;
    lower.start = upper.start;
    lower.tokens = joined;
    lower.value = value.get();
    lower.parent = before;
    lower.heat = Math.max(lower.heat, upper.heat);
    lower.used = Math.max(lower.used, upper.used);
    before.children.put(joined[0], lower);
    nodes.remove(upper);
  }

  /**
   * Tells that a node was used.
   *
   * @param heat what it is worth, higher is longer kept, as from {@link GreedyDualSize}
   */
  public void touch(Node<V> node, double heat) {
    node.heat = heat;
    node.used = ++clock;
  }

  /** Returns the node worth least among some: the lowest heat, and of equal ones the oldest. */
  public Optional<Node<V>> coldest(Predicate<Node<V>> among) {
    Node<V> coldest = null;
    for (Node<V> node : nodes) {
      if (among.test(node) && (coldest == null || isColder(node, coldest))) {
        coldest = node;
      }
    }
    return Optional.ofNullable(coldest);
  }

  private static <V> boolean isColder(Node<V> a, Node<V> b) {
    return a.heat < b.heat || (a.heat == b.heat && a.used < b.used);
  }
}
