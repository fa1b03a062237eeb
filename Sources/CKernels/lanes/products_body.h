// Products with few rows or columns. Included once per instruction set.
#include "functions.h"

// Four rows of b at a time against every row of a; 16 lanes over k for each pair.
INLINE void FN(few_rows_of)(
  const float *a, int64_t m, const void *b, int is_bf16, float *y, int64_t y_stride, int64_t n,
  int64_t k, float scale, int accumulate) {
  int64_t whole = k & ~15;
  for (int64_t j = 0; j < n; j += 4) {
    const uint16_t *half[4];
    const float *full[4];
    // Past the last row the last one stands in; its results are dropped.
    for (int c = 0; c < 4; c++) {
      int64_t row = j + c < n ? j + c : n - 1;
      half[c] = (const uint16_t *)b + row * k;
      full[c] = (const float *)b + row * k;
    }
    for (int64_t i = 0; i < m; i++) {
      const float *x = a + i * k;
      lanes s[4] = {};
      for (int64_t p = 0; p < whole; p += 16) {
        lanes v = FN(load)(x + p);
        if (is_bf16 && i == 0)
          for (int c = 0; c < 4; c++) __builtin_prefetch(half[c] + 4 * k + p);
        for (int c = 0; c < 4; c++)
          s[c] = FN(fma_lanes)(v, is_bf16 ? FN(load_bf16)(half[c] + p) : FN(load)(full[c] + p), s[c]);
      }
      for (int c = 0; c < 4 && j + c < n; c++) {
        for (int64_t p = whole; p < k; p++)
          s[c][p - whole] = __builtin_fmaf(
            x[p], is_bf16 ? FN(from_bf16)(half[c][p]) : full[c][p], s[c][p - whole]);
        float value = scale * FN(add_lanes)(s[c]);
        float *out = y + i * y_stride + j + c;
        *out = accumulate ? *out + value : value;
      }
    }
  }
}

static void FN(few_rows)(
  const float *a, int64_t m, const void *b, int is_bf16, float *y, int64_t y_stride, int64_t n,
  int64_t k, float scale, int accumulate) {
  if (is_bf16)
    FN(few_rows_of)(a, m, b, 1, y, y_stride, n, k, scale, accumulate);
  else
    FN(few_rows_of)(a, m, b, 0, y, y_stride, n, k, scale, accumulate);
}

static void FN(add_scaled)(const float *x, float factor, float *y, int64_t count) {
  VECTORIZE for (int64_t i = 0; i < count; i++) y[i] = __builtin_fmaf(factor, x[i], y[i]);
}
