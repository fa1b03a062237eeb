// Products with few rows or columns, compiled for each instruction set from one body.
#include "products.h"

#include "tile.h"

#define BODY "products_body.h"
#include "lanes/levels.h"

void graft_rows_by_rows(
  int level, const float *a, int64_t a_stride, const float *b, int64_t b_stride, float *y,
  int64_t y_stride, int64_t m, int64_t n, int64_t k, float scale, int accumulate) {
  DISPATCH(rows_by_rows, a, a_stride, b, b_stride, y, y_stride, m, n, k, scale, accumulate)
}

void graft_add_scaled(int level, const float *x, float factor, float *y, int64_t count) {
  DISPATCH(add_scaled, x, factor, y, count)
}
