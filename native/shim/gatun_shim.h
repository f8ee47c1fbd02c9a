// The Gatun shim: a C ABI over the parts of llama.cpp that are C++, that can throw, or that llama.h does not export.
//
// Conventions
//   - Every function is `noexcept` in effect: C++ exceptions are caught here and become a status and a message.
//   - `err`, `err_cap`: the caller's buffer for a UTF-8, NUL-terminated message, cut on a character border when it is
//     too long. It may be NULL with capacity 0. On GATUN_OK it holds an empty string.
//   - Error-level log lines that llama.cpp wrote on the calling thread during the call are appended to the message.
//   - An `out` string is malloc'ed by the shim and freed by the caller with gatun_free; it is NULL on failure.
//   - Sizes are in bytes unless the name says otherwise. Text is UTF-8. Pointers may not be NULL unless the comment says so.
//   - Structs of llama.h are passed by pointer, never by value.
//   - Thread: a function that takes a context, a sampler or a pair of thread pools must not run concurrently with
//     another call on the same object. Everything else is safe from any thread.
#ifndef GATUN_SHIM_H
#define GATUN_SHIM_H

#include "ggml-backend.h"
#include "llama.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#    if defined(GATUN_SHIM_BUILD)
#        define GATUN_API __declspec(dllexport)
#    else
#        define GATUN_API __declspec(dllimport)
#    endif
#else
#    define GATUN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Raised whenever a declaration in this file changes its meaning or its layout.
#define GATUN_SHIM_ABI 2

// Status codes. llama_decode's and llama_encode's own codes (0, 1, 2, -1, -2, -3) are passed through unchanged.
#define GATUN_OK 0
#define GATUN_EXCEPTION (-1000)       // a C++ exception was caught; its text is in `err`
#define GATUN_FAILED (-1001)          // the llama.cpp call returned NULL, false or 0; the log lines are in `err`
#define GATUN_OUT_OF_MEMORY (-1002)   // std::bad_alloc
#define GATUN_INVALID_ARGUMENT (-1003) // refused by the shim before the call
#define GATUN_CANCELLED (-1004)       // a callback asked to stop
#define GATUN_NO_ROOM (-1005)         // too few free cells; nothing was changed

// Returns GATUN_SHIM_ABI of the loaded library.
GATUN_API int32_t gatun_shim_abi(void);

// Returns the git tree id of the llama.cpp sources this library was built from (40 hexadecimal digits). Static storage.
GATUN_API const char * gatun_llama_tree(void);

// Frees a string or buffer that a shim function returned through an `out` parameter. NULL is allowed.
GATUN_API void gatun_free(void * ptr);

// ---- log ------------------------------------------------------------------------------------------------------------
// Lines written by llama.cpp and ggml on any thread are joined (continuation pieces appended to the line before them on
// the same thread) and kept in a bounded queue of 4,096 lines; when it is full the oldest are dropped and counted.

// Installs the capture as llama.cpp's and ggml's logger and sets the lowest level that is kept.
// Levels are ggml_log_level's: 1 debug, 2 info, 3 warn, 4 error. Idempotent.
GATUN_API void gatun_log_install(int32_t min_level);

// Returns the number of lines waiting in the queue. Cheap: one relaxed atomic load.
GATUN_API int32_t gatun_log_pending(void);

// Moves the oldest complete line into `buf` (NUL-terminated, without its line break, cut on a character border when it
// is longer than cap - 1 bytes), its level into *level, and returns its length in bytes; -1 when no line waits.
GATUN_API int32_t gatun_log_next(int32_t * level, char * buf, size_t cap);

// Returns how many lines were dropped since the last call.
GATUN_API int64_t gatun_log_dropped(void);

// Writes one line through the installed logger (for tests).
GATUN_API void gatun_log_emit(int32_t level, const char * text);

// ---- interruption ---------------------------------------------------------------------------------------------------
// A caller-owned cell that stops a running computation without an upcall. Written by any thread, read by the compute
// threads between graph nodes.
struct gatun_interrupt {
    int32_t cancelled;   // non-zero: stop. Plain int32 accessed atomically.
    int32_t reserved;    // must be 0
    int64_t deadline_us; // stop once llama_time_us() has reached this value; 0: no deadline
};

