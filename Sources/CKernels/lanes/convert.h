// Conversions between float types, element by element. Included inside a body, under its target.

INLINE float FN(from_f16)(uint16_t half) {
  uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
  uint32_t finite = FN(to_bits)(FN(from_bits)(magnitude) * 0x1p112f);
  uint32_t quiet = (half & 0x3ff) ? 0x00400000 : 0;
  uint32_t bits = (half & 0x7c00) == 0x7c00 ? (magnitude | 0x7f800000 | quiet) : finite;
  return FN(from_bits)(bits | (uint32_t)(half & 0x8000) << 16);
}

INLINE uint16_t FN(to_f16)(float x) {
  uint32_t bits = FN(to_bits)(x);
  uint32_t sign = (bits >> 16) & 0x8000;
  uint32_t a = bits & 0x7fffffff;
  // Below the normal range, adding one half leaves the rounded fraction in the low bits.
  uint32_t subnormal = FN(to_bits)(FN(from_bits)(a) + 0.5f) - 0x3f000000;
  uint32_t normal = (a + 0xc8000fff + ((a >> 13) & 1)) >> 13;
  uint32_t finite = a < 0x38800000 ? subnormal : normal;
  uint32_t special = a > 0x7f800000 ? 0x7e00 | ((a >> 13) & 0x3ff) : 0x7c00;
  return (uint16_t)(sign | (a >= 0x477ff000 ? special : finite));
}

// Rounded to odd, so that rounding the result again to a narrower type rounds once.
INLINE float FN(to_odd)(double x) {
  float y = (float)x;
  double back = (double)y;
  uint32_t bits = FN(to_bits)(y);
  uint32_t toward = __builtin_fabs(back) > __builtin_fabs(x) ? bits - 1 : bits;
  return FN(from_bits)(back == x || x != x ? bits : toward | 1);
}

#define SAME(v) (v)
#define WIDEN(v) ((double)(v))
#define NARROW(v) ((float)(v))
#define CONVERSION(name, in, out, expression)                        \
  static void FN(name)(const in *x, out *y, int64_t count) {         \
    VECTORIZE for (int64_t i = 0; i < count; i++) {                  \
      in v = x[i];                                                   \
      y[i] = expression;                                             \
    }                                                                \
  }

CONVERSION(few_f32_bf16, float, uint16_t, FN(to_bf16)(v))
CONVERSION(f32_f16, float, uint16_t, FN(to_f16)(v))
CONVERSION(f32_f64, float, double, (double)v)
CONVERSION(bf16_f32, uint16_t, float, FN(from_bf16)(v))
CONVERSION(bf16_f16, uint16_t, uint16_t, FN(to_f16)(FN(from_bf16)(v)))
CONVERSION(bf16_f64, uint16_t, double, (double)FN(from_bf16)(v))
CONVERSION(f16_f32, uint16_t, float, FN(from_f16)(v))
CONVERSION(f16_bf16, uint16_t, uint16_t, FN(to_bf16)(FN(from_f16)(v)))
CONVERSION(f16_f64, uint16_t, double, (double)FN(from_f16)(v))
CONVERSION(f64_f32, double, float, (float)v)
CONVERSION(f64_bf16, double, uint16_t, FN(to_bf16)(FN(to_odd)(v)))
CONVERSION(f64_f16, double, uint16_t, FN(to_f16)(FN(to_odd)(v)))
CONVERSION(i32_f32, int32_t, float, (float)v)

static void FN(f32_bf16)(const float *x, uint16_t *y, int64_t count) {
  int64_t whole = count & ~31;
  for (int64_t i = 0; i < whole; i += 32) FN(store_as_bf16)(y + i, FN(load)(x + i), FN(load)(x + i + 16));
  FN(few_f32_bf16)(x + whole, y + whole, count - whole);
}

static void FN(convert)(const void *x, int from, void *y, int to, int64_t count) {
  static const int sizes[] = {4, 2, 2, 8, 4, 8};
  if (from == to) {
    memmove(y, x, (size_t)(count * sizes[from]));
    return;
  }
  switch (from * 8 + to) {
    case GRAFT_F32 * 8 + GRAFT_BF16: FN(f32_bf16)(x, y, count); break;
    case GRAFT_F32 * 8 + GRAFT_F16: FN(f32_f16)(x, y, count); break;
    case GRAFT_F32 * 8 + GRAFT_F64: FN(f32_f64)(x, y, count); break;
    case GRAFT_BF16 * 8 + GRAFT_F32: FN(bf16_f32)(x, y, count); break;
    case GRAFT_BF16 * 8 + GRAFT_F16: FN(bf16_f16)(x, y, count); break;
    case GRAFT_BF16 * 8 + GRAFT_F64: FN(bf16_f64)(x, y, count); break;
    case GRAFT_F16 * 8 + GRAFT_F32: FN(f16_f32)(x, y, count); break;
    case GRAFT_F16 * 8 + GRAFT_BF16: FN(f16_bf16)(x, y, count); break;
    case GRAFT_F16 * 8 + GRAFT_F64: FN(f16_f64)(x, y, count); break;
    case GRAFT_F64 * 8 + GRAFT_F32: FN(f64_f32)(x, y, count); break;
    case GRAFT_F64 * 8 + GRAFT_BF16: FN(f64_bf16)(x, y, count); break;
    case GRAFT_F64 * 8 + GRAFT_F16: FN(f64_f16)(x, y, count); break;
    case GRAFT_I32 * 8 + GRAFT_F32: FN(i32_f32)(x, y, count); break;
  }
}
