// Dequantization. For each type the scalar twin says what value `i` of a block is; the vector version below it
// unpacks whole runs of a block in loops that the compiler turns into vector code for each instruction set.
// Both multiply and add in the same order, and products are never contracted into fused multiply-adds, so that
// they agree to the last bit.
#include "quantization.h"

#include "blocks.h"

#pragma STDC FP_CONTRACT OFF

RUN uint16_t u16_at(const uint8_t *bytes) { return (uint16_t)(bytes[0] | bytes[1] << 8); }

RUN float half_at(const uint8_t *bytes) { return half_of(u16_at(bytes)); }

// MARK: - Plain 16-bit floats, blocks of one

static float f16_value(const uint8_t *b, int i) { return half_at(b + 2 * i); }
RUN void f16_run(const uint8_t *restrict b, size_t n, float *restrict v) {
  for (size_t i = 0; i < n; i++) v[i] = half_at(b + 2 * i);
}

static float bf16_value(const uint8_t *b, int i) { return float_of((uint32_t)u16_at(b + 2 * i) << 16); }
RUN void bf16_run(const uint8_t *restrict b, size_t n, float *restrict v) {
  for (size_t i = 0; i < n; i++) v[i] = float_of((uint32_t)u16_at(b + 2 * i) << 16);
}

// MARK: - Blocks of 32: value i in the low nibble of byte i, value i + 16 in the high one

RUN void nibbles(const uint8_t *restrict packed, uint8_t *restrict low) {
  for (int i = 0; i < 16; i++) {
    low[i] = packed[i] & 15;
    low[i + 16] = packed[i] >> 4;
  }
}

// Q4_0: f16 d, 16 bytes of nibbles; d (q - 8).
static float q4_0_value(const uint8_t *b, int i) {
  int q = i < 16 ? b[2 + i] & 15 : b[2 + i - 16] >> 4;
  return half_at(b) * (float)(q - 8);
}
RUN void q4_0_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b);
  uint8_t q[32];
  nibbles(b + 2, q);
  for (int i = 0; i < 32; i++) v[i] = d * (float)(q[i] - 8);
}

// Q4_1: f16 d, f16 m, 16 bytes of nibbles; d q + m.
static float q4_1_value(const uint8_t *b, int i) {
  int q = i < 16 ? b[4 + i] & 15 : b[4 + i - 16] >> 4;
  return half_at(b) * (float)q + half_at(b + 2);
}
RUN void q4_1_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b), m = half_at(b + 2);
  uint8_t q[32];
  nibbles(b + 4, q);
  for (int i = 0; i < 32; i++) v[i] = d * (float)q[i] + m;
}

// The fifth bit of the 32 values: bit i of a little-endian word.
RUN void fifth_bits(const uint8_t *restrict word, uint8_t *restrict high) {
  for (int i = 0; i < 32; i++) high[i] = (uint8_t)((word[i >> 3] >> (i & 7) & 1) << 4);
}

// Q5_0: f16 d, u32 fifth bits, 16 bytes of nibbles; d (q - 16).
static float q5_0_value(const uint8_t *b, int i) {
  int low = i < 16 ? b[6 + i] & 15 : b[6 + i - 16] >> 4;
  int q = low | (b[2 + i / 8] >> (i % 8) & 1) << 4;
  return half_at(b) * (float)(q - 16);
}
RUN void q5_0_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b);
  uint8_t low[32], high[32];
  nibbles(b + 6, low);
  fifth_bits(b + 2, high);
  for (int i = 0; i < 32; i++) v[i] = d * (float)((low[i] | high[i]) - 16);
}

// Q5_1: f16 d, f16 m, u32 fifth bits, 16 bytes of nibbles; d q + m.
static float q5_1_value(const uint8_t *b, int i) {
  int low = i < 16 ? b[8 + i] & 15 : b[8 + i - 16] >> 4;
  int q = low | (b[4 + i / 8] >> (i % 8) & 1) << 4;
  return half_at(b) * (float)q + half_at(b + 2);
}
RUN void q5_1_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b), m = half_at(b + 2);
  uint8_t low[32], high[32];
  nibbles(b + 8, low);
  fifth_bits(b + 4, high);
  for (int i = 0; i < 32; i++) v[i] = d * (float)(low[i] | high[i]) + m;
}

