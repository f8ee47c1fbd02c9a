package dev.gatun.kv;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.kv.PrefixTree.Halves;
import dev.gatun.kv.PrefixTree.Match;
import dev.gatun.kv.PrefixTree.Node;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PrefixTreeTest {
  /** A value that says which positions it is for, so that every division and join shows. */
  private record Range(int from, int to) {}

  private static final class Ranges implements PrefixTree.Values<Range> {
    @Override
    public Halves<Range> divide(Range value, int start, int at, int end) {
      assertEquals(new Range(start, end), value);
      assertTrue(start < at && at < end);
      return new Halves<>(new Range(start, at), new Range(at, end));
    }

    @Override
    public Optional<Range> join(Range upper, Range lower) {
      assertEquals(upper.to(), lower.from());
      return Optional.of(new Range(upper.from(), lower.to()));
    }
  }

  private static PrefixTree<Range> tree() {
    return new PrefixTree<>(new Ranges(), new Range(0, 0));
  }

  private static Node<Range> insert(PrefixTree<Range> tree, int... text) {
    return tree.insert(text, start -> new Range(start, text.length));
  }

  @Test
  void match_findsTheLongestBeginning_alsoInsideANode() {
    PrefixTree<Range> tree = tree();
    insert(tree, 1, 2, 3, 4, 5);
    insert(tree, 1, 2, 3, 9);
    assertEquals(6, tree.tokens());
    assertEquals(3, tree.nodes().size());
    Match<Range> match = tree.match(new int[] {1, 2, 3, 4, 7});
    assertEquals(4, match.length());
    assertEquals(2, match.path().size());
    assertArrayEquals(new int[] {1, 2, 3, 4, 5}, match.path().getLast().text());
    assertEquals(0, tree.match(new int[] {2}).length());
    assertEquals(0, tree.match(new int[0]).length());
  }

  @Test
  void insert_ofAKnownText_addsNothing_andOfABeginning_dividesOnce() {
    PrefixTree<Range> tree = tree();
    Node<Range> whole = insert(tree, 4, 5, 6);
    assertSame(whole, insert(tree, 4, 5, 6));
    Node<Range> part = insert(tree, 4, 5);
    assertEquals(new Range(0, 2), part.value());
    assertEquals(new Range(2, 3), whole.value());
    assertEquals(Optional.of(part), whole.parent());
    assertEquals(3, tree.tokens());
    assertThrows(IllegalArgumentException.class, () -> insert(tree));
  }

  @Test
  void remove_refusesWhatIsPinnedOrHasChildren_andJoinsWhatIsLeft() {
    PrefixTree<Range> tree = tree();
    Node<Range> left = insert(tree, 1, 2, 3);
    Node<Range> right = insert(tree, 1, 2, 4);
    Node<Range> shared = left.parent().orElseThrow();
    assertThrows(IllegalStateException.class, () -> tree.remove(shared));
    left.pin();
    left.pin();
    left.unpin();
    assertThrows(IllegalStateException.class, () -> tree.remove(left));
    left.unpin();
    assertThrows(IllegalStateException.class, left::unpin);
    tree.remove(left);
    assertEquals(List.of(right), List.copyOf(tree.nodes()));
    assertEquals(new Range(0, 3), right.value());
    assertThrows(IllegalStateException.class, () -> tree.remove(left));
  }

  @Test
  void aPinnedNode_staysTheSameWhenItIsDivided() {
    PrefixTree<Range> tree = tree();
    Node<Range> node = insert(tree, 1, 2, 3, 4);
    node.pin();
    insert(tree, 1, 2, 8);
    assertTrue(node.isPinned());
    assertFalse(node.parent().orElseThrow().isPinned());
    assertArrayEquals(new int[] {1, 2, 3, 4}, node.text());
  }

  @Test
  void coldest_takesTheLowestHeat_andThenTheOldest() {
    PrefixTree<Range> tree = tree();
    Node<Range> a = insert(tree, 1);
    Node<Range> b = insert(tree, 2);
    Node<Range> c = insert(tree, 3);
    tree.touch(a, 2);
    tree.touch(b, 1);
    tree.touch(c, 1);
    assertEquals(Optional.of(b), tree.coldest(node -> true));
    assertEquals(Optional.of(c), tree.coldest(node -> node != b));
    tree.touch(b, 3);
    assertEquals(Optional.of(a), tree.coldest(node -> node != c));
    assertEquals(Optional.empty(), tree.coldest(node -> false));
  }

  @Test
  void joinedNodes_areAsYoungAsTheYounger() {
    PrefixTree<Range> tree = tree();
    Node<Range> upper = insert(tree, 1, 2);
    Node<Range> lower = insert(tree, 1, 2, 3);
    Node<Range> other = insert(tree, 7);
    tree.touch(lower, 1);
    tree.touch(other, 1);
    tree.touch(upper, 1);
    tree.join(upper);
    assertEquals(Optional.of(other), tree.coldest(node -> true));
  }

  @Test
  void greedyDualSize_isLeastRecentlyUsed_whenEveryByteCostsTheSame_andKeepsWhatIsDearer() {
    GreedyDualSize order = new GreedyDualSize();
    double old = order.worth(100, 100);
    order.evicted(old);
    double young = order.worth(50, 50);
    assertTrue(young > old);
    double dear = order.worth(300, 100);
    double cheap = order.worth(100, 100);
    assertTrue(dear > cheap);
    order.evicted(dear);
    assertTrue(order.worth(100, 100) > dear, "what is not used grows old");
    assertThrows(IllegalArgumentException.class, () -> order.worth(Double.NaN, 1));
    assertThrows(IllegalArgumentException.class, () -> order.worth(1, 0));
    assertEquals(30, GreedyDualSize.readingCost(0, 20, 20), 1e-12);
    assertEquals(70, GreedyDualSize.readingCost(40, 20, 20), 1e-12);
  }

  /** The same as a list of strings would say, whatever happens. */
  @Test
  void randomTexts_asAListOfStrings() {
    Random random = new Random(5);
    PrefixTree<Range> tree = tree();
    List<String> texts = new ArrayList<>();
    Map<Node<Range>, Integer> pins = new HashMap<>();
    int removals = 0;
    for (int i = 0; i < 100_000; i++) {
      String text = text(random, texts);
      switch (random.nextInt(6)) {
        case 0, 1 -> {
          if (!text.isEmpty()) {
            Node<Range> node = insert(tree, ids(text));
            assertArrayEquals(ids(text), node.text());
            tree.touch(node, random.nextInt(50));
            texts.add(text);
          }
        }
        case 2 -> {
          Optional<Node<Range>> leaf = tree.coldest(node -> node.isLeaf() && !node.isPinned());
          if (leaf.isPresent()) {
            remove(tree, leaf.get(), texts);
            removals++;
          }
        }
        case 3 -> {
          Match<Range> match = tree.match(ids(text));
          if (!match.path().isEmpty()) {
            Node<Range> node = match.path().getLast();
            node.pin();
            pins.merge(node, 1, Integer::sum);
          }
        }
        case 4 -> {
          if (!pins.isEmpty()) {
            Node<Range> node = pins.keySet().iterator().next();
            assertTrue(node.isPinned() && tree.nodes().contains(node));
            node.unpin();
            pins.computeIfPresent(node, (key, n) -> n == 1 ? null : n - 1);
          }
        }
        default -> assertMatch(tree, text, texts);
      }
      while (texts.size() > 60 || pins.size() > 10) {
        pins.forEach(
            (node, n) -> {
              for (int k = 0; k < n; k++) {
                node.unpin();
              }
            });
        pins.clear();
        Node<Range> leaf = tree.coldest(Node::isLeaf).orElseThrow();
        remove(tree, leaf, texts);
        removals++;
      }
      if (i % 100 == 0) {
        assertShape(tree, texts);
      }
    }
    assertTrue(removals > 10_000, removals + " removals");
  }

  private static void remove(PrefixTree<Range> tree, Node<Range> leaf, List<String> texts) {
    String text = string(leaf.text());
    String before = text.substring(0, leaf.start());
    tree.remove(leaf);
    // What ran through the leaf now ends where the node before it ends.
    texts.replaceAll(
        other -> other.length() > before.length() && text.startsWith(other) ? before : other);
    texts.removeIf(String::isEmpty);
    Set<String> distinct = new HashSet<>(texts);
    texts.clear();
    texts.addAll(distinct);
  }

  private static void assertMatch(PrefixTree<Range> tree, String text, List<String> texts) {
    int longest = 0;
    for (String other : texts) {
      int n = 0;
      while (n < Math.min(text.length(), other.length()) && text.charAt(n) == other.charAt(n)) {
        n++;
      }
      longest = Math.max(longest, n);
    }
    Match<Range> match = tree.match(ids(text));
    assertEquals(longest, match.length());
    int at = 0;
    for (Node<Range> node : match.path()) {
      assertEquals(at, node.start());
      at = node.end();
    }
    assertTrue(
        at >= longest && (match.path().isEmpty() || match.path().getLast().start() < longest));
  }

  private static void assertShape(PrefixTree<Range> tree, List<String> texts) {
    Set<String> prefixes = new HashSet<>();
    for (String text : texts) {
      for (int n = 1; n <= text.length(); n++) {
        prefixes.add(text.substring(0, n));
      }
    }
    assertEquals(prefixes.size(), tree.tokens());
    assertEquals(tree.tokens(), tree.nodes().stream().mapToLong(Node::size).sum());
    for (Node<Range> node : tree.nodes()) {
      assertEquals(new Range(node.start(), node.end()), node.value());
      assertTrue(node.size() > 0);
      for (Node<Range> child : node.children()) {
        assertEquals(node.end(), child.start());
        assertEquals(Optional.of(node), child.parent());
        assertTrue(tree.nodes().contains(child));
      }
    }
  }

  /** Often the beginning of a known text and something of three letters behind it. */
  private static String text(Random random, List<String> texts) {
    StringBuilder text = new StringBuilder();
    if (!texts.isEmpty() && random.nextInt(4) > 0) {
      String known = texts.get(random.nextInt(texts.size()));
      text.append(known, 0, random.nextInt(known.length() + 1));
    }
    int more = random.nextInt(8);
    for (int i = 0; i < more && text.length() < 40; i++) {
      text.append((char) ('a' + random.nextInt(3)));
    }
    return text.toString();
  }

  private static int[] ids(String text) {
    return text.chars().toArray();
  }

  private static String string(int[] ids) {
    return new String(ids, 0, ids.length);
  }
}