// Makes `cell` the abort callback of the context (llama_set_abort_callback). NULL removes it. The cell must outlive the
// context or its removal. With a cell that is set, gatun_decode returns 2.
GATUN_API void gatun_interrupt_attach(struct llama_context * ctx, struct gatun_interrupt * cell);

// ---- back ends ------------------------------------------------------------------------------------------------------
// Loads one back-end module by absolute path (ggml_backend_load). *out is the registry entry. The first call also runs
// llama_backend_init and sets GGML_NO_BACKTRACE, so that an abort does not start a debugger.
GATUN_API int32_t gatun_backend_load(const char * path, ggml_backend_reg_t * out, char * err, size_t err_cap);

// Asks a CPU back-end module how well it suits this machine without registering it: its score, 0 when this machine
// cannot run it. GATUN_FAILED when the module has no score function.
GATUN_API int32_t gatun_backend_score(const char * path, int32_t * out, char * err, size_t err_cap);

// ---- model ----------------------------------------------------------------------------------------------------------
GATUN_API void gatun_model_default_params(struct llama_model_params * out);
GATUN_API void gatun_context_default_params(struct llama_context_params * out);

// Loads a model from one file (n_paths == 1; numbered splits beside it are found by name) or from its splits in order.
// GATUN_CANCELLED when the progress callback returned false.
GATUN_API int32_t gatun_model_load(const char * const * paths, size_t n_paths, const struct llama_model_params * params,
                                   struct llama_model ** out, char * err, size_t err_cap);

// Loads a LoRA adapter for the model (llama_adapter_lora_init). Freed with llama_adapter_lora_free or with the model.
GATUN_API int32_t gatun_adapter_lora_load(struct llama_model * model, const char * path,
                                          struct llama_adapter_lora ** out, char * err, size_t err_cap);

// llama_model_quantize.
GATUN_API int32_t gatun_model_quantize(const char * path_in, const char * path_out,
                                       const llama_model_quantize_params * params, char * err, size_t err_cap);

// ---- positions ------------------------------------------------------------------------------------------------------
// How a context scales positions beyond what llama_context_params can say. CPU only, but for a setting without factors
// and without a far band, which changes nothing but shifts.
#define GATUN_FAR_NONE 0
#define GATUN_FAR_SELF_EXTEND 1 // far query floor(p / group) + window - floor(window / group), far key floor(p / group)
#define GATUN_FAR_REROPE 2      // far query window, far key 0
#define GATUN_FAR_LEAKY_REROPE 3 // far query p / factor + window - window / factor, far key p / factor
#define GATUN_FAR_DUAL_CHUNK 4  // with s = chunk - window: keys p mod s; queries p mod s in the key's chunk,
                                // min(p mod s + s, chunk - 1) in the chunk after it, chunk - 1 later

struct gatun_rope_params {
    const float * factors;  // frequency factors theta / theta', one for each rotated pair; they replace the model's own
    int32_t n_factors;      // 0: the model's frequencies
    float attention_factor; // multiplies queries and keys; 1: nothing
    int32_t far_kind;       // GATUN_FAR_*: keys at a distance of `window` or more are met at a mapped position
    int32_t window;         // tokens, at most 2^30
    int32_t group;          // Self-Extend only
    int32_t chunk;          // dual chunk attention only, tokens, at most 2^30
    double factor;          // leaky ReRoPE only
    int32_t log_n_tokens;   // with a far band: queries times max(1, ln(p + 1) / ln(log_n_tokens)); 0: not
    int32_t reserved;       // must be 0
};

struct gatun_rope;

// Checks and copies the settings. Freed by gatun_rope_free, after the context that it was given to.
GATUN_API int32_t gatun_rope_new(const struct gatun_rope_params * params, struct gatun_rope ** out, char * err,
                                 size_t err_cap);

// Changes the settings of a living context. What its memory holds was computed under the old ones: clear it first. A
// far band can neither come nor go.
GATUN_API int32_t gatun_rope_set(struct gatun_rope * rope, const struct gatun_rope_params * params, char * err,
                                 size_t err_cap);

// NULL is allowed.
GATUN_API void gatun_rope_free(struct gatun_rope * rope);