// Q8_0: f16 d, 32 signed bytes; q d.
static float q8_0_value(const uint8_t *b, int i) { return (float)(int8_t)b[2 + i] * half_at(b); }
RUN void q8_0_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b);
  for (int i = 0; i < 32; i++) v[i] = (float)(int8_t)b[2 + i] * d;
}

// MARK: - Blocks of 256

// Q2_K: 16 bytes of 4-bit scales and mins (one pair for 16 values), 64 bytes of 2-bit values, f16 d, f16 dmin.
// Byte j of 32 holds values j, j + 32, j + 64, j + 96 of its half; (d s) q - (dmin m).
static float q2_k_value(const uint8_t *b, int i) {
  int scales = b[i / 16];
  int q = b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
  return half_at(b + 80) * (float)(scales & 15) * (float)q - half_at(b + 82) * (float)(scales >> 4);
}
RUN void q2_k_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int group = 0; group < 16; group++) {
    float s = d * (float)(b[group] & 15), m = dmin * (float)(b[group] >> 4);
    const uint8_t *q = b + 16 + group / 8 * 32 + group % 2 * 16;
    int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; i++) v[group * 16 + i] = s * (float)(q[i] >> shift & 3) - m;
  }
}

// Q3_K: 32 bytes of third bits (bit i / 32 of byte i % 32), 64 bytes of 2-bit values, 12 bytes of sixteen 6-bit
// scales, f16 d; (d (s - 32)) (q - 4 where the third bit is 0).
RUN int q3_k_scale(const uint8_t *packed, int group) {
  int low = packed[group % 8] >> (group / 8 * 4) & 15;
  int high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
  return (low | high << 4) - 32;
}
static float q3_k_value(const uint8_t *b, int i) {
  int low = b[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
  int q = low - (b[i % 32] >> (i / 32) & 1 ? 0 : 4);
  return half_at(b + 108) * (float)q3_k_scale(b + 96, i / 16) * (float)q;
}
RUN void q3_k_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b + 108);
  for (int group = 0; group < 16; group++) {
    float s = d * (float)q3_k_scale(b + 96, group);
    const uint8_t *third = b + group % 2 * 16, *q = b + 32 + group / 8 * 32 + group % 2 * 16;
    int shift = group % 8 / 2 * 2, bit = group / 2;
    for (int i = 0; i < 16; i++) {
      v[group * 16 + i] = s * (float)((q[i] >> shift & 3) + (third[i] >> bit & 1) * 4 - 4);
    }
  }
}

// The eight 6-bit scales and mins of Q4_K and Q5_K in 12 bytes: four of each in the low bits of bytes 0-3 and
// 4-7; of the other four the low nibbles share bytes 8-11 and the top bits stand above the first four.
RUN int k_scale(const uint8_t *packed, int group) {
  return group < 4 ? packed[group] & 63 : (packed[group + 4] & 15) | (packed[group - 4] >> 2 & 48);
}
RUN int k_min(const uint8_t *packed, int group) {
  return group < 4 ? packed[group + 4] & 63 : packed[group + 4] >> 4 | (packed[group] >> 2 & 48);
}

// Q4_K: f16 d, f16 dmin, 12 bytes of scales and mins (one pair for 32 values), 128 bytes of nibbles, 32 bytes
// for two groups; (d s) q - (dmin m).
static float q4_k_value(const uint8_t *b, int i) {
  int q = b[16 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
  float s = half_at(b) * (float)k_scale(b + 4, i / 32), m = half_at(b + 2) * (float)k_min(b + 4, i / 32);
  return s * (float)q - m;
}
RUN void q4_k_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b), dmin = half_at(b + 2);
  for (int group = 0; group < 8; group++) {
    float s = d * (float)k_scale(b + 4, group), m = dmin * (float)k_min(b + 4, group);
    const uint8_t *q = b + 16 + group / 2 * 32;
    int shift = group % 2 * 4;
    for (int i = 0; i < 32; i++) v[group * 32 + i] = s * (float)(q[i] >> shift & 15) - m;
  }
}

