package dev.gatun.internal;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.GrammarException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GbnfCheckerTest {
  private static GrammarException refusal(String grammar) {
    return assertThrows(GrammarException.class, () -> GbnfChecker.check(grammar, "root"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "root ::= \"yes\" | \"no\"",
        "# comment\nroot ::= a b # more\r\na ::= [a-z]+\nb ::= [^0-9\\n]{2,5}\n",
        "root ::= (\"a\"\n  | \"b\")* \"c\"?",
        "root ::= .\n",
        "root ::= <[10]> !<[11]> <|end|>",
        "root ::= \"\\x41\\u00e9\\U0001F600\\t\\r\\n\\\\\\\"\" [\\[\\]\\-a]",
        "root ::= [a-] [-a]",
        "root ::= item{3} item{2,} item{0,4}\nitem ::= \"x\"",
        "root ::= \"é😀\"",
        "root ::=\n  \"a\" |\n  \"b\"",
        "root ::= \"a\" root | \"z\"",
        "root ::= | \"a\"",
        "root ::= v\nv ::= \"[\" (v (\",\" v)*)? \"]\"",
      })
  void goodGrammarsPass(String grammar) {
    assertDoesNotThrow(() -> GbnfChecker.check(grammar, "root"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '~',
      value = {
        "root = \"a\"~line 1, column 6",
        "root ::= \"a~line 1, column 12",
        "root ::= [a~line 1, column 12",
        "root ::= (\"a\"~line 1, column 14",
        "root ::= \"a\" )~line 1, column 14",
        "root ::= *~line 1, column 10",
        "root ::= \"\"*~line 1, column 12",
        "root ::= \"\\q\"~line 1, column 12",
        "root ::= \"\\x4\"~2 hexadecimal digits",
        "root ::= \"a\"{5,2}~m not above n",
        "root ::= \"a\"{2001}~at most 2000",
        "root ::= (\"a\"{100}){100} b~line 1",
        "root ::= \"a\"{x}~a number of repetitions",
        "root ::= missing~'missing'",
        "root ::= <[1~']'",
        "root ::= !a~'<'",
        "root ::= <[99999999999999999999]>~a token id",
        "other ::= \"a\"~no rule 'root'",
        "root ::= root \"a\"~can begin with itself",
        "root ::= ~",
      })
  void badGrammarsAreRefusedWithThePlace(String grammar, String expected) {
    if (expected == null) {
      assertDoesNotThrow(() -> GbnfChecker.check(grammar, "root"));
      return;
    }
    String message = refusal(grammar).getMessage();
    assertTrue(message.contains(expected), grammar + " gave: " + message);
  }

  @Test
  void theLineOfALaterRuleIsNamed() {
    String message = refusal("root ::= a\n\n# é\na ::= \"é\" ?x{\n").getMessage();
    assertTrue(message.contains("line 4, column 14"), message);
  }

  @Test
  void emptyAndBlankGrammarsAreRefused() {
    assertTrue(refusal("").getMessage().contains("no rule"));
    assertTrue(refusal(" \n# only a comment").getMessage().contains("no rule"));
    assertTrue(refusal("root ::= \"a\0\"").getMessage().contains("NUL"));
  }

  /** The native parser does not see these and would grow its stacks without end. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "root ::= a root \"y\" | \"z\"\na ::= b\nb ::= \"\" | \"x\"",
        "root ::= a\na ::= b\nb ::= c\nc ::= a | \"x\"",
        "root ::= (x*)*\nx ::= \"a\"",
        "root ::= (\"a\"?)+",
        "root ::= e{0,3} root\ne ::= \"a\" |",
      })
  void hiddenLeftRecursionIsRefused(String grammar) {
    assertTrue(refusal(grammar).getMessage().contains("begin with itself"), grammar);
  }

  @Test
  void deepNestingAndLongChainsAreRefused_notAStackOverflow() {
    refusal("root ::= " + "(".repeat(100_000) + "\"a\"" + ")".repeat(100_000));
    StringBuilder chain = new StringBuilder("root ::= r0\n");
    for (int i = 0; i < 50_000; i++) {
      chain.append("r").append(i).append(" ::= r").append(i + 1).append('\n');
    }
    chain.append("r50000 ::= \"a\"\n");
    assertTrue(refusal(chain.toString()).getMessage().contains("deep"));
  }

  @Test
  void sharedBeginningsThatMultiplyAreRefused() {
    StringBuilder grammar = new StringBuilder("root ::= r0\n");
    for (int i = 0; i < 40; i++) {
      grammar.append("r%d ::= r%d \"a\" | r%d \"b\"\n".formatted(i, i + 1, i + 1));
    }
    grammar.append("r40 ::= \"c\"\n");
    assertTrue(refusal(grammar.toString()).getMessage().contains("ways"));
  }
}