// llama_memory_seq_cp and llama_memory_seq_rm. In a unified cache of attention layers alone a sequence that shares cells
// takes no memory for them: llama.cpp would keep 48 bytes for each. Sequences that were shared so are shared and cut by
// these two functions only. *removed is 0 when the memory cannot forget that part. Negative p0 and p1: from the
// beginning, to the end; a negative seq is refused.
GATUN_API int32_t gatun_memory_share(struct llama_context * ctx, llama_seq_id from, llama_seq_id to, llama_pos p0,
                                     llama_pos p1, char * err, size_t err_cap);
GATUN_API int32_t gatun_memory_remove(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                      int32_t * removed, char * err, size_t err_cap);

// llama_memory_seq_add and llama_memory_seq_div, and at once the turn of the cached keys that llama.cpp leaves to the
// next decode: afterwards the state is whole. Under every scaling the keys keep their length. GATUN_INVALID_ARGUMENT,
// with nothing changed, when the memory cannot shift, when the context has YaRN's own parameters and no gatun_rope,
// when a cell would come beyond the last position, when cells in the range belong to another sequence too, or where
// llama.cpp would abort: keys of type BF16, quantised keys of a head size that 64 does not divide. p1 < 0 means to the
// end.
GATUN_API int32_t gatun_memory_shift(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                     llama_pos delta, char * err, size_t err_cap);
// Removes p0 to p1 - 1 (llama_memory_seq_rm) and moves what follows back by as much.
GATUN_API int32_t gatun_memory_discard(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                       char * err, size_t err_cap);
GATUN_API int32_t gatun_memory_divide(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                      int32_t divisor, char * err, size_t err_cap);

// The scores of one attention head under a far band, from the code that contexts use (for tests): queries and keys are
// [n_tokens][head_size] without rotation, token i stands at position i; scores is [n_tokens][n_tokens], query by key,
// q.k / sqrt(head_size), without mask. `adjacent`: pairs are (2i, 2i + 1), else (i, i + head_size / 2).
GATUN_API int32_t gatun_two_band_scores(const struct gatun_rope_params * params, int32_t head_size, double base,
                                        bool adjacent, int32_t n_tokens, const float * queries, const float * keys,
                                        float * scores, char * err, size_t err_cap);

// ---- context --------------------------------------------------------------------------------------------------------
// llama_init_from_model. Also restores what that call changes in the model (nothing else may observe it). `rope` may be
// NULL; else it must live as long as the context, and serves no other one.
GATUN_API int32_t gatun_context_new(struct llama_model * model, const struct llama_context_params * params,
                                    struct gatun_rope * rope, struct llama_context ** out, char * err, size_t err_cap);

// Creates persistent thread pools of the CPU back end (one for generation, one for batches; the same one when the
// counts are equal) and attaches them to the context. *out is NULL and the status GATUN_OK when no CPU device offers
// thread pools. `poll`: 0 (sleep) to 100 (spin), ggml's default is 50.
GATUN_API int32_t gatun_threadpools_attach(struct llama_context * ctx, int32_t n_threads, int32_t n_threads_batch,
                                           uint32_t poll, void ** out, char * err, size_t err_cap);

// Frees what gatun_threadpools_attach returned. Call it after llama_free of the context. NULL is allowed.
GATUN_API void gatun_threadpools_free(void * pools);

// llama_decode and llama_encode; their own code, or GATUN_EXCEPTION / GATUN_OUT_OF_MEMORY. GATUN_INVALID_ARGUMENT when the
// batch is larger than the context takes at a time, or has neither tokens nor embeddings.
GATUN_API int32_t gatun_decode(struct llama_context * ctx, const struct llama_batch * batch, char * err, size_t err_cap);
GATUN_API int32_t gatun_encode(struct llama_context * ctx, const struct llama_batch * batch, char * err, size_t err_cap);

// Memory by buffer type of a context and its model, in bytes.
struct gatun_memory_entry {
    char    device[64];      // the device's name, e.g. "CPU", "CUDA0"; the buffer type's name when it has no device
    char    buffer_type[64]; // e.g. "CPU", "CUDA0", "CPU_REPACK"
    int32_t is_host;
    int32_t reserved;
    int64_t model_bytes;
    int64_t context_bytes;
    int64_t compute_bytes;
};

// Fills up to `cap` entries and sets *count to the number there are.
GATUN_API int32_t gatun_memory_breakdown(const struct llama_context * ctx, struct gatun_memory_entry * entries,
                                         size_t cap, size_t * count, char * err, size_t err_cap);