// Q5_K: Q4_K with 32 bytes of fifth bits (bit i / 32 of byte i % 32) before the nibbles.
static float q5_k_value(const uint8_t *b, int i) {
  int low = b[48 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
  int q = low | (b[16 + i % 32] >> (i / 32) & 1) << 4;
  float s = half_at(b) * (float)k_scale(b + 4, i / 32), m = half_at(b + 2) * (float)k_min(b + 4, i / 32);
  return s * (float)q - m;
}
RUN void q5_k_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b), dmin = half_at(b + 2);
  const uint8_t *fifth = b + 16;
  for (int group = 0; group < 8; group++) {
    float s = d * (float)k_scale(b + 4, group), m = dmin * (float)k_min(b + 4, group);
    const uint8_t *q = b + 48 + group / 2 * 32;
    int shift = group % 2 * 4;
    for (int i = 0; i < 32; i++) {
      v[group * 32 + i] = s * (float)((q[i] >> shift & 15) | (fifth[i] >> group & 1) << 4) - m;
    }
  }
}

// Q6_K: 128 bytes of low nibbles (of each 64, byte j holds values j and j + 64 of its half), 64 bytes of top
// bits (byte j of 32 holds those of values j, j + 32, j + 64, j + 96), 16 signed scales, f16 d; (d s) (q - 32).
static float q6_k_value(const uint8_t *b, int i) {
  int low = b[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
  int high = b[128 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
  return half_at(b + 208) * (float)(int8_t)b[192 + i / 16] * (float)((low | high << 4) - 32);
}
RUN void q6_k_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b + 208);
  for (int group = 0; group < 16; group++) {
    float s = d * (float)(int8_t)b[192 + group];
    const uint8_t *low = b + group / 8 * 64 + group % 4 * 16;
    const uint8_t *high = b + 128 + group / 8 * 32 + group % 2 * 16;
    int low_shift = group / 4 % 2 * 4, high_shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; i++) {
      int q = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
      v[group * 16 + i] = s * (float)(q - 32);
    }
  }
}

// MARK: - Blocks whose steps stand in a table

// IQ4_NL: f16 d, 16 bytes of nibbles; d times the step that the nibble names.
static const int8_t steps_nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static float iq4_nl_value(const uint8_t *b, int i) {
  int q = i < 16 ? b[2 + i] & 15 : b[2 + i - 16] >> 4;
  return half_at(b) * (float)steps_nl[q];
}
RUN void iq4_nl_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_at(b);
  uint8_t q[32];
  nibbles(b + 2, q);
  for (int i = 0; i < 32; i++) v[i] = d * (float)steps_nl[q[i]];
}

// IQ4_XS: f16 d, 2 bytes with the top bits of eight 6-bit scales, 4 bytes with their nibbles, 128 bytes of nibbles, 16 bytes
// for a group of 32; (d (s - 32)) times the step.
RUN int iq4_xs_scale(const uint8_t *b, int group) {
  int low = b[4 + group / 2] >> (group % 2 * 4) & 15, high = u16_at(b + 2) >> 2 * group & 3;
  return (low | high << 4) - 32;
}
static float iq4_xs_value(const uint8_t *b, int i) {
  int packed = b[8 + i / 32 * 16 + i % 16], q = i % 32 < 16 ? packed & 15 : packed >> 4;
  return half_at(b) * (float)iq4_xs_scale(b, i / 32) * (float)steps_nl[q];
}
RUN void iq4_xs_block(const uint8_t *restrict b, float *restrict v) {
  for (int group = 0; group < 8; group++) {
    float s = half_at(b) * (float)iq4_xs_scale(b, group);
    uint8_t q[32];
    nibbles(b + 8 + 16 * group, q);
    for (int i = 0; i < 32; i++) v[32 * group + i] = s * (float)steps_nl[q[i]];
  }
}

