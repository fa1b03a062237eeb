// Packing, products and softmax of attention over 32-bit units of UNIT_VALUES values. Included once per instruction set and unit.
#include "functions.h"
#include "convert.h"

// MARK: - Units

INLINE int64_t FN(units_of)(int64_t values) { return (values + UNIT_VALUES - 1) / UNIT_VALUES; }

INLINE lanes FN(repeat_unit)(const float *unit) {
  int32_t bits;
  memcpy(&bits, unit, 4);
  return (lanes)(bits + (int_lanes){});
}

// acc + the products of the values in each unit.
INLINE lanes FN(dot)(lanes a, lanes b, lanes acc) {
#if UNIT_VALUES == 1
  return FN(fma_lanes)(a, b, acc);
#elif BODY_LEVEL == 3
  return (lanes)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
#else
  int_lanes x = (int_lanes)a, y = (int_lanes)b, high = (int_lanes){} + (int32_t)0xffff0000;
  acc = FN(fma_lanes)((lanes)(x << 16), (lanes)(y << 16), acc);
  return FN(fma_lanes)((lanes)(x & high), (lanes)(y & high), acc);
#endif
}

#if UNIT_VALUES == 2
INLINE half_lanes FN(narrow)(lanes x) {
#if BODY_LEVEL == 3
  return (half_lanes)_mm512_cvtneps_pbh((__m512)x);
#else
  half_lanes y;
  for (int i = 0; i < LANES; i++) y[i] = FN(to_bf16)(x[i]);
  return y;
#endif
}

INLINE int_lanes FN(beside)(half_lanes low, half_lanes high) {
  return __builtin_convertvector(low, int_lanes) | __builtin_convertvector(high, int_lanes) << 16;
}
#endif

enum { FN(unit_type) = UNIT_VALUES == 1 ? GRAFT_F32 : GRAFT_BF16 };

// One row as units, the last one filled up with zero.
INLINE void FN(row)(const void *x, int type, int64_t columns, float *a) {
  int64_t units = FN(units_of)(columns);
  a[units - 1] = 0;
  FN(convert)(x, type, a, FN(unit_type), columns);
}

INLINE const char *FN(row_start)(const void *x, int type, int64_t stride, int64_t row) {
  return (const char *)x + row * stride * (type == GRAFT_F32 ? 4 : type == GRAFT_F64 ? 8 : 2);
}

// MARK: - Packing

static void FN(rows)(
  const void *x, int type, int64_t stride, int64_t rows, int64_t columns, void *a) {
  int64_t units = FN(units_of)(columns);
  for (int64_t r = 0; r < rows; r++)
    FN(row)(FN(row_start)(x, type, stride, r), type, columns, (float *)a + r * units);
}