// llama_state_seq_get_size_ext, llama_state_seq_get_data_ext, llama_state_seq_set_data_ext. *written / *read: bytes.
GATUN_API int32_t gatun_state_seq_size(struct llama_context * ctx, llama_seq_id seq, uint32_t flags, size_t * out,
                                       char * err, size_t err_cap);
GATUN_API int32_t gatun_state_seq_get(struct llama_context * ctx, uint8_t * dst, size_t size, llama_seq_id seq,
                                      uint32_t flags, size_t * written, char * err, size_t err_cap);
GATUN_API int32_t gatun_state_seq_set(struct llama_context * ctx, const uint8_t * src, size_t size, llama_seq_id seq,
                                      uint32_t flags, size_t * read, char * err, size_t err_cap);

// llama_set_adapters_lora and llama_set_adapter_cvec (data NULL clears the control vector).
GATUN_API int32_t gatun_set_adapters_lora(struct llama_context * ctx, struct llama_adapter_lora ** adapters, size_t n,
                                          const float * scales, char * err, size_t err_cap);
GATUN_API int32_t gatun_set_adapter_cvec(struct llama_context * ctx, const float * data, size_t n_floats,
                                         int32_t n_embd, int32_t il_start, int32_t il_end, char * err, size_t err_cap);

// ---- cells ----------------------------------------------------------------------------------------------------------
// The cells of a sequence, one for each token and layer, addressed by position: [p0, p1), where p1 < 0 means to the end.
// For models whose memory is key/value cells alone. Sliding-window layers must still hold the range. What moves cells or
// looks at all of them also works beside a recurrent state, where the comment says so.

struct gatun_cell_usage {
    int32_t size;        // cells of the pool in which the sequence lives; sequences of a unified cache have one pool
    int32_t used;        // cells in use, by any sequence
    int32_t shared;      // cells in use by several sequences
    int32_t extent;      // highest cell in use + 1: what attention runs over, rounded up to 256
    int32_t held;        // cells of this sequence
    int32_t held_shared; // cells of this sequence that other ones use too
};

// Counts cells. Also beside a recurrent state. With sliding-window layers: of the other layers.
GATUN_API int32_t gatun_cells_usage(struct llama_context * ctx, llama_seq_id seq, struct gatun_cell_usage * out,
                                    char * err, size_t err_cap);

// Writes up to `cap` positions of cells of the range, ascending, and sets *count to the number there are. As
// gatun_cells_usage.
GATUN_API int32_t gatun_cells_positions(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                        int32_t * out, size_t cap, size_t * count, char * err, size_t err_cap);

// Sets *out to the bytes of n cells as gatun_cells_read writes them: layer by layer (sliding-window layers after all
// others) n rows of keys, then n rows of values, each row as the cache's type packs it. Values are rows here also when
// the cache keeps them transposed. Models with latent attention have no values.
GATUN_API int32_t gatun_cells_bytes(struct llama_context * ctx, size_t n, size_t * out, char * err, size_t err_cap);

// Copies the rows of a range out, ascending by position, and sets *written to their bytes.
GATUN_API int32_t gatun_cells_read(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                   uint8_t * dst, size_t size, size_t * written, char * err, size_t err_cap);

// Rows as gatun_cells_read writes them; row i was read at position stored[i] and comes to positions[i].
struct gatun_cell_piece {
    const int32_t * stored;    // [n]
    const int32_t * positions; // [n]
    size_t n;                  // cells
    const uint8_t * src;
    size_t size; // of src, bytes; what gatun_cells_bytes says for n cells
};

// Adds cells to a sequence; those that it has stay. The rows are of contexts of the same model, types and position
// scaling. Keys that move are turned before the call returns, with one computation for all pieces, under every scaling.
// GATUN_NO_ROOM when there are too few free cells; GATUN_INVALID_ARGUMENT when a position is given twice or is there
// already, or when keys would move and cannot (see gatun_memory_shift). Nothing is changed then.
GATUN_API int32_t gatun_cells_write(struct llama_context * ctx, llama_seq_id seq, const struct gatun_cell_piece * pieces,
                                    size_t n_pieces, char * err, size_t err_cap);

