#pragma once
#include <stdint.h>

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
