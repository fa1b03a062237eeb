// Softmax over tiles of scores and rows of logits. Included once per instruction set.
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

static float FN(row_sum)(const float *x, int64_t count) {
  lanes s = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) s += FN(load)(x + i);
  for (int l = 0; i < count; i++, l++) s[l] += x[i];
  return FN(add_lanes)(s);
}

// The columns of a tile that a row sees.
INLINE void FN(seen_columns)(
  const int32_t *seen, int64_t key, int64_t columns, int64_t *first, int64_t *last) {
  int64_t a = seen[0] - key, b = seen[1] - key;
  *first = a < 0 ? 0 : a > columns ? columns : a;
  *last = b < *first ? *first : b > columns ? columns : b;
}

static void FN(softmax_tile)(
  float *s, int64_t rows, int64_t columns, const int32_t *seen, int64_t key, float scale,
  float *maximum, float *sum, float *correction) {
  for (int64_t r = 0; r < rows; r++) {
    float *x = s + r * columns;
    int64_t first, last;
    FN(seen_columns)(seen + 2 * r, key, columns, &first, &last);
    memset(x, 0, (size_t)first * 4);
    memset(x + last, 0, (size_t)(columns - last) * 4);
    if (first == last) {
      correction[r] = 1;
      continue;
    }
    float m = FN(larger)(maximum[r], scale * FN(row_maximum)(x + first, last - first));
    VECTORIZE for (int64_t i = first; i < last; i++) x[i] = FN(exp)(scale * x[i] - m);
    correction[r] = FN(exp)(maximum[r] - m);
    sum[r] = sum[r] * correction[r] + FN(row_sum)(x + first, last - first);
    maximum[r] = m;
  }
}

static void FN(softmax_gradient_tile)(
  float *s, float *dp, int64_t rows, int64_t columns, const int32_t *seen, int64_t key, float scale,
  const float *log_sum_exp, const float *delta) {
  for (int64_t r = 0; r < rows; r++) {
    float *p = s + r * columns, *d = dp + r * columns;
    int64_t first, last;
    FN(seen_columns)(seen + 2 * r, key, columns, &first, &last);
    float l = log_sum_exp[r], shift = delta[r];
    VECTORIZE for (int64_t i = first; i < last; i++) {
      float value = FN(exp)(scale * p[i] - l);
      p[i] = value;
      d[i] = scale * value * (d[i] - shift);
    }
    for (float *x = p; x; x = x == p ? d : NULL) {
      memset(x, 0, (size_t)first * 4);
      memset(x + last, 0, (size_t)(columns - last) * 4);
    }
  }
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