// Gives the sequence cells of its own in place of those of the range that it shares, and sets *copied to their number.
// Others keep theirs, bit by bit. GATUN_NO_ROOM, with nothing changed, when there are too few free cells. Also beside a
// recurrent state.
GATUN_API int32_t gatun_cells_copy_private(struct llama_context * ctx, llama_seq_id seq, llama_pos p0, llama_pos p1,
                                           int32_t * copied, char * err, size_t err_cap);

struct gatun_compaction {
    int64_t moved;          // cells, counted in each cache
    int64_t extent_before;  // see gatun_cell_usage, summed over the pools
    int64_t extent_after;
    int64_t released_bytes; // host memory behind the cells that went back to the system (Linux)
};

// Moves the used cells of every pool to its front and keeps their order, so that attention runs over used cells only.
// Positions and sharing stay. Also beside a recurrent state.
GATUN_API int32_t gatun_cells_compact(struct llama_context * ctx, struct gatun_compaction * out, char * err,
                                      size_t err_cap);

// ---- attention ------------------------------------------------------------------------------------------------------
// Where attention goes, and the keys it meets. CPU only, in a context with flash attention that was made with a
// gatun_rope; else GATUN_INVALID_ARGUMENT. Layers with a sliding window and recurrent layers take no part.
// Arrays by cell are in ascending order of the positions of a sequence's cells.
struct gatun_attention_shape {
    int32_t cells;        // of the sequence
    int32_t layers;       // that attend to the whole text
    int32_t heads;        // of the layer that has most
    int32_t head_size;    // of the layer that has the largest; floats
    int32_t query_tokens; // queries that gatun_observe_queries returns
    int32_t reserved;
    int64_t observed;     // queries since the last reset
};

GATUN_API int32_t gatun_attention_info(struct llama_context * ctx, llama_seq_id seq, struct gatun_attention_shape * out,
                                       char * err, size_t err_cap);

// The layers' numbers in the model, ascending; `cap` at least gatun_attention_shape.layers.
GATUN_API int32_t gatun_attention_layers(struct llama_context * ctx, int32_t cap, int32_t * layers, char * err,
                                         size_t err_cap);

#define GATUN_OBSERVE_HEADS 1u // also by layer and head

// From the next decode on adds up softmax probabilities for each cell: of the queries of sequence `seq` (-1: of all) at
// first_position and after. Also keeps the queries of the last `query_tokens` observed tokens. Replaces what was observed
// before. While it runs, attention is computed by our kernel, in float32.
GATUN_API int32_t gatun_observe_begin(struct llama_context * ctx, uint32_t flags, llama_seq_id seq,
                                      llama_pos first_position, int32_t query_tokens, char * err, size_t err_cap);
GATUN_API int32_t gatun_observe_end(struct llama_context * ctx, char * err, size_t err_cap);

// Sets all sums to 0. A cell that gets another token begins at 0 by itself, and one that gatun_cells_write fills; a cell
// that a state was restored into does not. Sums go with their cells where these move. The queries of a micro batch that
// was stopped are not counted nor kept; what they added until then stays.
GATUN_API int32_t gatun_observe_reset(struct llama_context * ctx, char * err, size_t err_cap);

// sums: over queries, layers and heads; maxima: over the same; last: mean over layers and heads for the last observed
// query. `cap`: room in each array, at least gatun_attention_shape.cells.
GATUN_API int32_t gatun_observe_scores(struct llama_context * ctx, llama_seq_id seq, int32_t cap, int32_t * positions,
                                       float * sums, float * maxima, float * last, char * err, size_t err_cap);

// [layers][heads][cells], over queries.
GATUN_API int32_t gatun_observe_heads(struct llama_context * ctx, llama_seq_id seq, int32_t cap, float * sums,
                                      float * maxima, char * err, size_t err_cap);

// The kept queries, oldest first: positions [query_tokens], queries [layers][query_tokens][heads][head_size]. They are
// those from before the rotation and without the mixing of a quantised cache; on plain positions they are turned back
// from what the attention gets, by the frequencies of the model's own rope node.
GATUN_API int32_t gatun_observe_queries(struct llama_context * ctx, int32_t cap, int32_t * positions, float * queries,
                                        char * err, size_t err_cap);

