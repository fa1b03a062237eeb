#include "low_rank.h"

#include <string.h>

// One body, compiled three times: the plain build is the scalar twin, the other two let the compiler use wider
// registers. Fused multiply-add is asked for by name and contraction is off, so all three give the same bits.
#pragma STDC FP_CONTRACT OFF

enum { block = 64, row_block = 4, lanes = 8 };

#define BODY static inline __attribute__((always_inline))

// MARK: Floats

BODY uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

BODY float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

BODY float from_f16(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  uint32_t rest = (uint32_t)(half & 0x7FFF) << 13;
  uint32_t finite = bits_of(float_of(rest) * 0x1p112f);
  uint32_t special = 0x7F800000 | (rest & 0x007FFFFF);
  return float_of(sign | (rest >= 0x0F800000 ? special : finite));
}

BODY uint16_t to_f16(float value) {
  uint32_t bits = bits_of(value);
  uint32_t sign = bits >> 16 & 0x8000;
  uint32_t rest = bits & 0x7FFFFFFF;
  uint32_t special = rest > 0x7F800000 ? 0x7E00 | (rest >> 13 & 0x3FF) : 0x7C00;
  // Adding 0.5 aligns the last bit of a subnormal half with the last bit of the float.
  uint32_t small = bits_of(float_of(rest) + 0.5f) - 0x3F000000;
  uint32_t normal = (rest - (112u << 23) + 0xFFF + (rest >> 13 & 1)) >> 13;
  return (uint16_t)(sign | (rest >= 0x47800000 ? special : rest < 0x38800000 ? small : normal));
}

BODY uint16_t to_bf16(float value) {
  uint32_t bits = bits_of(value);
  uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  uint32_t quiet = bits >> 16 | 0x40;
  return (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
}

// The float next to `value` towards zero, its last bit set unless exact: rounding that to a narrower type is the same
// as rounding `value` itself (Boldo and Melquiond 2008).
BODY float round_to_odd(double value) {
  float near = (float)value;
  double back = (double)near;
  uint32_t bits = bits_of(near);
  bits -= __builtin_fabs(back) > __builtin_fabs(value) ? 1 : 0;
  bits |= back != value ? 1 : 0;
  return float_of(bits);
}

BODY void decode(const void *source, graft_float_type type, long at, long count, double *values) {
  switch (type) {
  case graft_f16:
    for (long j = 0; j < count; j++) values[j] = from_f16(((const uint16_t *)source)[at + j]);
    break;
  case graft_bf16:
    for (long j = 0; j < count; j++)
      values[j] = float_of((uint32_t)((const uint16_t *)source)[at + j] << 16);
    break;
  case graft_f32:
    for (long j = 0; j < count; j++) values[j] = ((const float *)source)[at + j];
    break;
  case graft_f64:
    for (long j = 0; j < count; j++) values[j] = ((const double *)source)[at + j];
    break;
  }
}

BODY void encode(const double *values, long count, void *target, graft_float_type type, long at) {
  switch (type) {
  case graft_f16:
    for (long j = 0; j < count; j++)
      ((uint16_t *)target)[at + j] = to_f16(round_to_odd(values[j]));
    break;
  case graft_bf16:
    for (long j = 0; j < count; j++)
      ((uint16_t *)target)[at + j] = to_bf16(round_to_odd(values[j]));
    break;
  case graft_f32:
    for (long j = 0; j < count; j++) ((float *)target)[at + j] = (float)values[j];
    break;
  case graft_f64:
    for (long j = 0; j < count; j++) ((double *)target)[at + j] = values[j];
    break;
  }
}

// MARK: The update

/// update[i][j] = sum over the factors of scale * (sum over k of b[i][k] * a[k][j])
BODY void multiply(const graft_low_rank_factor *factors, long factor_count, long row, long rows,
                   long column, long columns, long count, float update[row_block][block]) {
  for (long i = 0; i < rows; i++) memset(update[i], 0, sizeof update[i]);
  for (long f = 0; f < factor_count; f++) {
    const graft_low_rank_factor factor = factors[f];
    float product[row_block][block] = {{0}};
    for (long k = 0; k < factor.rank; k++) {
      const float *a = factor.a + k * columns + column;
      for (long i = 0; i < rows; i++) {
        float b = factor.b[(row + i) * factor.rank + k];
        for (long j = 0; j < count; j++) product[i][j] = __builtin_fmaf(b, a[j], product[i][j]);
      }
    }
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < count; j++) update[i][j] += product[i][j] * factor.scale;
  }
}

