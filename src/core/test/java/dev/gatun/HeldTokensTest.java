package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Tokens that several sessions hold together, against plain lists. */
class HeldTokensTest {
  private record Token(int id, int position) {}

  private record Pair(HeldTokens held, List<Token> plain) {
    int next() {
      return plain.isEmpty() ? 0 : plain.getLast().position() + 1;
    }

    void check() {
      assertEquals(plain.size(), held.size());
      assertArrayEquals(plain.stream().mapToInt(Token::id).toArray(), held.ids());
      assertArrayEquals(plain.stream().mapToInt(Token::position).toArray(), held.positions());
      assertEquals(next(), held.next());
      int[] text = plain.stream().mapToInt(Token::id).limit(plain.size() / 2 + 1).toArray();
      assertTrue(held.startsWith(text));
      if (text.length > 0) {
        text[text.length - 1]++;
        assertFalse(held.startsWith(text));
      }
      int from = plain.size() / 3;
      int to = plain.size() - plain.size() / 4;
      assertArrayEquals(
          plain.subList(from, to).stream().mapToInt(Token::id).toArray(), held.ids(from, to));
    }
  }

  @Test
  void randomChanges_neverReachAnotherSession() {
    Random random = new Random(7);
    List<Pair> all = new ArrayList<>();
    all.add(new Pair(new HeldTokens(), new ArrayList<>()));
    for (int step = 0; step < 4_000; step++) {
      Pair pair = all.get(random.nextInt(all.size()));
      if (random.nextInt(8) == 0) {
        int count = random.nextInt(pair.plain().size() + 1);
        Pair fork = new Pair(new HeldTokens(), new ArrayList<>(pair.plain().subList(0, count)));
        fork.held().shareFrom(pair.held(), count);
        if (all.size() < 6) {
          all.add(fork);
        } else {
          all.set(random.nextInt(all.size()), fork);
        }
      } else {
        change(pair, random);
      }
      all.forEach(Pair::check);
    }
  }

  @Test
  void stagedTokens_surviveAChangeOfThePositionsBeforeThem() {
    HeldTokens root = new HeldTokens();
    root.append(new int[] {1, 2, 3}, new int[] {5, 7, 9});
    HeldTokens fork = new HeldTokens();
    fork.shareFrom(root, 3);
    fork.stage(new int[] {8, 9}, 0, 2);
    fork.closeGapsFrom(0);
    assertEquals(8, fork.id(3));
    assertEquals(9, fork.id(4));
    assertEquals(10, fork.stagedPosition(3));
    fork.accept(2);
    assertArrayEquals(new int[] {0, 1, 2, 10, 11}, fork.positions());
    assertArrayEquals(new int[] {5, 7, 9}, root.positions());
  }

  private static void change(Pair pair, Random random) {
    HeldTokens held = pair.held();
    List<Token> plain = pair.plain();
    int size = plain.size();
    int from = size == 0 ? 0 : random.nextInt(size);
    int to = from + (size == from ? 0 : random.nextInt(size - from + 1));
    switch (random.nextInt(7)) {
      case 0 -> {
        int[] ids = random.ints(random.nextInt(400), 0, 1_000).toArray();
        held.stage(ids, 0, ids.length);
        int accepted = ids.length - ids.length / 3; // the rest stays on trial and is forgotten
        held.accept(accepted);
        for (int i = 0; i < accepted; i++) {
          plain.add(new Token(ids[i], pair.next()));
        }
      }
      case 1 -> {
        held.add(from);
        plain.add(new Token(from, pair.next()));
      }
      case 2 -> {
        held.cutTo(to);
        plain.subList(to, size).clear();
      }
      case 3 -> {
        held.remove(from, to);
        plain.subList(from, to).clear();
      }
      case 4 -> {
        BitSet keep = new BitSet();
        for (int i = 0; i < size; i++) {
          keep.set(i, random.nextInt(5) > 0);
        }
        held.retain(keep);
        List<Token> kept = keep.stream().mapToObj(plain::get).toList();
        plain.clear();
        plain.addAll(kept);
      }
      case 5 -> {
        held.closeGapsFrom(from);
        for (int i = from; i < size; i++) {
          int position = i == 0 ? 0 : plain.get(i - 1).position() + 1;
          plain.set(i, new Token(plain.get(i).id(), position));
        }
      }
      default -> {
        held.move(from, size, 3);
        for (int i = from; i < size; i++) {
          plain.set(i, new Token(plain.get(i).id(), plain.get(i).position() + 3));
        }
      }
    }
  }
}
