package dev.gatun.internal;

import dev.gatun.error.GrammarException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads a GBNF grammar the way the native parser does and refuses what that parser refuses, with
 * line and column, and also what would make it run without end, use up its stack or all memory:
 * deep nesting, {@code x{5,2}}, rules that can begin with themselves.
 *
 * <p>The native parser writes its complaint and the whole grammar to standard error and has no
 * position for its caller.
 */
final class GbnfChecker {
  /** Parentheses in parentheses. */
  static final int MAX_NESTING = 100;

  /** The native parser's limit of what a repetition makes. */
  static final int MAX_REPETITION = 2000;

  private static final int END = -1;

  private final String source;
  private final Map<String, Integer> ids = new HashMap<>();
  private final Map<String, Integer> firstUse = new HashMap<>();
  private final List<GbnfRule> rules = new ArrayList<>();
  private int symbols;
  private int at;
  private int nesting;

  private GbnfChecker(String source) {
    this.source = source;
  }

  /**
   * Checks a grammar.
   *
   * @throws GrammarException if the native parser would refuse it or not survive it
   */
  static void check(String source, String root) {
    new GbnfChecker(source).run(root);
  }

  private void run(String root) {
    int zero = source.indexOf('\0');
    if (zero >= 0) {
      at = zero;
      throw wrong("a character", "a NUL character");
    }
    space(true);
    while (peek() != END) {
      rule();
    }
    if (rules.isEmpty()) {
      throw new GrammarException(
          "the grammar holds no rule; give it at least one, such as: root ::= \"yes\" | \"no\"");
    }
    for (Map.Entry<String, Integer> name : ids.entrySet()) {
      if (!rules.get(name.getValue()).isDefined()) {
        at = firstUse.get(name.getKey());
        throw new GrammarException(
            "the grammar uses the rule '%s' at %s, but does not define it; add a line: %s ::= ..."
                .formatted(name.getKey(), place(), name.getKey()));
      }
    }
    if (!ids.containsKey(root)) {
      throw new GrammarException(
          ("the grammar has no rule '%s' to start with; name the start rule '%s', or give "
                  + "the name of another")
              .formatted(root, root));
    }
    GbnfRule.checkRecursion(rules);
  }

  private void rule() {
    int start = at;
    String name = name();
    int id = symbol(name, start);
    space(false);
    if (!source.startsWith("::=", at)) {
      throw wrong("'::='");
    }
    at += 3;
    space(true);
    alternates(rules.get(id).define(name), false);
    if (peek() == '\r') {
      at++;
      if (peek() == '\n') {
        at++;
      }
    } else if (peek() == '\n') {
      at++;
    } else if (peek() != END) {
      throw wrong("the end of the rule");
    }
    space(true);
  }

  private void alternates(GbnfRule rule, boolean nested) {
    sequence(rule, nested);
    while (peek() == '|') {
      at++;
      space(true);
      rule.beginAlternate();
      sequence(rule, nested);
    }
  }

  private void sequence(GbnfRule rule, boolean nested) {
    int last = rule.length();
    long multiplied = 1;
    while (true) {
      int c = peek();
      int before = rule.length();
      if (c == '"') {
        literal(rule);
      } else if (c == '[') {
        characterClass(rule);
      } else if (c == '<' || c == '!') {
        token(rule);
      } else if (isWord(c)) {
        int start = at;
        rule.add(symbol(name(), start));
      } else if (c == '(') {
        int symbolsBefore = symbols;
        group(rule);
        last = before;
        multiplied = Math.max(1, symbols - symbolsBefore);
        space(nested);
        continue;
      } else if (c == '.') {
        at++;
        rule.add(GbnfRule.TERMINAL);
      } else if (c == '*' || c == '+' || c == '?' || c == '{') {
        multiplied = repetition(rule, last, multiplied, nested);
        continue;
      } else {
        return;
      }
      last = before;
      multiplied = 1;
      space(nested);
    }
  }

  private void literal(GbnfRule rule) {
    at++;
    while (peek() != '"') {
      character();
      rule.add(GbnfRule.TERMINAL);
    }
    at++;
  }

  private void characterClass(GbnfRule rule) {
    at++;
    if (peek() == '^') {
      at++;
    }
    boolean any = false;
    while (peek() != ']') {
      character();
      any = true;
      if (peek() == '-' && at + 1 < source.length() && source.charAt(at + 1) != ']') {
        at++;
        character();
      }
    }
    at++;
    if (any) {
      rule.add(GbnfRule.TERMINAL);
    }
  }

  private void token(GbnfRule rule) {
    if (peek() == '!') {
      at++;
    }
    if (peek() != '<') {
      throw wrong("'<'");
    }
    at++;
    if (peek() == '[') {
      at++;
      number(Integer.MAX_VALUE, "a token id");
      if (peek() != ']') {
        throw wrong("']'");
      }
      at++;
    } else {
      while (peek() != '>' && peek() != END) {
        at++;
      }
    }
    if (peek() != '>') {
      throw wrong("'>'");
    }
    at++;
    rule.add(GbnfRule.TERMINAL);
  }