// A layer's keys as float32: [cells][width], width = key heads * head size. They are rotated as the cache has them: to
// their position, under two bands to their far position; the mixing of a quantised cache is taken back. With cap 0 only
// *width is set.
GATUN_API int32_t gatun_memory_keys(struct llama_context * ctx, llama_seq_id seq, int32_t layer, int32_t cap,
                                    int32_t * positions, float * keys, int32_t * width, char * err, size_t err_cap);

// Keys that attention leaves out. Where observation works; GATUN_INVALID_ARGUMENT elsewhere.
#define GATUN_SPARSE_NONE 0
#define GATUN_SPARSE_PAGES 1      // the pages of 16 cells that weigh most for each decoded token
#define GATUN_SPARSE_LOCAL 2      // the newest `window` keys and the first `sinks`
#define GATUN_SPARSE_DILATED 3    // `window` keys, every `stride`-th back from the query
#define GATUN_SPARSE_BLOCKS 4     // the keys in the query's own block of `block` positions
#define GATUN_SPARSE_STRIDED 5    // the newest `stride` keys, and before them every `stride`-th
#define GATUN_SPARSE_LONGFORMER 6 // as dilated; and `globals` are met by all and meet all
#define GATUN_SPARSE_BIG_BIRD 7   // blocks of `block`: the newest `window`, the first `sinks`, `random` drawn ones

struct gatun_sparse_params {
    int32_t kind;          // GATUN_SPARSE_*
    int32_t budget_tokens; // pages: tokens to choose, beside those that are always met
    int32_t window;        // keys; BigBird: blocks; pages: newest tokens that are always met
    int32_t sinks;         // first positions that are always met; BigBird: blocks
    int32_t stride;
    int32_t block;         // positions
    int32_t random;        // BigBird: blocks
    int32_t max_tokens;    // pages: micro batches with more tokens in a stream attend to all
    int32_t by_bound;      // pages: 1: rank by Quest's bound; 0: by expected weight
    int32_t measure;       // 1: compute full attention too and add up how much of it falls on the met keys
    uint64_t seed;         // BigBird
    const int32_t * globals; // Longformer: positions, ascending
    int32_t n_globals;
    int32_t reserved;      // must be 0
};

// From the next decode on, in the layers that attend to the whole text. A new set or GATUN_SPARSE_NONE replaces the old.
GATUN_API int32_t gatun_sparse_set(struct llama_context * ctx, const struct gatun_sparse_params * params, char * err,
                                   size_t err_cap);

struct gatun_sparse_counts {
    int64_t rows;     // queries of a head for which keys were left out or could have been
    int64_t attended; // keys that they met
    int64_t visible;  // keys that full attention would have met
    int64_t measured; // rows that were measured
    double recall;    // mean share of full attention on the met keys; 0 when nothing was measured
    double least;     // smallest share
};

// From the next decode on the attention of the layers that keep the whole text is ours, which in a micro batch of one
// sequence (for each stream) meets the cells by position: the result does not depend, to the last bit, on which cells
// the sequence got. On the CPU, with flash attention; with a far band it is always so. GATUN_INVALID_ARGUMENT where it
// cannot be.
GATUN_API int32_t gatun_attend_in_order(struct llama_context * ctx, bool on, char * err, size_t err_cap);

// Reads the counts since the last reset, then resets them when `reset`.
GATUN_API int32_t gatun_sparse_read(struct llama_context * ctx, bool reset, struct gatun_sparse_counts * out, char * err,
                                    size_t err_cap);

// Tells that cells got other keys than a decode wrote, as by a copy between streams: pages are summarised anew. The
// functions of this file tell it themselves. Does nothing where no pages are chosen.
GATUN_API void gatun_pages_invalidate(struct llama_context * ctx);

// ---- vocabulary -----------------------------------------------------------------------------------------------------
// llama_tokenize. Writes up to `cap` ids and sets *count to the number needed; GATUN_OK even when cap is too small
// (nothing useful is then in `out`): call again with *count.
GATUN_API int32_t gatun_tokenize(const struct llama_vocab * vocab, const char * text, int32_t text_bytes,
                                 llama_token * out, int32_t cap, bool add_special, bool parse_special, int32_t * count,
                                 char * err, size_t err_cap);

// llama_token_to_piece with lstrip 0. Same protocol; *count is in bytes, no NUL is written.
GATUN_API int32_t gatun_token_to_piece(const struct llama_vocab * vocab, llama_token token, char * out, int32_t cap,
                                       bool special, int32_t * count, char * err, size_t err_cap);