// MXFP4: a byte e, 16 bytes of nibbles; 2^(e - 128) times twice the 4-bit float (OCP MX 1.0: E8M0 and E2M1).
static const int8_t steps_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
RUN float half_power(uint8_t e) { return float_of(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23); }
static float mxfp4_value(const uint8_t *b, int i) {
  int q = i < 16 ? b[1 + i] & 15 : b[1 + i - 16] >> 4;
  return half_power(b[0]) * (float)steps_e2m1[q];
}
RUN void mxfp4_block(const uint8_t *restrict b, float *restrict v) {
  float d = half_power(b[0]);
  uint8_t q[32];
  nibbles(b + 1, q);
  for (int i = 0; i < 32; i++) v[i] = d * (float)steps_e2m1[q[i]];
}

// MARK: - Rounding

RUN uint16_t bf16_of(float value) {
  uint32_t bits = bits_of(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// MARK: - The table

typedef float value_function(const uint8_t *block, int i);
typedef void blocks_function(const uint8_t *blocks, size_t count, float *values);

static const struct {
  value_function *value;
  int values, bytes;
} layouts[] = {
    [GRAFT_BLOCKS_F16] = {f16_value, 1, 2},      [GRAFT_BLOCKS_BF16] = {bf16_value, 1, 2},
    [GRAFT_BLOCKS_Q4_0] = {q4_0_value, 32, 18},  [GRAFT_BLOCKS_Q4_1] = {q4_1_value, 32, 20},
    [GRAFT_BLOCKS_Q5_0] = {q5_0_value, 32, 22},  [GRAFT_BLOCKS_Q5_1] = {q5_1_value, 32, 24},
    [GRAFT_BLOCKS_Q8_0] = {q8_0_value, 32, 34},  [GRAFT_BLOCKS_Q2_K] = {q2_k_value, 256, 84},
    [GRAFT_BLOCKS_Q3_K] = {q3_k_value, 256, 110}, [GRAFT_BLOCKS_Q4_K] = {q4_k_value, 256, 144},
    [GRAFT_BLOCKS_Q5_K] = {q5_k_value, 256, 176}, [GRAFT_BLOCKS_Q6_K] = {q6_k_value, 256, 210},
    [GRAFT_BLOCKS_IQ4_NL] = {iq4_nl_value, 32, 18}, [GRAFT_BLOCKS_IQ4_XS] = {iq4_xs_value, 256, 136},
    [GRAFT_BLOCKS_MXFP4] = {mxfp4_value, 32, 17},
};

static void dequantize_scalar(graft_blocks_type type, const uint8_t *blocks, size_t count, float *values) {
  for (size_t block = 0; block < count; block++, blocks += layouts[type].bytes) {
    for (int i = 0; i < layouts[type].values; i++) *values++ = layouts[type].value(blocks, i);
  }
}

#define BLOCKS(name, VALUES, BYTES, SET, target_set)                                              \
  __attribute__((target(target_set))) static void name##_##SET(                                  \
      const uint8_t *restrict blocks, size_t count, float *restrict values) {                     \
    for (size_t i = 0; i < count; i++) name##_block(blocks + i * BYTES, values + i * VALUES);     \
  }

#define SET(SET, target_set)                                                                      \
  __attribute__((target(target_set))) static void f16_##SET(                                     \
      const uint8_t *blocks, size_t count, float *values) { f16_run(blocks, count, values); }     \
  __attribute__((target(target_set))) static void bf16_##SET(                                    \
      const uint8_t *blocks, size_t count, float *values) { bf16_run(blocks, count, values); }    \
  BLOCKS(q4_0, 32, 18, SET, target_set)                                                           \
  BLOCKS(q4_1, 32, 20, SET, target_set)                                                           \
  BLOCKS(q5_0, 32, 22, SET, target_set)                                                           \
  BLOCKS(q5_1, 32, 24, SET, target_set)                                                           \
  BLOCKS(q8_0, 32, 34, SET, target_set)                                                           \
  BLOCKS(q2_k, 256, 84, SET, target_set)                                                          \
  BLOCKS(q3_k, 256, 110, SET, target_set)                                                         \
  BLOCKS(q4_k, 256, 144, SET, target_set)                                                         \
  BLOCKS(q5_k, 256, 176, SET, target_set)                                                         \
  BLOCKS(q6_k, 256, 210, SET, target_set)                                                         \
  BLOCKS(iq4_nl, 32, 18, SET, target_set)                                                         \
  BLOCKS(iq4_xs, 256, 136, SET, target_set)                                                       \
  BLOCKS(mxfp4, 32, 17, SET, target_set)                                                          \
  static blocks_function *const blocks_##SET[] = {                                                \
      [GRAFT_BLOCKS_F16] = f16_##SET,   [GRAFT_BLOCKS_BF16] = bf16_##SET,                         \
      [GRAFT_BLOCKS_Q4_0] = q4_0_##SET, [GRAFT_BLOCKS_Q4_1] = q4_1_##SET,                         \
      [GRAFT_BLOCKS_Q5_0] = q5_0_##SET, [GRAFT_BLOCKS_Q5_1] = q5_1_##SET,                         \
      [GRAFT_BLOCKS_Q8_0] = q8_0_##SET, [GRAFT_BLOCKS_Q2_K] = q2_k_##SET,                         \
      [GRAFT_BLOCKS_Q3_K] = q3_k_##SET, [GRAFT_BLOCKS_Q4_K] = q4_k_##SET,                         \
      [GRAFT_BLOCKS_Q5_K] = q5_k_##SET, [GRAFT_BLOCKS_Q6_K] = q6_k_##SET,                         \
      [GRAFT_BLOCKS_IQ4_NL] = iq4_nl_##SET, [GRAFT_BLOCKS_IQ4_XS] = iq4_xs_##SET,                 \
      [GRAFT_BLOCKS_MXFP4] = mxfp4_##SET,                                                         \
  };                                                                                              \
  __attribute__((target(target_set))) static void narrow_bf16_##SET(                             \
      const float *restrict values, size_t count, uint16_t *restrict narrow) {                    \
    for (size_t i = 0; i < count; i++) narrow[i] = bf16_of(values[i]);                            \
  }                                                                                               \
  __attribute__((target(target_set))) static void narrow_f16_##SET(                              \
      const float *restrict values, size_t count, uint16_t *restrict narrow) {                    \
    for (size_t i = 0; i < count; i++) narrow[i] = f16_of(values[i]);                             \
  }

