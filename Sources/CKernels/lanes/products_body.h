// Products with few rows or columns. Included once per instruction set.
#include "functions.h"

// 4 × 4 results at a time, 16 lanes over k each.
static void FN(rows_by_rows_4x4)(
  const float *a, int64_t a_stride, const float *b, int64_t b_stride, int64_t k, lanes *s) {
  for (int64_t i = 0; i < k; i += 16) {
    lanes x[4], y[4];
    for (int r = 0; r < 4; r++) x[r] = FN(load)(a + r * a_stride + i);
    for (int c = 0; c < 4; c++) y[c] = FN(load)(b + c * b_stride + i);
    for (int r = 0; r < 4; r++)
      for (int c = 0; c < 4; c++) s[4 * r + c] = FN(fma_lanes)(x[r], y[c], s[4 * r + c]);
  }
}

static void FN(rows_by_rows)(
  const float *a, int64_t a_stride, const float *b, int64_t b_stride, float *y, int64_t y_stride,
  int64_t m, int64_t n, int64_t k, float scale, int accumulate) {
  int64_t whole = k & ~15;
  for (int64_t i = 0; i < m; i += 4) {
    int64_t mi = m - i < 4 ? m - i : 4;
    for (int64_t j = 0; j < n; j += 4) {
      int64_t nj = n - j < 4 ? n - j : 4;
      lanes s[16] = {};
      if (mi == 4 && nj == 4) {
        FN(rows_by_rows_4x4)(a + i * a_stride, a_stride, b + j * b_stride, b_stride, whole, s);
      } else {
        for (int64_t p = 0; p < whole; p += 16)
          for (int r = 0; r < mi; r++)
            for (int c = 0; c < nj; c++)
              s[4 * r + c] = FN(fma_lanes)(
                FN(load)(a + (i + r) * a_stride + p), FN(load)(b + (j + c) * b_stride + p),
                s[4 * r + c]);
      }
      for (int r = 0; r < mi; r++)
        for (int c = 0; c < nj; c++) {
          lanes t = s[4 * r + c];
          for (int64_t p = whole; p < k; p++)
            t[p - whole] =
              __builtin_fmaf(a[(i + r) * a_stride + p], b[(j + c) * b_stride + p], t[p - whole]);
          float *out = y + (i + r) * y_stride + j + c;
          float value = scale * FN(add_lanes)(t);
          *out = accumulate ? *out + value : value;
        }
    }
  }
}

static void FN(add_scaled)(const float *x, float factor, float *y, int64_t count) {
  VECTORIZE for (int64_t i = 0; i < count; i++) y[i] = __builtin_fmaf(factor, x[i], y[i]);
}
