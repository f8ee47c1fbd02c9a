package dev.gatun.kv;

/**
 * The tokens that a session holds, and what a policy asked for. Valid only during {@link
 * EvictionPolicy#score}.
 */
public interface EvictionView {
  /** Returns the number of tokens. */
  int size();

  /** Returns a token's id. */
  int token(int index);

  /** Returns a token's position; ascending, with gaps where tokens were dropped. */
  int position(int index);

  /** Returns a token's text; empty for control tokens. */
  String text(int index);

  /**
   * Returns what the observed queries attended to.
   *
   * @throws IllegalStateException if the policy did not ask for it
   */
  ObservedAttention attention();

  /**
   * Returns what the queries before the window attended to; zeros where there are none.
   *
   * @throws IllegalStateException if the policy did not ask for it
   */
  ObservedAttention attentionBefore();

  /** Returns the number of layers that attend to the whole text. */
  int layers();

  /** Returns the number of key heads in a layer. */
  int keyHeads();

  /** Returns the elements of a head. */
  int headSize();

  /**
   * Returns the cached keys of a layer as float32, rotated to their position (under two bands: to
   * their far position).
   *
   * @param layer number among {@link #layers()}
   * @return {@code [token][key head][element]}
   * @throws IllegalStateException if the policy did not ask for keys
   */
  float[] keys(int layer);

  /**
   * Returns the queries of the last observed tokens, before the rotation.
   *
   * @throws IllegalStateException if the policy did not ask for queries
   */
  ObservedQueries queries();

  /** Returns how queries that come next will be rotated. */
  QueryTurn turn();
}
