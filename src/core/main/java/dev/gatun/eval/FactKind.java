package dev.gatun.eval;

/** The kinds of facts that are hidden; those that the built-in model was trained to find. */
public enum FactKind {
  /** Five digits: {@code The pass key of Mira is 48213. Remember it.} */
  PASS_KEY,
  /** Where a thing is: {@code Oskar put the brass key in the blue box.} */
  PLACE,
  /** Where somebody lives: {@code Lena lives in Bath.} */
  TOWN,
  /** What somebody does: {@code Felix works as a sailor.} */
  WORK
}
