#pragma once
#include <stdint.h>

/// One tile of an online softmax.
///
/// s: [rows, columns] raw scores; becomes exp(scale·s − maximum), or 0 where a row doesn't see the key.
/// seen: [rows, 2], the first key that a row sees and the one after its last; `key` is that of the first column.
/// maximum, sum: [rows], running; correction: [rows], by which what was accumulated before must be multiplied.
void graft_softmax_tile(
  int level, float *s, int64_t rows, int64_t columns, const int32_t *seen, int64_t key, float scale,
  float *maximum, float *sum, float *correction);

/// s becomes p = exp(scale·s − logSumExp), dp becomes ds = scale·p·(dp − delta).
void graft_softmax_gradient_tile(
  int level, float *s, float *dp, int64_t rows, int64_t columns, const int32_t *seen, int64_t key,
  float scale, const float *log_sum_exp, const float *delta);

/// y[r, :] *= factor[r]
void graft_scale_rows(int level, float *y, int64_t rows, int64_t columns, const float *factor);

/// result[r] = Σ a[r, :]·b[r, :]
void graft_row_dots(
  int level, const float *a, const float *b, int64_t rows, int64_t columns, float *result);

/// One row of logits: e[i] = exp(x[i] − max x), in f32 or bf16; returns through `maximum` and `sum`.
void graft_exponentials(
  int level, const float *x, int64_t count, void *e, int e_type, float *maximum, float *sum);

/// e[i] = factor·e[i], in place.
void graft_scale_exponentials(int level, void *e, int e_type, int64_t count, float factor);

/// x[i] = factor · exp(x[i] − logSumExp)
void graft_probabilities(int level, float *x, int64_t count, float log_sum_exp, float factor);

float graft_exp(float x);
float graft_log(float x);
float graft_sine(float x);
float graft_cosine(float x);
