// Softmax over rows of logits, and what attention does to rows. Included once per instruction set.
#include "functions.h"

INLINE float FN(larger)(float a, float b) { return a > b || a != a ? a : b; }

static float FN(row_maximum)(const float *x, int64_t count) {
  float best[16];
  for (int l = 0; l < 16; l++) best[l] = -__builtin_inff();
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int l = 0; l < 16; l++) best[l] = FN(larger)(best[l], x[i + l]);
  for (int l = 0; i < count; i++, l++) best[l] = FN(larger)(best[l], x[i]);
  for (int l = 1; l < 16; l++) best[0] = FN(larger)(best[0], best[l]);
  return best[0];
}

static void FN(scale_rows)(float *y, int64_t rows, int64_t columns, const float *factor) {
  for (int64_t r = 0; r < rows; r++) {
    float f = factor[r], *out = y + r * columns;
    VECTORIZE for (int64_t i = 0; i < columns; i++) out[i] *= f;
  }
}

static void FN(row_dots)(
  const float *a, const float *b, int64_t rows, int64_t columns, float *result) {
  for (int64_t r = 0; r < rows; r++) {
    const float *x = a + r * columns, *y = b + r * columns;
    lanes s = {};
    int64_t i = 0;
    for (; i + 16 <= columns; i += 16) s = FN(fma_lanes)(FN(load)(x + i), FN(load)(y + i), s);
    for (int l = 0; i < columns; i++, l++) s[l] = __builtin_fmaf(x[i], y[i], s[l]);
    result[r] = FN(add_lanes)(s);
  }
}

static void FN(exponentials)(
  const float *x, int64_t count, void *e, int e_type, float *maximum, float *sum) {
  float m = FN(row_maximum)(x, count);
  lanes s = {};
  float block[64];
  for (int64_t i = 0; i < count; i += 64) {
    int64_t n = count - i < 64 ? count - i : 64;
    VECTORIZE for (int64_t j = 0; j < n; j++) block[j] = FN(exp)(x[i + j] - m);
    for (int64_t j = n; j < 64; j++) block[j] = 0;
    for (int j = 0; j < 64; j += 16) s += FN(load)(block + j);
    if (!e) continue;
    if (e_type == GRAFT_BF16) {
      uint16_t *out = (uint16_t *)e + i;
      VECTORIZE for (int64_t j = 0; j < n; j++) out[j] = FN(to_bf16)(block[j]);
    } else {
      memcpy((float *)e + i, block, (size_t)n * 4);
    }
  }
  *maximum = m;
  *sum = FN(add_lanes)(s);
}

static void FN(scale_exponentials)(void *e, int e_type, int64_t count, float factor) {
  if (e_type == GRAFT_BF16) {
    uint16_t *x = e;
    VECTORIZE for (int64_t i = 0; i < count; i++) x[i] = FN(to_bf16)(factor * FN(from_bf16)(x[i]));
  } else {
    float *x = e;
    VECTORIZE for (int64_t i = 0; i < count; i++) x[i] *= factor;
  }
}

static void FN(probabilities)(float *x, int64_t count, float log_sum_exp, float factor) {
  VECTORIZE for (int64_t i = 0; i < count; i++) x[i] = factor * FN(exp)(x[i] - log_sum_exp);
}