#ifdef __x86_64__
SET(avx2, "avx2,fma,f16c")
SET(avx512, "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")

graft_blocks_simd graft_blocks_best_simd(void) {
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    return GRAFT_BLOCKS_AVX512;
  }
  return __builtin_cpu_supports("avx2") ? GRAFT_BLOCKS_AVX2 : GRAFT_BLOCKS_SCALAR;
}
#else
graft_blocks_simd graft_blocks_best_simd(void) { return GRAFT_BLOCKS_SCALAR; }
#endif

void graft_dequantize(graft_blocks_type type, graft_blocks_simd simd, const uint8_t *blocks, size_t count, float *values) {
#ifdef __x86_64__
  if (simd == GRAFT_BLOCKS_AVX512) return blocks_avx512[type](blocks, count, values);
  if (simd == GRAFT_BLOCKS_AVX2) return blocks_avx2[type](blocks, count, values);
#endif
  dequantize_scalar(type, blocks, count, values);
}

void graft_narrow_bf16(graft_blocks_simd simd, const float *values, size_t count, uint16_t *narrow) {
#ifdef __x86_64__
  if (simd == GRAFT_BLOCKS_AVX512) return narrow_bf16_avx512(values, count, narrow);
  if (simd == GRAFT_BLOCKS_AVX2) return narrow_bf16_avx2(values, count, narrow);
#endif
  for (size_t i = 0; i < count; i++) narrow[i] = bf16_of(values[i]);
}

void graft_narrow_f16(graft_blocks_simd simd, const float *values, size_t count, uint16_t *narrow) {
#ifdef __x86_64__
  if (simd == GRAFT_BLOCKS_AVX512) return narrow_f16_avx512(values, count, narrow);
  if (simd == GRAFT_BLOCKS_AVX2) return narrow_f16_avx2(values, count, narrow);
#endif
  for (size_t i = 0; i < count; i++) narrow[i] = f16_of(values[i]);
}