  private void group(GbnfRule rule) {
    if (++nesting > MAX_NESTING) {
      throw new GrammarException(
          ("the grammar has more than %d parentheses in parentheses at %s; give inner "
                  + "parts a rule of their own")
              .formatted(MAX_NESTING, place()));
    }
    at++;
    space(true);
    int id = newRule();
    alternates(rules.get(id).define("(group)"), true);
    if (peek() != ')') {
      throw wrong("')'");
    }
    at++;
    nesting--;
    rule.add(id);
  }

  /** Returns what the native parser's counter of made rules becomes. */
  private long repetition(GbnfRule rule, int last, long multiplied, boolean nested) {
    int start = at;
    int c = source.charAt(at++);
    long low = c == '+' ? 1 : 0;
    long high = c == '?' ? 1 : Long.MAX_VALUE;
    space(nested);
    if (c == '{') {
      low = number(MAX_REPETITION, "a number of repetitions");
      space(nested);
      if (peek() == '}') {
        high = low;
      } else {
        if (peek() != ',') {
          throw wrong("',' or '}'");
        }
        at++;
        space(nested);
        if (peek() != '}') {
          high = number(Integer.MAX_VALUE, "a number of repetitions");
          space(nested);
        }
        if (peek() != '}') {
          throw wrong("'}'");
        }
        if (high < low) {
          at = start;
          throw wrong("a repetition {m,n} with m not above n", "{" + low + "," + high + "}");
        }
      }
      at++;
      space(nested);
      if (high > MAX_REPETITION) {
        high = Long.MAX_VALUE;
      }
    }
    if (last == rule.length()) {
      at = start;
      throw wrong("something to repeat before '" + (char) c + "'", "nothing");
    }
    boolean endless = high == Long.MAX_VALUE;
    long times = !endless && high > 0 ? high : low > 0 ? low : 1;
    if (multiplied * times > MAX_REPETITION) {
      at = start;
      throw wrong(
          "repetitions that make at most " + MAX_REPETITION + " rules", multiplied * times + "");
    }
    int[] item = rule.removeFrom(last);
    for (int i = 0; i < Math.min(low, 2); i++) {
      rule.addAll(item);
    }
    long optional = endless ? 1 : high - low;
    if (optional > 0) {
      int id = newRule();
      symbols += (int) optional - 1;
      GbnfRule more = rules.get(id).define("(repetition)");
      more.addAll(item);
      if (endless) {
        more.add(id);
      }
      more.beginAlternate();
      more.levels(optional);
      rule.add(id);
    }
    return multiplied * times;
  }

  private void character() {
    int c = peek();
    if (c == END) {
      throw wrong("a character");
    }
    if (c != '\\') {
      at += Character.charCount(c);
      return;
    }
    at++;
    int digits =
        switch (peek()) {
          case 'x' -> 2;
          case 'u' -> 4;
          case 'U' -> 8;
          case 't', 'r', 'n', '\\', '"', '[', ']', '-' -> 0;
          default -> throw wrong("one of xuUtrn\\\"[]- after a backslash");
        };
    at++;
    for (int i = 0; i < digits; i++) {
      if (peek() > 127 || Character.digit(peek(), 16) < 0) {
        throw wrong(digits + " hexadecimal digits");
      }
      at++;
    }
  }

  private String name() {
    int start = at;
    while (isWord(peek())) {
      at++;
    }
    if (at == start) {
      throw wrong("the name of a rule (letters, digits and '-')");
    }
    return source.substring(start, at);
  }

  private long number(long most, String what) {
    int start = at;
    while (isDigit(peek())) {
      at++;
    }
    if (at == start) {
      throw wrong(what);
    }
    String digits = source.substring(start, at);
    long value = digits.length() > 10 ? Long.MAX_VALUE : Long.parseLong(digits);
    if (value > most) {
      at = start;
      throw wrong(what + " of at most " + most, digits);
    }
    return value;
  }

  private int symbol(String name, int start) {
    Integer id = ids.get(name);
    if (id == null) {
      id = newRule();
      ids.put(name, id);
      firstUse.put(name, start);
    }
    return id;
  }

  private int newRule() {
    symbols++;
    rules.add(new GbnfRule());
    return rules.size() - 1;
  }

  private void space(boolean lines) {
    while (true) {
      int c = peek();
      if (c == '#') {
        while (peek() != END && peek() != '\r' && peek() != '\n') {
          at++;
        }
      } else if (c == ' ' || c == '\t' || (lines && (c == '\r' || c == '\n'))) {
        at++;
      } else {
        return;
      }
    }
  }

  private int peek() {
    return at < source.length() ? source.codePointAt(at) : END;
  }

  private static boolean isWord(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || isDigit(c);
  }

  private static boolean isDigit(int c) {
    return c >= '0' && c <= '9';
  }

  private String place() {
    String before = source.substring(0, Math.min(at, source.length()));
    int line = 1 + (int) before.chars().filter(c -> c == '\n').count();
    int column = 1 + before.codePointCount(before.lastIndexOf('\n') + 1, before.length());
    return "line " + line + ", column " + column;
  }

  private GrammarException wrong(String expected) {
    int c = peek();
    return wrong(
        expected,
        switch (c) {
          case END -> "the end of the grammar";
          case '\n', '\r' -> "the end of the line";
          default -> "'" + Character.toString(c) + "'";
        });
  }

  private GrammarException wrong(String expected, String found) {
    return new GrammarException(
        "the grammar is wrong at %s: expected %s, but found %s; correct it there"
            .formatted(place(), expected, found));
  }
}
