// Products with few rows or columns, compiled for each instruction set from one body.
#include "products.h"

#include "tile.h"

// Bytes between the rows in work and those that are fetched: enough for the latency of memory, whatever a row's length.
enum { FEW_ROWS_AHEAD = 16 << 10 };

#define BODY "products_body.h"
#include "lanes/levels.h"

void graft_few_rows(
  int level, const float *a, int64_t m, const void *b, int b_is_bf16, float *y, int64_t y_stride,
  int64_t n, int64_t k, float scale, int accumulate) {
  DISPATCH(few_rows, a, m, b, b_is_bf16, y, y_stride, n, k, scale, accumulate)
}

void graft_skinny(
  int level, const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row,
  float *c, int64_t c_row, int64_t m, int64_t n, int64_t k, float scale, int accumulate) {
  DISPATCH(skinny, a, a_row, a_column, b, b_row, c, c_row, m, n, k, scale, accumulate)
}

void graft_pack(
  int level, const float *x, int64_t row, int64_t column, float *b, int64_t b_row, int64_t k,
  int64_t n, int64_t filled) {
  DISPATCH(pack, x, row, column, b, b_row, k, n, filled)
}

void graft_add_scaled(int level, const float *x, float factor, float *y, int64_t count) {
  DISPATCH(add_scaled, x, factor, y, count)
}
