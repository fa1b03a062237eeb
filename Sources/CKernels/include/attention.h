#pragma once
#include <stdint.h>

/// The leaves of tiled attention. Products read 32-bit units along the axis that they sum over: an f32, or (`pairs`) two
/// neighbouring bf16, which GRAFT_AVX512_BF16 multiplies fast and the other levels emulate.
///
/// The right side of a product stands in panels of 16 columns: [panel][unit][16]. `units` is the number of units along
/// the summed axis: its extent, or half of it, rounded up.

/// x: [rows, columns] of any type, `stride` values apart → a: [rows, units].
void graft_attention_rows(
  int level, int pairs, const void *x, int type, int64_t stride, int64_t rows, int64_t columns, void *a);

/// The right side x-transposed, to sum over the columns of x: [rows, columns] → [rows / 16][units of columns][16].
/// Rows are filled up with zeros to a multiple of 16; `room` holds one row of panels: 16 · units.
void graft_attention_transposed_panels(
  int level, int pairs, const void *x, int type, int64_t stride, int64_t rows, int64_t columns,
  void *panels, void *room);

/// The right side x, to sum over its rows: [rows, columns] → [columns / 16][units of padded][16].
/// Rows are filled up with zeros to `padded`, columns to a multiple of 16; `room` holds two rows of f32.
void graft_attention_panels(
  int level, int pairs, const void *x, int type, int64_t stride, int64_t rows, int64_t padded,
  int64_t columns, void *panels, void *room);

/// c[r, 16·p…] = factor[r] · c (nothing when `factor` is null and `accumulates` 0, c itself when it is 1) + Σ a · panel p.
///
/// a's unit `u` of row `r` stands at r·row_step + u·unit_step units; c's rows are `c_stride` floats apart.
void graft_attention_product(
  int level, int pairs, const void *a, int64_t row_step, int64_t unit_step, const void *panels,
  int64_t panel_step, int64_t units, float *c, int64_t c_stride, int64_t rows, int64_t panel_count,
  const float *factor, int accumulates);

/// One step of an online softmax, base 2, over columns [first, end) of a tile of scores, both multiples of 16.
///
/// s: [rows, stride] raw scores; seen: [rows, 2], the first key that a row sees and the one after its last; `key` is that
/// of column 0. p: [rows, stride], 2^(scale·s − maximum) or 0 where a key isn't seen, as units; may be s unless `pairs`.
/// maximum, sum: [rows], running; factor: [rows], by which what was summed before must be multiplied.
void graft_attention_softmax(
  int level, int pairs, float *s, int64_t stride, int64_t rows, int64_t first, int64_t end,
  const int32_t *seen, int64_t key, float scale, float *maximum, float *sum, float *factor, void *p);

/// The same columns of the backward pass: p = 2^(scale·s − log_sum_exp) and ds = p·(dp − delta).
///
/// As f32 they replace s and dp. As pairs: p and ds of neighbouring rows (an odd last row beside zeros) in p_columns and
/// ds_columns: [rows / 2, stride] units, and of neighbouring columns in ds_rows: [rows, stride / 2] units.
void graft_attention_softmax_gradient(
  int level, int pairs, float *s, float *dp, int64_t stride, int64_t rows, int64_t first, int64_t end,
  const int32_t *seen, int64_t key, float scale, const float *log_sum_exp, const float *delta,
  void *p_columns, void *ds_columns, void *ds_rows);

/// Attention of a few rows over a run of keys as they lie in a cache: what counts is reading it once.
///
/// q: [rows, columns] f32  k, v: [keys, columns] f32 or bf16, `stride` values apart; seen: [rows / group, 2] as above.
/// maximum, sum: [rows]  o: [rows, columns], not yet divided by the sum; scores: room for rows · keys, each filled up to 16.
void graft_attention_few_rows(
  int level, const float *q, int64_t rows, int64_t group, const void *k, const void *v, int is_bf16,
  int64_t stride, int64_t keys, int64_t columns, const int32_t *seen, int64_t key, float scale,
  float *scores, float *maximum, float *sum, float *o);