/// Adds what happened to one element to its lane's totals.
BODY void account(double old, double update, double sum, double stored, double totals[4][lanes],
                  long lane) {
  double error = stored - sum;
  totals[0][lane] += old * old;
  totals[1][lane] += update * update;
  totals[2][lane] += error * error;
  totals[3][lane] += (stored - old) * update;
}

/// Adds the update to `count` elements of a row; each of the 8 lanes sums every eighth, whatever the register.
BODY void add_to_row(const void *base, graft_float_type base_type, void *result,
                     graft_float_type result_type, long at, long count, int has_update,
                     const float *update, double totals[4][lanes], graft_low_rank_sums *sums) {
  double old[block], sum[block], stored[block];
  decode(base, base_type, at, count, old);
  // Without factors nothing is added, which keeps the sign of zeros.
  if (has_update)
    for (long j = 0; j < count; j++) sum[j] = old[j] + update[j];
  else
    for (long j = 0; j < count; j++) sum[j] = old[j];
  encode(sum, count, result, result_type, at);
  decode(result, result_type, at, count, stored);
  long whole = count / lanes * lanes;
  for (long j = 0; j < whole; j += lanes)
    for (long l = 0; l < lanes; l++)
      account(old[j + l], update[j + l], sum[j + l], stored[j + l], totals, l);
  for (long j = whole; j < count; j++)
    account(old[j], update[j], sum[j], stored[j], totals, j - whole);
  int32_t changed = 0, broken = 0;
  for (long j = 0; j < count; j++) {
    changed += stored[j] != old[j];
    broken += stored[j] - stored[j] != 0 && old[j] - old[j] == 0;
  }
  sums->changed += changed;
  sums->not_finite += broken;
}

BODY void add_low_rank(const void *base, graft_float_type base_type, void *result,
                       graft_float_type result_type, long rows, long columns,
                       const graft_low_rank_factor *factors, long factor_count,
                       graft_low_rank_sums *sums) {
  double totals[4][lanes] = {{0}};
  for (long row = 0; row < rows; row += row_block) {
    long height = rows - row < row_block ? rows - row : row_block;
    for (long column = 0; column < columns; column += block) {
      long count = columns - column < block ? columns - column : block;
      float update[row_block][block];
      // The common case has constant bounds.
      if (height == row_block && count == block)
        multiply(factors, factor_count, row, row_block, column, columns, block, update);
      else
        multiply(factors, factor_count, row, height, column, columns, count, update);
      for (long i = 0; i < height; i++) {
        long at = (row + i) * columns + column;
        if (count == block)
          add_to_row(base, base_type, result, result_type, at, block, factor_count > 0, update[i],
                     totals, sums);
        else
          add_to_row(base, base_type, result, result_type, at, count, factor_count > 0, update[i],
                     totals, sums);
      }
    }
  }
  for (long l = 0; l < lanes; l++) {
    sums->base_squared += totals[0][l];
    sums->update_squared += totals[1][l];
    sums->rounding_squared += totals[2][l];
    sums->survived += totals[3][l];
  }
}

// MARK: Levels

#define PARAMETERS                                                                                \
  const void *base, graft_float_type base_type, void *result, graft_float_type result_type,      \
      long rows, long columns, const graft_low_rank_factor *factors, long factor_count,          \
      graft_low_rank_sums *sums
#define ARGUMENTS \
  base, base_type, result, result_type, rows, columns, factors, factor_count, sums

static void add_scalar(PARAMETERS) { add_low_rank(ARGUMENTS); }

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void add_avx2(PARAMETERS) { add_low_rank(ARGUMENTS); }
__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"), min_vector_width(512)))
static void add_avx512(PARAMETERS) { add_low_rank(ARGUMENTS); }

int graft_low_rank_level(void) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return 2;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
}
#else
int graft_low_rank_level(void) { return 0; }
#endif

void graft_add_low_rank(int level, PARAMETERS) {
#if defined(__x86_64__)
  if (level >= 2) return add_avx512(ARGUMENTS);
  if (level == 1) return add_avx2(ARGUMENTS);
#endif
  add_scalar(ARGUMENTS);
}
