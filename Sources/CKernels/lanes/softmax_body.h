// Softmax over rows of logits, and what attention does to rows. Included once per instruction set.
#include "functions.h"

INLINE float FN(larger)(float a, float b) { return a > b || a != a ? a : b; }

static float FN(row_maximum)(const float *x, int64_t count) {
  lanes best[4];
  for (int j = 0; j < 4; j++) best[j] = FN(splat)(-__builtin_inff());
  int64_t i = 0;
  for (; i + 64 <= count; i += 64)
    for (int j = 0; j < 4; j++) {
      lanes v = FN(load)(x + i + 16 * j);
      best[j] = FN(choose)((best[j] > v) | (best[j] != best[j]), best[j], v);
    }
  float most = best[0][0];
  for (int j = 0; j < 64; j++) most = FN(larger)(most, best[j / 16][j % 16]);
  for (; i < count; i++) most = FN(larger)(most, x[i]);
  return most;
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
  int64_t whole = count & ~31;
  for (int64_t i = 0; i < whole; i += 32) {
    lanes y = FN(exp_lanes)(FN(load)(x + i) - m), z = FN(exp_lanes)(FN(load)(x + i + 16) - m);
    s += y;
    s += z;
    if (!e) continue;
    if (e_type == GRAFT_BF16) {
      FN(store_as_bf16)((uint16_t *)e + i, y, z);
    } else {
      FN(store)((float *)e + i, y);
      FN(store)((float *)e + i + 16, z);
    }
  }
  for (int64_t i = whole; i < count; i++) {
    float y = FN(exp)(x[i] - m);
    s[(i - whole) % 16] += y;
    if (!e) continue;
    if (e_type == GRAFT_BF16)
      ((uint16_t *)e)[i] = FN(to_bf16)(y);
    else
      ((float *)e)[i] = y;
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
  int64_t whole = count & ~15;
  for (int64_t i = 0; i < whole; i += 16)
    FN(store)(x + i, factor * FN(exp_lanes)(FN(load)(x + i) - log_sum_exp));
  for (int64_t i = whole; i < count; i++) x[i] = factor * FN(exp)(x[i] - log_sum_exp);
}
