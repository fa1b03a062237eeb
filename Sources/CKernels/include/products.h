#pragma once
#include <stdint.h>

/// y[m, n] (+)= scale · Σₖ a[m, k] · b[n, k] for few rows of a: b is read once, at the speed of memory.
///
/// a, y: f32  b: f32 or bf16, n rows of k packed values
void graft_few_rows(
  int level, const float *a, int64_t m, const void *b, int b_is_bf16, float *y, int64_t y_stride,
  int64_t n, int64_t k, float scale, int accumulate);

/// y[i] += factor · x[i].
void graft_add_scaled(int level, const float *x, float factor, float *y, int64_t count);
