package dev.gatun;

/**
 * What a session got from a prefix cache: the tokens that need not be read again.
 *
 * @param residentTokens tokens whose cells are shared with the cache
 * @param hostTokens tokens whose cells came back from host memory
 * @param diskTokens tokens whose cells came back from disk
 */
public record PrefixReuse(int residentTokens, int hostTokens, int diskTokens) {
  private static final PrefixReuse NONE = new PrefixReuse(0, 0, 0);

  /** Returns that nothing was found. */
  static PrefixReuse none() {
    return NONE;
  }

  /** Returns the tokens that the session now holds; the text goes on with the next one. */
  public int tokens() {
    return residentTokens + hostTokens + diskTokens;
  }

  /** Returns the part of a text that has still to be appended. */
  public int[] rest(int... text) {
    return java.util.Arrays.copyOfRange(text, tokens(), text.length);
  }
}
