// Products with few rows or columns. Included once per instruction set.
#include "functions.h"

// The sums of the lanes of four vectors, each in the order of `add_lanes`.
INLINE void FN(add_lanes_of_four)(const lanes s[4], float sums[4]) {
  lanes eights[2], fours, pairs, ones;
  for (int i = 0; i < 2; i++) {
    lanes a = s[2 * i], b = s[2 * i + 1];
    eights[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
      __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  }
  fours = __builtin_shufflevector(
            eights[0], eights[1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
    __builtin_shufflevector(
      eights[0], eights[1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  pairs = fours +
    __builtin_shufflevector(fours, fours, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  ones = pairs +
    __builtin_shufflevector(pairs, pairs, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  for (int c = 0; c < 4; c++) sums[c] = ones[4 * c];
}

// Four rows of b at a time against every row of a; 16 lanes over k for each pair.
//
// Memory is fetched ahead in its own order, though the rows are read side by side.
INLINE void FN(few_rows_of)(
  const float *a, int64_t m, const void *b, int is_bf16, float *y, int64_t y_stride, int64_t n,
  int64_t k, float scale, int accumulate) {
  int64_t whole = k & ~15, size = is_bf16 ? 2 : 4;
  for (int64_t j = 0; j < n; j += 4) {
    const uint16_t *half[4];
    const float *full[4];
    // Past the last row the last one stands in; its results are dropped.
    for (int c = 0; c < 4; c++) {
      int64_t row = j + c < n ? j + c : n - 1;
      half[c] = (const uint16_t *)b + row * k;
      full[c] = (const float *)b + row * k;
    }
    const char *ahead = (const char *)b + j * k * size + FEW_ROWS_AHEAD;
    for (int64_t i = 0; i < m; i++) {
      const float *x = a + i * k;
      lanes s[4] = {};
      for (int64_t p = 0; p < whole; p += 16) {
        lanes v = FN(load)(x + p);
        if (i == 0)
          for (int64_t line = 0; line < size; line++)
            __builtin_prefetch(ahead + (4 * size * p + 64 * line));
        for (int c = 0; c < 4; c++)
          s[c] = FN(fma_lanes)(v, is_bf16 ? FN(load_bf16)(half[c] + p) : FN(load)(full[c] + p), s[c]);
      }
      for (int c = 0; c < 4; c++)
        for (int64_t p = whole; p < k; p++)
          s[c][p - whole] = __builtin_fmaf(
            x[p], is_bf16 ? FN(from_bf16)(half[c][p]) : full[c][p], s[c][p - whole]);
      float sums[4];
      FN(add_lanes_of_four)(s, sums);
      for (int c = 0; c < 4 && j + c < n; c++) {
        float *out = y + i * y_stride + j + c;
        *out = accumulate ? *out + scale * sums[c] : scale * sums[c];
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

// Eight rows of a by `vectors` registers of columns; each sum runs over k in order.
INLINE void FN(skinny_block)(
  const float *const *a, int64_t a_column, const float *b, int64_t b_row, int64_t k, int vectors,
  lanes sums[8][2]) {
  lanes s[8][2] = {};
  for (int64_t p = 0; p < k; p++) {
    const float *right = b + p * b_row;
    lanes v = FN(load)(right), w = vectors > 1 ? FN(load)(right + 16) : v;
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 8; i++) {
      lanes x = FN(splat)(a[i][p * a_column]);
      s[i][0] = FN(fma_lanes)(x, v, s[i][0]);
      if (vectors > 1) s[i][1] = FN(fma_lanes)(x, w, s[i][1]);
    }
  }
  memcpy(sums, s, sizeof s);
}

static void FN(skinny)(
  const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c,
  int64_t c_row, int64_t m, int64_t n, int64_t k, float scale, int accumulate) {
  for (int64_t i = 0; i < m; i += 8) {
    int64_t rows = m - i < 8 ? m - i : 8;
    // Past the last row the last one stands in; its results are dropped.
    const float *left[8];
    for (int r = 0; r < 8; r++) left[r] = a + (i + (r < rows ? r : rows - 1)) * a_row;
    for (int64_t j = 0; j < n; j += 32) {
      int64_t columns = n - j < 32 ? n - j : 32;
      lanes sums[8][2];
      if (columns > 16)
        FN(skinny_block)(left, a_column, b + j, b_row, k, 2, sums);
      else
        FN(skinny_block)(left, a_column, b + j, b_row, k, 1, sums);
      for (int64_t r = 0; r < rows; r++) {
        float *out = c + (i + r) * c_row + j;
        const float *sum = (const float *)sums[r];
        VECTORIZE for (int64_t l = 0; l < columns; l++) {
          float value = scale * sum[l];
          out[l] = accumulate ? out[l] + value : value;
        }
      }
    }
  }
}

// b[p, j] = x[p·row + j·column], with zeros behind the n values.
static void FN(pack)(
  const float *x, int64_t row, int64_t column, float *b, int64_t b_row, int64_t k, int64_t n,
  int64_t filled) {
  for (int64_t p = 0; p < k; p++) {
    for (int64_t j = 0; j < n; j++) b[p * b_row + j] = x[p * row + j * column];
    for (int64_t j = n; j < filled; j++) b[p * b_row + j] = 0;
  }
}
