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

/// c (+)= scale · a · b where one extent is small: no packing of a, and each sum runs over k in order, so that the bits
/// don't depend on how a product is cut.
///
/// a: [m, k] f32 with any strides  c: [m, n] f32  b: [k, n] f32, its rows `b_row` values apart and readable up to
/// the next multiple of 16 of n
void graft_skinny(
  int level, const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row,
  float *c, int64_t c_row, int64_t m, int64_t n, int64_t k, float scale, int accumulate);

/// Packs x, with any strides, for graft_skinny: b: [k, b_row], zeros behind the n values of a row up to `filled`.
void graft_pack(
  int level, const float *x, int64_t row, int64_t column, float *b, int64_t b_row, int64_t k,
  int64_t n, int64_t filled);