// llama_detokenize. Same protocol; *count is in bytes, no NUL is written.
GATUN_API int32_t gatun_detokenize(const struct llama_vocab * vocab, const llama_token * tokens, int32_t n_tokens,
                                   char * out, int32_t cap, bool remove_special, bool unparse_special, int32_t * count,
                                   char * err, size_t err_cap);

// ---- sampling -------------------------------------------------------------------------------------------------------
// llama_sampler_init_grammar; GATUN_FAILED with the parser's messages when the grammar does not parse.
GATUN_API int32_t gatun_sampler_init_grammar(const struct llama_vocab * vocab, const char * grammar, const char * root,
                                             struct llama_sampler ** out, char * err, size_t err_cap);

// llama_sampler_init_grammar_lazy_patterns.
GATUN_API int32_t gatun_sampler_init_grammar_lazy(const struct llama_vocab * vocab, const char * grammar,
                                                  const char * root, const char ** patterns, size_t n_patterns,
                                                  const llama_token * tokens, size_t n_tokens,
                                                  struct llama_sampler ** out, char * err, size_t err_cap);

// llama_sampler_init_dry (its sequence breakers are tokenized and can throw).
GATUN_API int32_t gatun_sampler_init_dry(const struct llama_vocab * vocab, float multiplier, float base,
                                         int32_t allowed_length, int32_t penalty_last_n, const char ** breakers,
                                         size_t n_breakers, struct llama_sampler ** out, char * err, size_t err_cap);

// llama_sampler_sample on the idx-th output: applies the chain, accepts the token and writes it to *out.
// GATUN_FAILED when the context has no output idx or the chain selected no token.
GATUN_API int32_t gatun_sampler_sample(struct llama_sampler * chain, struct llama_context * ctx, int32_t idx,
                                       llama_token * out, char * err, size_t err_cap);

// llama_sampler_apply on a caller-owned candidate array, and llama_sampler_accept.
GATUN_API int32_t gatun_sampler_apply(struct llama_sampler * chain, llama_token_data_array * candidates, char * err,
                                      size_t err_cap);
GATUN_API int32_t gatun_sampler_accept(struct llama_sampler * chain, llama_token token, char * err, size_t err_cap);

// llama_sampler_chain_init without a struct by value.
GATUN_API struct llama_sampler * gatun_sampler_chain_new(bool no_perf);

// log(sum(exp(logits))) over n floats, computed in double after subtracting the maximum: log-probability of token t is
// logits[t] - the result.
GATUN_API double gatun_logsumexp(const float * logits, int32_t n);

// Writes the k largest logits' token ids, largest first (ties: the lower id first). k <= n.
GATUN_API void gatun_top_k(const float * logits, int32_t n, int32_t k, llama_token * out);

// ---- chat -----------------------------------------------------------------------------------------------------------
// Renders messages with the model's Jinja chat template (or `template_src`, when it is not NULL).
//   request: JSON {"messages":[OpenAI messages], "tools":[OpenAI tools]?, "tool_choice":"auto"|"required"|"none"?,
//                  "add_generation_prompt":bool?, "enable_thinking":bool?, "parallel_tool_calls":bool?,
//                  "json_schema":string?, "kwargs":{string:string}?}
//   *out: JSON {"prompt":string,"format":string,"grammar":string,"grammar_lazy":bool,
//               "grammar_triggers":[{"type":int,"value":string,"token":int}],"preserved_tokens":[string],
//               "additional_stops":[string],"generation_prompt":string,"thinking_start":string,"thinking_ends":[string],
//               "parser":string}
// The prompt holds no BOS text that the tokenizer would add again.
GATUN_API int32_t gatun_chat_render(const struct llama_model * model, const char * template_src, const char * request,
                                    char ** out, char * err, size_t err_cap);

// Checks that a template parses. GATUN_OK or GATUN_FAILED with the reason.
GATUN_API int32_t gatun_chat_template_check(const char * template_src, char * err, size_t err_cap);

// JSON schema to GBNF (json_schema_to_grammar). *out: the grammar, root symbol "root".
GATUN_API int32_t gatun_json_schema_to_grammar(const char * schema, char ** out, char * err, size_t err_cap);

#ifdef __cplusplus
}
#endif

#endif // GATUN_SHIM_H
