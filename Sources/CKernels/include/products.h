#pragma once
#include <stdint.h>

/// y[m, n] (+)= scale · Σₖ a[m, k] · b[n, k]: rows against rows, for products with few columns.
void graft_rows_by_rows(
  int level, const float *a, int64_t a_stride, const float *b, int64_t b_stride, float *y,
  int64_t y_stride, int64_t m, int64_t n, int64_t k, float scale, int accumulate);

/// y[i] += factor · x[i].
void graft_add_scaled(int level, const float *x, float factor, float *y, int64_t count);
