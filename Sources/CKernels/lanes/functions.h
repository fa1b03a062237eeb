// Elementary functions of f32, branch-free so that loops over them vectorize. Included inside a body, under its target.
//
// The polynomials are weighted least-squares fits on the reduced ranges; errors were measured over all arguments
// of interest and are at most about 2 units in the last place.

// Bits count modulo 2³², as they do in vectors.
INLINE float FN(from_bits)(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

INLINE uint32_t FN(to_bits)(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// Adding 1.5 · 2²³ rounds to an integer and leaves it in the low bits.
#define ROUNDER 12582912.0f

INLINE float FN(exp)(float x) {
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  float shifted = __builtin_fmaf(x, 1.44269502f, ROUNDER);
  float n = shifted - ROUNDER;
  float r = __builtin_fmaf(n, -0.693147182f, x);
  r = __builtin_fmaf(n, 1.90465421e-09f, r);
  float y = 0.00138145348f;
  y = __builtin_fmaf(y, r, 0.00836874545f);
  y = __builtin_fmaf(y, r, 0.0416683927f);
  y = __builtin_fmaf(y, r, 0.166665211f);
  y = __builtin_fmaf(y, r, 0.49999994f);
  y = __builtin_fmaf(y, r, 1.0f);
  y = __builtin_fmaf(y, r, 1.0f);
  // 2ⁿ in two factors, so that results below the normal range are rounded once.
  int32_t k = (int32_t)(FN(to_bits)(shifted) - 0x4b400000);
  int32_t half = k >> 1;
  return y * FN(from_bits)((uint32_t)(half + 127) << 23) * FN(from_bits)((uint32_t)(k - half + 127) << 23);
}

INLINE float FN(log)(float x) {
  float tiny = x < 1.17549435e-38f ? 8388608.0f : 1.0f;
  float offset = x < 1.17549435e-38f ? 23.0f : 0.0f;
  int32_t bits = (int32_t)(FN(to_bits)(x * tiny) - 0x3f3504f3);
  float e = (float)(bits >> 23) - offset;
  float f = FN(from_bits)((uint32_t)(bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  float q = 0.0691536814f;
  q = __builtin_fmaf(q, f, -0.117898077f);
  q = __builtin_fmaf(q, f, 0.118729763f);
  q = __builtin_fmaf(q, f, -0.123843484f);
  q = __builtin_fmaf(q, f, 0.142186582f);
  q = __builtin_fmaf(q, f, -0.16669251f);
  q = __builtin_fmaf(q, f, 0.200022265f);
  q = __builtin_fmaf(q, f, -0.249999866f);
  q = __builtin_fmaf(q, f, 0.333333105f);
  float s = f * f;
  float tail = __builtin_fmaf(q * f, s, -0.5f * s);
  tail = __builtin_fmaf(e, -1.90465421e-09f, tail);
  float y = __builtin_fmaf(e, 0.693147182f, f + tail);
  y = x == __builtin_inff() ? x : y;
  y = x == 0.0f ? -__builtin_inff() : y;
  return x >= 0.0f ? y : __builtin_nanf("");
}

INLINE float FN(sigmoid)(float x) { return 1.0f / (1.0f + FN(exp)(-x)); }

INLINE float FN(tanh)(float x) {
  float s = x * x;
  float q = -0.00552862464f;
  q = __builtin_fmaf(q, s, 0.0204833057f);
  q = __builtin_fmaf(q, s, -0.053692963f);
  q = __builtin_fmaf(q, s, 0.133308992f);
  q = __builtin_fmaf(q, s, -0.333332628f);
  float small = __builtin_fmaf(q * s, x, x);
  float large = 1.0f - 2.0f / (FN(exp)(2.0f * __builtin_fabsf(x)) + 1.0f);
  large = __builtin_copysignf(large, x);
  return __builtin_fabsf(x) < 0.625f ? small : large;
}

INLINE float FN(erf)(float x) {
  float t = __builtin_fabsf(x);
  float s = x * x;
  float small = 8.21542344e-05f;
  small = __builtin_fmaf(small, s, -0.00081059651f);
  small = __builtin_fmaf(small, s, 0.00519779697f);
  small = __builtin_fmaf(small, s, -0.0268581044f);
  small = __builtin_fmaf(small, s, 0.112836726f);
  small = __builtin_fmaf(small, s, -0.376126319f);
  small = __builtin_fmaf(small, s, 0.128379166f);
  small = __builtin_fmaf(small, x, x);
  // log erfc(t) = t · q(t) up to 4, where erf has long been 1 in f32; NaN passes the clamp.
  float u = t > 4.0f ? 4.0f : t;
  float q = -4.80647577e-06f;
  q = __builtin_fmaf(q, u, 4.3999964e-05f);
  q = __builtin_fmaf(q, u, 5.75130543e-05f);
  q = __builtin_fmaf(q, u, -0.0029516716f);
  q = __builtin_fmaf(q, u, 0.0227082986f);
  q = __builtin_fmaf(q, u, -0.105294444f);
  q = __builtin_fmaf(q, u, -0.635609269f);
  q = __builtin_fmaf(q, u, -1.12855518f);
  float large = __builtin_copysignf(1.0f - FN(exp)(q * u), x);
  return t < 0.93f ? small : large;
}

// sin (phase 0) or cos (phase 1): reduction by π/2 in three parts, good to |x| of about a million.
INLINE float FN(sine)(float x, int32_t phase) {
  float shifted = __builtin_fmaf(x, 0.636619747f, ROUNDER);
  float n = shifted - ROUNDER;
  uint32_t quadrant = FN(to_bits)(shifted) - 0x4b400000 + (uint32_t)phase;
  float r = __builtin_fmaf(n, -1.57079637f, x);
  r = __builtin_fmaf(n, 4.37113883e-08f, r);
  r = __builtin_fmaf(n, 1.71512451e-15f, r);
  float s = r * r;
  float sine = 2.71756448e-06f;
  sine = __builtin_fmaf(sine, s, -0.000198392561f);
  sine = __builtin_fmaf(sine, s, 0.00833332911f);
  sine = __builtin_fmaf(sine, s, -0.166666672f);
  sine = __builtin_fmaf(sine * s, r, r);
  float cosine = 2.44312032e-05f;
  cosine = __builtin_fmaf(cosine, s, -0.0013887306f);
  cosine = __builtin_fmaf(cosine, s, 0.0416666456f);
  cosine = __builtin_fmaf(cosine * s, s, __builtin_fmaf(-0.5f, s, 1.0f));
  float y = (quadrant & 1) ? cosine : sine;
  return (quadrant & 2) ? -y : y;
}

// The sum of 16 lanes, always in the same order.
INLINE float FN(add_lanes)(lanes v) {
  float a[8];
  for (int i = 0; i < 8; i++) a[i] = v[i] + v[i + 8];
  for (int i = 0; i < 4; i++) a[i] = a[i] + a[i + 4];
  return (a[0] + a[2]) + (a[1] + a[3]);
}

INLINE lanes FN(fma_lanes)(lanes a, lanes b, lanes c) { return __builtin_elementwise_fma(a, b, c); }
INLINE lanes FN(load)(const float *p) { return *(const unaligned_lanes *)p; }
INLINE void FN(store)(float *p, lanes v) { *(unaligned_lanes *)p = v; }
INLINE lanes FN(splat)(float x) { return x - (lanes){}; }

INLINE uint16_t FN(to_bf16)(float x) {
  uint32_t bits = FN(to_bits)(x);
  uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : rounded);
}

INLINE float FN(from_bf16)(uint16_t x) { return FN(from_bits)((uint32_t)x << 16); }

INLINE lanes FN(load_bf16)(const uint16_t *p) {
  typedef uint32_t wide __attribute__((vector_size(64)));
  wide bits = __builtin_convertvector(*(const half_lanes *)p, wide) << 16;
  return (lanes)bits;
}

// MARK: - The same on 16 lanes, with the same bits

// `a` where the mask is set, else `b`.
INLINE lanes FN(choose)(int_lanes mask, lanes a, lanes b) {
  return (lanes)((mask & (int_lanes)a) | (~mask & (int_lanes)b));
}

INLINE lanes FN(exp_lanes)(lanes x) {
  lanes high = FN(splat)(89.0f), low = FN(splat)(-104.0f);
  x = FN(choose)(x > high, high, x);
  x = FN(choose)(x < low, low, x);
  lanes shifted = FN(fma_lanes)(x, FN(splat)(1.44269502f), FN(splat)(ROUNDER));
  lanes n = shifted - ROUNDER;
  lanes r = FN(fma_lanes)(n, FN(splat)(-0.693147182f), x);
  r = FN(fma_lanes)(n, FN(splat)(1.90465421e-09f), r);
  lanes y = FN(splat)(0.00138145348f);
  y = FN(fma_lanes)(y, r, FN(splat)(0.00836874545f));
  y = FN(fma_lanes)(y, r, FN(splat)(0.0416683927f));
  y = FN(fma_lanes)(y, r, FN(splat)(0.166665211f));
  y = FN(fma_lanes)(y, r, FN(splat)(0.49999994f));
  y = FN(fma_lanes)(y, r, FN(splat)(1.0f));
  y = FN(fma_lanes)(y, r, FN(splat)(1.0f));
#if BODY_LEVEL >= 2
  return (lanes)_mm512_scalef_ps((__m512)y, (__m512)n);
#else
  int_lanes k = (int_lanes)shifted - 0x4b400000;
  int_lanes half = k >> 1;
  return y * (lanes)((half + 127) << 23) * (lanes)((k - half + 127) << 23);
#endif
}

INLINE lanes FN(sigmoid_lanes)(lanes x) { return 1.0f / (1.0f + FN(exp_lanes)(-x)); }

INLINE lanes FN(square_root_lanes)(lanes x) { return __builtin_elementwise_sqrt(x); }

#if BODY_LEVEL == 3
// The instructions that round to bf16 take subnormal values for zeros.
INLINE int FN(has_subnormal)(lanes x) { return _mm512_fpclass_ps_mask((__m512)x, 0x20) != 0; }
#endif

// Rounded to bf16, as f32.
INLINE lanes FN(round_bf16_lanes)(lanes x) {
  typedef uint32_t wide __attribute__((vector_size(64)));
#if BODY_LEVEL == 3
  if (__builtin_expect(!FN(has_subnormal)(x), 1))
    return (lanes)(__builtin_convertvector((half_lanes)_mm512_cvtneps_pbh((__m512)x), wide) << 16);
#endif
  wide bits = (wide)x;
  wide rounded = bits + 0x7fff + ((bits >> 16) & 1);
  lanes y = FN(choose)(x != x, (lanes)(bits | 0x400000), (lanes)rounded);
  return (lanes)((wide)y & 0xffff0000);
}

// Two runs of values that are bf16 already, as 64 bytes.
INLINE bf16_lanes FN(pack_bf16)(lanes x, lanes y) {
  return __builtin_shufflevector(
    (bf16_lanes)x, (bf16_lanes)y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45,
    47, 49, 51, 53, 55, 57, 59, 61, 63);
}

// Two runs of values, rounded to bf16, as 64 bytes.
INLINE bf16_lanes FN(pack_as_bf16)(lanes x, lanes y) {
#if BODY_LEVEL == 3
  if (__builtin_expect(!FN(has_subnormal)(x) && !FN(has_subnormal)(y), 1))
    return (bf16_lanes)_mm512_cvtne2ps_pbh((__m512)y, (__m512)x);
#endif
  return FN(pack_bf16)(FN(round_bf16_lanes)(x), FN(round_bf16_lanes)(y));
}

INLINE void FN(store_as_bf16)(uint16_t *p, lanes x, lanes y) { *(bf16_lanes *)p = FN(pack_as_bf16)(x, y); }