static void FN(transposed_panels)(
  const void *x, int type, int64_t stride, int64_t rows, int64_t columns, void *panels, void *room) {
  int64_t units = FN(units_of)(columns);
  int32_t *in = room, *out = panels;
  for (int64_t r = 0; r < rows; r += LANES, out += LANES * units) {
    int64_t count = rows - r < LANES ? rows - r : LANES;
    for (int64_t i = 0; i < count; i++)
      FN(row)(FN(row_start)(x, type, stride, r + i), type, columns, (float *)(in + i * units));
    memset(in + count * units, 0, (size_t)((LANES - count) * units) * 4);
    int64_t u = 0;
    for (; u + LANES <= units; u += LANES) {
      // 16 by 16, by four rounds of exchanging halves, quarters, eighths and sixteenths.
      int_lanes a[LANES], b[LANES];
      for (int i = 0; i < LANES; i++) memcpy(&a[i], in + i * units + u, 64);
#pragma clang loop unroll(full)
      for (int i = 0; i < 8; i++) {
        b[2 * i] = __builtin_shufflevector(
          a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        b[2 * i + 1] = __builtin_shufflevector(
          a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < 8; i++) {
        a[2 * i] = __builtin_shufflevector(
          b[i], b[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        a[2 * i + 1] = __builtin_shufflevector(
          b[i], b[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < 8; i++) {
        b[2 * i] = __builtin_shufflevector(
          a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        b[2 * i + 1] = __builtin_shufflevector(
          a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < 8; i++) {
        a[2 * i] = __builtin_shufflevector(
          b[i], b[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        a[2 * i + 1] = __builtin_shufflevector(
          b[i], b[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      }
      memcpy(out + u * LANES, a, sizeof a);
    }
    for (; u < units; u++)
      for (int i = 0; i < LANES; i++) out[u * LANES + i] = in[i * units + u];
  }
}

static void FN(panels)(
  const void *x, int type, int64_t stride, int64_t rows, int64_t padded, int64_t columns, void *panels,
  void *room) {
  int64_t units = FN(units_of)(padded), wide = (columns + LANES - 1) / LANES * LANES;
  float *out = panels;
  memset(room, 0, (size_t)wide * 8);
  for (int64_t u = 0; u < units; u++) {
    int64_t r = u * UNIT_VALUES;
#if UNIT_VALUES == 1
    if (r < rows)
      FN(convert)(FN(row_start)(x, type, stride, r), type, room, GRAFT_F32, columns);
    else
      memset(room, 0, (size_t)wide * 4);
    for (int64_t p = 0; p < wide / LANES; p++)
      memcpy(out + (p * units + u) * LANES, (float *)room + p * LANES, 64);
#else
    uint16_t *low = room, *high = low + wide;
    if (r < rows)
      FN(convert)(FN(row_start)(x, type, stride, r), type, low, GRAFT_BF16, columns);
    else
      memset(low, 0, (size_t)wide * 2);
    if (r + 1 < rows)
      FN(convert)(FN(row_start)(x, type, stride, r + 1), type, high, GRAFT_BF16, columns);
    else
      memset(high, 0, (size_t)wide * 2);
    for (int64_t p = 0; p < wide / LANES; p++) {
      int_lanes pair =
        FN(beside)(*(half_lanes *)(low + p * LANES), *(half_lanes *)(high + p * LANES));
      memcpy(out + (p * units + u) * LANES, &pair, 64);
    }
#endif
  }
}

// MARK: - Products

// So many rows by so many panels stay in registers over the whole sum.
INLINE void FN(block)(
  int rows, int width, const float *a, int64_t row_step, int64_t unit_step, const float *b,
  int64_t panel_step, int64_t units, float *c, int64_t c_stride, const float *factor, int accumulates) {
  lanes acc[6][4];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < width; v++) {
      acc[r][v] = accumulates ? FN(load)(c + r * c_stride + v * LANES) : (lanes){};
      if (factor) acc[r][v] *= factor[r];
    }
  for (int64_t u = 0; u < units; u++) {
    lanes y[4];
#pragma clang loop unroll(full)
    for (int v = 0; v < width; v++) y[v] = FN(load)(b + v * panel_step + u * LANES);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      lanes x = FN(repeat_unit)(a + r * row_step + u * unit_step);
#pragma clang loop unroll(full)
      for (int v = 0; v < width; v++) acc[r][v] = FN(dot)(x, y[v], acc[r][v]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < width; v++) FN(store)(c + r * c_stride + v * LANES, acc[r][v]);
}

#define COLUMN(width)                                                                              \
  static void FN(column_##width)(                                                                  \
    const float *a, int64_t row_step, int64_t unit_step, const float *b, int64_t panel_step,       \
    int64_t units, float *c, int64_t c_stride, int64_t rows, const float *factor, int accumulates) { \
    int64_t r = 0;                                                                                 \
    for (; r + 6 <= rows; r += 6)                                                                  \
      FN(block)(                                                                                   \
        6, width, a + r * row_step, row_step, unit_step, b, panel_step, units, c + r * c_stride,   \
        c_stride, factor ? factor + r : 0, accumulates);                                           \
    for (; r + 2 <= rows; r += 2)                                                                  \
      FN(block)(                                                                                   \
        2, width, a + r * row_step, row_step, unit_step, b, panel_step, units, c + r * c_stride,   \
        c_stride, factor ? factor + r : 0, accumulates);                                           \
    if (r < rows)                                                                                  \
      FN(block)(                                                                                   \
        1, width, a + r * row_step, row_step, unit_step, b, panel_step, units, c + r * c_stride,   \
        c_stride, factor ? factor + r : 0, accumulates);                                           \
  }

COLUMN(1)
#if WIDEST == 4
COLUMN(2)
COLUMN(4)
#endif
#undef COLUMN

static void FN(product)(
  const void *a, int64_t row_step, int64_t unit_step, const void *panels, int64_t panel_step,
  int64_t units, float *c, int64_t c_stride, int64_t rows, int64_t panel_count, const float *factor,
  int accumulates) {
  const float *b = panels;
  accumulates |= factor != 0;
  int64_t p = 0;
#if WIDEST == 4
  for (; p + 4 <= panel_count; p += 4)
    FN(column_4)(
      a, row_step, unit_step, b + p * panel_step, panel_step, units, c + p * LANES, c_stride, rows,
      factor, accumulates);
  for (; p + 2 <= panel_count; p += 2)
    FN(column_2)(
      a, row_step, unit_step, b + p * panel_step, panel_step, units, c + p * LANES, c_stride, rows,
      factor, accumulates);
#endif
  for (; p < panel_count; p++)
    FN(column_1)(
      a, row_step, unit_step, b + p * panel_step, panel_step, units, c + p * LANES, c_stride, rows,
      factor, accumulates);
}

// MARK: - Softmax

// 2ˣ for x not much above 0; 0 below the normal range. A weighted fit on [−½, ½], at most about 2 units in the last place off.
INLINE lanes FN(exp2_lanes)(lanes x) {
  lanes shifted = x + ROUNDER;
  lanes r = x - (shifted - ROUNDER);
  lanes q = FN(splat)(0.00132647273f);
  q = FN(fma_lanes)(q, r, FN(splat)(0.00967151299f));
  q = FN(fma_lanes)(q, r, FN(splat)(0.0555073358f));
  q = FN(fma_lanes)(q, r, FN(splat)(0.240222424f));
  q = FN(fma_lanes)(q, r, FN(splat)(0.693147004f));
  q = FN(fma_lanes)(q, r, FN(splat)(1.0f));
  int_lanes y = (int_lanes)q + ((int_lanes)shifted << 23);
  return (lanes)(y & ~(x < -126.0f));
}

INLINE float FN(largest_lane)(lanes v) {
  float best = v[0];
  for (int i = 1; i < LANES; i++) best = v[i] > best || v[i] != v[i] ? v[i] : best;
  return best;
}

// Scores of keys that a row doesn't see become −∞.
INLINE void FN(hide)(float *x, int64_t first, int64_t end, int64_t seen_first, int64_t seen_end) {
  for (int64_t i = first; i < end && i < seen_first; i++) x[i] = -__builtin_inff();
  for (int64_t i = seen_end > first ? seen_end : first; i < end; i++) x[i] = -__builtin_inff();
}

static void FN(softmax)(
  float *s, int64_t stride, int64_t rows, int64_t first, int64_t end, const int32_t *seen, int64_t key,
  float scale, float *maximum, float *sum, float *factor, void *p) {
  for (int64_t r = 0; r < rows; r++) {
    float *x = s + r * stride;
    int64_t seen_first = seen[2 * r] - key, seen_end = seen[2 * r + 1] - key;
    FN(hide)(x, first, end, seen_first, seen_end);
    lanes best = FN(splat)(-__builtin_inff());
    for (int64_t i = first; i < end; i += LANES) {
      lanes v = scale * FN(load)(x + i);
      int_lanes takes = (v > best) | (v != v);
      best = (lanes)((takes & (int_lanes)v) | (~takes & (int_lanes)best));
    }
    float m = FN(largest_lane)(best), old = maximum[r];
    m = m > old || m != m ? m : old;
    int sees = seen_first < end && seen_end > first;
    lanes total = {};
    for (int64_t i = first; i < end; i += LANES) {
      lanes e = FN(exp2_lanes)(FN(fma_lanes)(FN(splat)(scale), FN(load)(x + i), FN(splat)(-m)));
      if (!sees) e = (lanes){};
      total += e;
#if UNIT_VALUES == 1
      FN(store)((float *)p + r * stride + i, e);
#else
      *(half_lanes *)((uint16_t *)p + r * stride + i) = FN(narrow)(e);
#endif
    }
    float f = sees ? FN(exp2_lanes)(FN(splat)(old - m))[0] : 1;
    factor[r] = f;
    sum[r] = sum[r] * f + FN(add_lanes)(total);
    maximum[r] = m;
  }
}

static void FN(softmax_gradient)(
  float *s, float *dp, int64_t stride, int64_t rows, int64_t first, int64_t end, const int32_t *seen,
  int64_t key, float scale, const float *log_sum_exp, const float *delta, void *p_columns,
  void *ds_columns, void *ds_rows) {
  for (int64_t r = 0; r < rows; r += UNIT_VALUES) {
    float *x[2], *g[2];
    lanes l[2], d[2];
    int64_t count = rows - r < UNIT_VALUES ? rows - r : UNIT_VALUES;
    for (int64_t i = 0; i < count; i++) {
      x[i] = s + (r + i) * stride;
      g[i] = dp + (r + i) * stride;
      l[i] = FN(splat)(-log_sum_exp[r + i]);
      d[i] = FN(splat)(delta[r + i]);
      FN(hide)(x[i], first, end, seen[2 * (r + i)] - key, seen[2 * (r + i) + 1] - key);
    }
    for (int64_t c = first; c < end; c += LANES) {
      lanes p[2] = {}, ds[2] = {};
      for (int64_t i = 0; i < count; i++) {
        p[i] = FN(exp2_lanes)(FN(fma_lanes)(FN(splat)(scale), FN(load)(x[i] + c), l[i]));
        ds[i] = p[i] * (FN(load)(g[i] + c) - d[i]);
      }
#if UNIT_VALUES == 1
      FN(store)(x[0] + c, p[0]);
      FN(store)(g[0] + c, ds[0]);
#else
      half_lanes low = FN(narrow)(ds[0]), high = FN(narrow)(ds[1]);
      uint16_t *out = (uint16_t *)ds_rows + r * stride + c;
      *(half_lanes *)out = low;
      if (count == 2) *(half_lanes *)(out + stride) = high;
      int_lanes pair = FN(beside)(low, high);
      memcpy((int32_t *)ds_columns + r / 2 * stride + c, &pair, 64);
      pair = FN(beside)(FN(narrow)(p[0]), FN(narrow)(p[1]));
      memcpy((int32_t *)p_columns + r / 2 * stride + c, &pair, 64);
#endif
    }
  }
#if UNIT_VALUES == 1
  (void)p_columns, (void)ds_columns, (void)ds_rows;
#endif
}

// MARK: - Few rows

#if UNIT_VALUES == 1
INLINE lanes FN(load_value)(const void *x, int is_bf16, int64_t i) {
  return is_bf16 ? FN(load_bf16)((const uint16_t *)x + i) : FN(load)((const float *)x + i);
}

INLINE float FN(value)(const void *x, int is_bf16, int64_t i) {
  return is_bf16 ? FN(from_bf16)(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

// s[r, j] = q[r] · k[j], four keys at a time.
INLINE void FN(few_scores)(
  const float *q, int64_t rows, const void *k, int is_bf16, int64_t stride, int64_t keys,
  int64_t columns, float *s, int64_t s_stride) {
  int64_t whole = columns & ~(LANES - 1);
  for (int64_t j = 0; j < keys; j += 4) {
    int64_t at[4];
    // Past the last key the last one stands in; its scores are hidden later.
    for (int c = 0; c < 4; c++) at[c] = (j + c < keys ? j + c : keys - 1) * stride;
    for (int64_t r = 0; r < rows; r++) {
      const float *x = q + r * columns;
      lanes t[4] = {};
      for (int64_t p = 0; p < whole; p += LANES) {
        lanes y = FN(load)(x + p);
        for (int c = 0; c < 4; c++)
          t[c] = FN(fma_lanes)(y, FN(load_value)(k, is_bf16, at[c] + p), t[c]);
      }
      for (int c = 0; c < 4; c++) {
        for (int64_t p = whole; p < columns; p++)
          t[c][p - whole] =
            __builtin_fmaf(x[p], FN(value)(k, is_bf16, at[c] + p), t[c][p - whole]);
        s[r * s_stride + j + c] = FN(add_lanes)(t[c]);
      }
    }
  }
}

// o[…] = Σ w[r, j] · v[j, …] for so many rows and so many vectors of columns.
INLINE void FN(few_sums)(
  int rows, int width, const float *w, int64_t w_stride, const void *v, int is_bf16, int64_t stride,
  int64_t keys, float *o, int64_t columns) {
  lanes acc[4][4] = {};
  for (int64_t j = 0; j < keys; j++)
#pragma clang loop unroll(full)
    for (int c = 0; c < width; c++) {
      lanes y = FN(load_value)(v, is_bf16, j * stride + c * LANES);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
        acc[r][c] = FN(fma_lanes)(FN(splat)(w[r * w_stride + j]), y, acc[r][c]);
    }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int c = 0; c < width; c++) FN(store)(o + r * columns + c * LANES, acc[r][c]);
}

INLINE void FN(few_rows_as)(
  const float *q, int64_t rows, int64_t group, const void *k, const void *v, int is_bf16,
  int64_t stride, int64_t keys, int64_t columns, const int32_t *seen, int64_t key, float scale,
  float *s, float *maximum, float *sum, float *o) {
  int64_t wide = (keys + LANES - 1) / LANES * LANES;
  FN(few_scores)(q, rows, k, is_bf16, stride, keys, columns, s, wide);
  for (int64_t r = 0; r < rows; r++) {
    float factor;
    maximum[r] = -__builtin_inff();
    sum[r] = 0;
    FN(softmax)(
      s + r * wide, wide, 1, 0, wide, seen + r / group * 2, key, scale, maximum + r, sum + r, &factor,
      s + r * wide);
  }
  int64_t c = 0;
  int64_t size = is_bf16 ? 2 : 4;
  for (; c + LANES <= columns;) {
    const char *y = (const char *)v + c * size;
    int64_t r = 0;
    int width = c + 4 * LANES <= columns ? 4 : 1;
    for (; r < rows;) {
      int many = r + 3 <= rows;
      if (many && width == 4)
        FN(few_sums)(3, 4, s + r * wide, wide, y, is_bf16, stride, keys, o + r * columns + c, columns);
      else if (many)
        FN(few_sums)(3, 1, s + r * wide, wide, y, is_bf16, stride, keys, o + r * columns + c, columns);
      else if (width == 4)
        FN(few_sums)(1, 4, s + r * wide, wide, y, is_bf16, stride, keys, o + r * columns + c, columns);
      else
        FN(few_sums)(1, 1, s + r * wide, wide, y, is_bf16, stride, keys, o + r * columns + c, columns);
      r += many ? 3 : 1;
    }
    c += width * LANES;
  }
  for (; c < columns; c++)
    for (int64_t r = 0; r < rows; r++) {
      float total = 0;
      for (int64_t j = 0; j < keys; j++)
        total = __builtin_fmaf(s[r * wide + j], FN(value)(v, is_bf16, j * stride + c), total);
      o[r * columns + c] = total;
    }
}

static void FN(few_rows)(
  const float *q, int64_t rows, int64_t group, const void *k, const void *v, int is_bf16,
  int64_t stride, int64_t keys, int64_t columns, const int32_t *seen, int64_t key, float scale,
  float *scores, float *maximum, float *sum, float *o) {
  if (is_bf16)
    FN(few_rows_as)(
      q, rows, group, k, v, 1, stride, keys, columns, seen, key, scale, scores, maximum, sum, o);
  else
    FN(few_rows_as)(
      q, rows, group, k, v, 0, stride, keys, columns, seen, key, scale, scores, maximum, sum, o);
}
#endif
