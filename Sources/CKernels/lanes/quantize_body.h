// Quantization of f32 in ggml's blocks, one body for every instruction set.
//
// The types of 32 values round as the reference does, operation by operation. Of the types of 256 values only the
// layout is given; the numbers are searched for here: the least sum of squared errors, by least squares over many ways
// to round. A lane is a group with a scale of its own, so that no sum goes across lanes.

// MARK: - What all share

INLINE lanes FN(q_load)(const float *x) { return *(const unaligned_lanes *)x; }
INLINE lanes FN(q_all)(float x) { return (lanes){} + x; }
INLINE lanes FN(q_pick)(int_lanes mask, lanes yes, lanes no) {
  return (lanes)(((int_lanes)yes & mask) | ((int_lanes)no & ~mask));
}
INLINE lanes FN(q_magnitude)(lanes x) { return (lanes)((int_lanes)x & 0x7FFFFFFF); }

// To the nearest integer from 0 to `top`; NaN is 0.
INLINE int_lanes FN(q_round)(lanes x, float top) {
  x = FN(q_pick)(x > 0.0f, x, FN(q_all)(0));
  x = FN(q_pick)(x < top, x, FN(q_all)(top));
  return __builtin_convertvector(x + 0.5f, int_lanes);
}

INLINE lanes FN(q_float)(int_lanes x) { return __builtin_convertvector(x, lanes); }

INLINE float FN(q_largest)(lanes x) {
  float each[LANES];
  memcpy(each, &x, sizeof x);
  for (int half = LANES / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) each[i] = each[i] > each[i + half] ? each[i] : each[i + half];
  }
  return each[0];
}

INLINE float FN(q_smallest)(lanes x) { return -FN(q_largest)(-x); }

// Whether any value is infinite or NaN, as a lane that isn't zero.
INLINE int_lanes FN(q_strange)(lanes x) { return ((int_lanes)x & 0x7F800000) == 0x7F800000; }

INLINE int FN(q_or)(int_lanes x) {
  int32_t each[LANES];
  memcpy(each, &x, sizeof x);
  for (int half = LANES / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) each[i] |= each[i + half];
  }
  return each[0];
}

INLINE int FN(q_any)(int_lanes x) { return FN(q_or)(x) != 0; }

INLINE int FN(q_is_finite)(uint16_t half) { return (half & 0x7C00) != 0x7C00; }

INLINE void FN(q_put)(uint8_t *to, uint16_t half) {
  to[0] = (uint8_t)half;
  to[1] = (uint8_t)(half >> 8);
}

INLINE void FN(q_bytes)(uint8_t *to, int_lanes x) {
  byte_lanes bytes = __builtin_convertvector(x, byte_lanes);
  memcpy(to, &bytes, sizeof bytes);
}

// MARK: - Blocks of 32, as the reference rounds them

// The value of the greatest magnitude, the first of equals, with its sign.
INLINE float FN(q_extreme)(const float *x, lanes a, lanes b) {
  lanes greater = FN(q_magnitude)(a);
  greater = FN(q_pick)(FN(q_magnitude)(b) > greater, FN(q_magnitude)(b), greater);
  float greatest = FN(q_largest)(greater);
  // The bits of the places where it stands: value i is bit i.
  int_lanes place = {1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
  int low = FN(q_or)((FN(q_magnitude)(a) == greatest) & place), high = FN(q_or)((FN(q_magnitude)(b) == greatest) & place);
  uint32_t bits = (uint32_t)low | (uint32_t)high << LANES;
  return bits == 0 ? 0 : x[__builtin_ctz(bits)];
}

INLINE float FN(q_inverse)(float d) { return d == 0 || bits_of(1 / d) << 1 == 0xFF000000 ? 0 : 1 / d; }

// Towards zero, from 0 to `top`.
INLINE int_lanes FN(q_cut)(lanes x, int top) {
  x = FN(q_pick)(x > 0.0f, x, FN(q_all)(0));
  x = FN(q_pick)(x < (float)top, x, FN(q_all)((float)top));
  return __builtin_convertvector(x, int_lanes);
}

INLINE void FN(q_fifth_bits)(uint8_t *to, int_lanes a, int_lanes b) {
  int_lanes place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  int low = FN(q_or)((a >> 4 & 1) << place), high = FN(q_or)((b >> 4 & 1) << place);
  FN(q_put)(to, (uint16_t)low);
  FN(q_put)(to + 2, (uint16_t)high);
}

// Q4_0 and Q5_0: the extreme value is the lowest step.
INLINE int FN(q_signed)(const float *x, uint8_t *block, int steps) {
  lanes a = FN(q_load)(x), b = FN(q_load)(x + LANES);
  float d = FN(q_extreme)(x, a, b) / -(float)steps, inverse = FN(q_inverse)(d);
  int_lanes low = FN(q_cut)(a * inverse + ((float)steps + 0.5f), 2 * steps - 1);
  int_lanes high = FN(q_cut)(b * inverse + ((float)steps + 0.5f), 2 * steps - 1);
  uint16_t half = f16_of(d);
  FN(q_put)(block, half);
  if (steps == 16) FN(q_fifth_bits)(block + 2, low, high);
  FN(q_bytes)(block + (steps == 16 ? 6 : 2), (low & 15) | (high & 15) << 4);
  return FN(q_is_finite)(half) && !FN(q_any)(FN(q_strange)(a) | FN(q_strange)(b));
}

// Q4_1 and Q5_1: the least value and the steps above it.
INLINE int FN(q_above)(const float *x, uint8_t *block, int top) {
  lanes a = FN(q_load)(x), b = FN(q_load)(x + LANES);
  float least = FN(q_smallest)(FN(q_pick)(a < b, a, b));
  float d = (FN(q_largest)(FN(q_pick)(a > b, a, b)) - least) / (float)top, inverse = FN(q_inverse)(d);
  int_lanes low = FN(q_cut)((a - least) * inverse + 0.5f, top);
  int_lanes high = FN(q_cut)((b - least) * inverse + 0.5f, top);
  uint16_t scale = f16_of(d), start = f16_of(least);
  FN(q_put)(block, scale);
  FN(q_put)(block + 2, start);
  if (top == 31) FN(q_fifth_bits)(block + 4, low, high);
  FN(q_bytes)(block + (top == 31 ? 8 : 4), (low & 15) | (high & 15) << 4);
  return FN(q_is_finite)(scale) && FN(q_is_finite)(start) && !FN(q_any)(FN(q_strange)(a) | FN(q_strange)(b));
}

// Half away from zero.
INLINE int_lanes FN(q_away)(lanes x) {
  lanes magnitude = FN(q_magnitude)(x);
  int_lanes whole = __builtin_convertvector(magnitude, int_lanes);
  whole -= (magnitude - FN(q_float)(whole)) >= 0.5f;
  int_lanes negative = x < 0.0f;
  return (whole ^ negative) - negative;
}

INLINE int FN(q_q8_0)(const float *x, uint8_t *block) {
  lanes a = FN(q_load)(x), b = FN(q_load)(x + LANES);
  if (FN(q_any)(FN(q_strange)(a) | FN(q_strange)(b))) return 0;
  lanes greater = FN(q_magnitude)(a);
  greater = FN(q_pick)(FN(q_magnitude)(b) > greater, FN(q_magnitude)(b), greater);
  float d = FN(q_largest)(greater) / 127, inverse = FN(q_inverse)(d);
  uint16_t half = f16_of(d);
  FN(q_put)(block, half);
  FN(q_bytes)(block + 2, FN(q_away)(a * inverse));
  FN(q_bytes)(block + 2 + LANES, FN(q_away)(b * inverse));
  return FN(q_is_finite)(half);
}

// MARK: - Blocks of 256, searched for

// The sums that least squares need, over the values of each group.
typedef struct {
  lanes q, qq, xq;
} FN(q_sums);

// Q4_K and Q5_K: 32 values of 16 groups, which are two blocks. The way x ≈ scale q - shift, shift not below zero.
typedef struct {
  lanes scale, shift;
} FN(q_line);

INLINE FN(q_sums) FN(q_line_sums)(const lanes *x, lanes shift, lanes inverse, float top) {
  FN(q_sums) sums = {};
  for (int i = 0; i < 32; i++) {
    lanes q = FN(q_float)(FN(q_round)((x[i] + shift) * inverse, top));
    sums.q += q;
    sums.qq += q * q;
    sums.xq += x[i] * q;
  }
  return sums;
}

INLINE FN(q_line) FN(q_fit_line)(const lanes *x, float top) {
  lanes low = {}, high = x[0], sum = {}, squares = {};
  for (int i = 0; i < 32; i++) {
    low = FN(q_pick)(x[i] < low, x[i], low);
    high = FN(q_pick)(x[i] > high, x[i], high);
    sum += x[i];
    squares += x[i] * x[i];
  }
  FN(q_line) best = {(high - low) / top, -low};
  lanes least = FN(q_all)(__builtin_inff());
  for (int step = -10; step <= 12; step++) {
    // Ten narrower steps and ten wider ones than the range asks for; then twice from the best line so far.
    lanes inverse = step > 10 ? 1.0f / best.scale : (top + 0.1f * (float)step) / (high - low);
    FN(q_sums) s = FN(q_line_sums)(x, step > 10 ? best.shift : -low, inverse, top);
    lanes determinant = 32.0f * s.qq - s.q * s.q;
    lanes scale = (32.0f * s.xq - sum * s.q) / determinant;
    lanes shift = (scale * s.q - sum) / 32.0f;
    int_lanes below = shift < 0.0f;
    scale = FN(q_pick)(below, s.xq / s.qq, scale);
    shift = FN(q_pick)(below, FN(q_all)(0), shift);
    lanes error = squares + scale * (scale * s.qq - 2.0f * s.xq - 2.0f * shift * s.q) + shift * (2.0f * sum + 32.0f * shift);
    int_lanes better = error < least & scale > 0.0f & determinant > 0.0f;
    least = FN(q_pick)(better, error, least);
    best.scale = FN(q_pick)(better, scale, best.scale);
    best.shift = FN(q_pick)(better, shift, best.shift);
  }
  return best;
}

// The greatest of the lanes of each half, rounded to what 63 of it fit in f16.
INLINE void FN(q_unit)(lanes x, uint16_t half[2], lanes *unit) {
  for (int block = 0; block < 2; block++) {
    float greatest = 0;
    for (int i = 0; i < 8; i++) greatest = x[8 * block + i] > greatest ? x[8 * block + i] : greatest;
    half[block] = f16_of(greatest / 63);
    for (int i = 0; i < 8; i++) (*unit)[8 * block + i] = half_of(half[block]);
  }
}

INLINE lanes FN(q_reciprocal)(lanes x) { return FN(q_pick)(x > 0.0f, 1.0f / x, FN(q_all)(0)); }

// Two blocks' values, and whether they could be held.
INLINE int FN(q_lines)(const float *values, uint8_t *first, uint8_t *second, int top) {
  lanes x[32];
  int_lanes strange = {};
  for (int i = 0; i < 32; i++) {
    for (int group = 0; group < LANES; group++) x[i][group] = values[32 * group + i];
    strange |= FN(q_strange)(x[i]);
  }
  FN(q_line) line = FN(q_fit_line)(x, (float)top);
  uint16_t scales[2], shifts[2];
  lanes unit = {}, shift_unit = {};
  FN(q_unit)(line.scale, scales, &unit);
  FN(q_unit)(line.shift, shifts, &shift_unit);
  lanes per_unit = FN(q_reciprocal)(unit), per_shift = FN(q_reciprocal)(shift_unit);
  lanes near = FN(q_float)(FN(q_round)(line.scale * per_unit, 63));
  lanes near_shift = FN(q_float)(FN(q_round)(line.shift * per_shift, 63));

  // The 6-bit scale and its neighbours, each with the shift that suits it: the least error of all wins.
  lanes sum = {}, least = FN(q_all)(__builtin_inff()), scale = {}, shift = {};
  for (int i = 0; i < 32; i++) sum += x[i];
  for (int step = -1; step <= 1; step++) {
    lanes s = near + (float)step;
    s = FN(q_pick)(s < 0.0f, FN(q_all)(0), s);
    s = FN(q_pick)(s > 63.0f, FN(q_all)(63), s);
    lanes a = unit * s, inverse = FN(q_reciprocal)(a);
    lanes q = FN(q_line_sums)(x, shift_unit * near_shift, inverse, (float)top).q;
    lanes m = FN(q_float)(FN(q_round)((a * q - sum) / 32.0f * per_shift, 63));
    lanes b = shift_unit * m, error = {};
    for (int i = 0; i < 32; i++) {
      lanes q = FN(q_float)(FN(q_round)((x[i] + b) * inverse, (float)top));
      lanes rest = x[i] - (a * q - b);
      error += rest * rest;
    }
    int_lanes better = error < least;
    least = FN(q_pick)(better, error, least);
    scale = FN(q_pick)(better, s, scale);
    shift = FN(q_pick)(better, m, shift);
  }

  uint8_t steps[32][LANES];
  lanes b = shift_unit * shift, inverse = FN(q_reciprocal)(unit * scale);
  for (int i = 0; i < 32; i++) FN(q_bytes)(steps[i], FN(q_round)((x[i] + b) * inverse, (float)top));
  uint8_t s[LANES], m[LANES];
  FN(q_bytes)(s, __builtin_convertvector(scale, int_lanes));
  FN(q_bytes)(m, __builtin_convertvector(shift, int_lanes));
  int finite = !FN(q_any)(strange);
  for (int half = 0; half < 2; half++) {
    uint8_t *block = half == 0 ? first : second;
    int base = 8 * half;
    FN(q_put)(block, scales[half]);
    FN(q_put)(block + 2, shifts[half]);
    finite &= FN(q_is_finite)(scales[half]) && FN(q_is_finite)(shifts[half]);
    for (int i = 0; i < 4; i++) {
      block[4 + i] = (uint8_t)(s[base + i] | (s[base + 4 + i] >> 4) << 6);
      block[8 + i] = (uint8_t)(m[base + i] | (m[base + 4 + i] >> 4) << 6);
      block[12 + i] = (uint8_t)((s[base + 4 + i] & 15) | (m[base + 4 + i] & 15) << 4);
    }
    uint8_t *nibbles = block + (top == 31 ? 48 : 16);
    for (int pair = 0; pair < 4; pair++) {
      for (int i = 0; i < 32; i++) {
        const uint8_t *at = steps[i] + base + 2 * pair;
        nibbles[32 * pair + i] = (uint8_t)((at[0] & 15) | (at[1] & 15) << 4);
      }
    }
    if (top != 31) continue;
    for (int i = 0; i < 32; i++) {
      int bits = 0;
      for (int group = 0; group < 8; group++) bits |= (steps[i][base + group] >> 4) << group;
      block[16 + i] = (uint8_t)bits;
    }
  }
  return finite;
}

// Q6_K: 16 values of 16 groups, which are one block. The way x ≈ scale q, q from -32 to 31.
INLINE lanes FN(q_step)(lanes x, lanes inverse) {
  return FN(q_float)(FN(q_round)(x * inverse + 32.0f, 63)) - 32.0f;
}

INLINE lanes FN(q_fit_scale)(const lanes *x) {
  lanes extreme = x[0];
  for (int i = 1; i < 16; i++) {
    extreme = FN(q_pick)(FN(q_magnitude)(x[i]) > FN(q_magnitude)(extreme), x[i], extreme);
  }
  lanes best = {}, most = {};
  for (int step = -9; step <= 22; step++) {
    // The extreme value as about -32, or as about 31; then twice from the best scale so far.
    lanes inverse = step > 20 ? 1.0f / best
                    : step > 9 ? (31.0f + 0.1f * (float)(step - 15)) / extreme
                               : -(32.0f + 0.1f * (float)step) / extreme;
    lanes xq = {}, qq = {};
    for (int i = 0; i < 16; i++) {
      lanes q = FN(q_step)(x[i], inverse);
      xq += x[i] * q;
      qq += q * q;
    }
    // The squares that the scale xq / qq takes away.
    lanes gain = xq * (xq / qq);
    int_lanes better = gain > most;
    most = FN(q_pick)(better, gain, most);
    best = FN(q_pick)(better, xq / qq, best);
  }
  return best;
}

INLINE int FN(q_q6_k)(const float *values, uint8_t *block) {
  lanes x[16];
  int_lanes strange = {};
  for (int i = 0; i < 16; i++) {
    for (int group = 0; group < LANES; group++) x[i][group] = values[16 * group + i];
    strange |= FN(q_strange)(x[i]);
  }
  lanes fitted = FN(q_fit_scale)(x);
  float extreme = 0;
  for (int i = 0; i < LANES; i++) {
    extreme = FN(q_magnitude)(fitted)[i] > (extreme < 0 ? -extreme : extreme) ? fitted[i] : extreme;
  }
  uint16_t half = f16_of(extreme / -128);
  float d = half_of(half);
  lanes near = fitted * (d == 0 ? 0 : 1 / d);
  lanes least = FN(q_all)(__builtin_inff()), scale = {};
  for (int step = -1; step <= 1; step++) {
    lanes s = FN(q_float)(FN(q_round)(near + (128.0f + (float)step), 255)) - 128.0f;
    lanes a = d * s, inverse = FN(q_pick)(a != 0.0f, 1.0f / a, FN(q_all)(0)), error = {};
    for (int i = 0; i < 16; i++) {
      lanes rest = x[i] - a * FN(q_step)(x[i], inverse);
      error += rest * rest;
    }
    int_lanes better = error < least;
    least = FN(q_pick)(better, error, least);
    scale = FN(q_pick)(better, s, scale);
  }
  lanes a = d * scale, inverse = FN(q_pick)(a != 0.0f, 1.0f / a, FN(q_all)(0));
  uint8_t steps[16][LANES], q[256];
  for (int i = 0; i < 16; i++) {
    FN(q_bytes)(steps[i], __builtin_convertvector(FN(q_step)(x[i], inverse) + 32.0f, int_lanes));
    for (int group = 0; group < LANES; group++) q[16 * group + i] = steps[i][group];
  }
  for (int part = 0; part < 2; part++) {
    const uint8_t *of = q + 128 * part;
    for (int i = 0; i < 64; i++) block[64 * part + i] = (uint8_t)((of[i] & 15) | (of[i + 64] & 15) << 4);
    for (int i = 0; i < 32; i++) {
      block[128 + 32 * part + i] =
          (uint8_t)(of[i] >> 4 | of[i + 32] >> 4 << 2 | of[i + 64] >> 4 << 4 | of[i + 96] >> 4 << 6);
    }
  }
  FN(q_bytes)(block + 192, __builtin_convertvector(scale, int_lanes));
  FN(q_put)(block + 208, half);
  return FN(q_is_finite)(half) && !FN(q_any)(strange);
}

// MARK: - Whole runs

static int FN(q_lines_run)(const float *x, int64_t count, uint8_t *blocks, int top, int bytes) {
  int held = 1;
  for (int64_t i = 0; i + 1 < count; i += 2) {
    held &= FN(q_lines)(x + 256 * i, blocks + i * bytes, blocks + (i + 1) * bytes, top);
  }
  if (count % 2 == 0) return held;
  // The last block beside itself: lanes know nothing of each other.
  float twice[512];
  uint8_t spare[176];
  memcpy(twice, x + 256 * (count - 1), 1024);
  memcpy(twice + 256, twice, 1024);
  return held & FN(q_lines)(twice, blocks + (count - 1) * bytes, spare, top);
}

static int FN(quantize)(graft_blocks_type type, const float *x, int64_t count, uint8_t *blocks) {
  int held = 1;
  switch (type) {
    case GRAFT_BLOCKS_Q4_0:
      for (int64_t i = 0; i < count; i++) held &= FN(q_signed)(x + 32 * i, blocks + 18 * i, 8);
      return held;
    case GRAFT_BLOCKS_Q4_1:
      for (int64_t i = 0; i < count; i++) held &= FN(q_above)(x + 32 * i, blocks + 20 * i, 15);
      return held;
    case GRAFT_BLOCKS_Q5_0:
      for (int64_t i = 0; i < count; i++) held &= FN(q_signed)(x + 32 * i, blocks + 22 * i, 16);
      return held;
    case GRAFT_BLOCKS_Q5_1:
      for (int64_t i = 0; i < count; i++) held &= FN(q_above)(x + 32 * i, blocks + 24 * i, 31);
      return held;
    case GRAFT_BLOCKS_Q8_0:
      for (int64_t i = 0; i < count; i++) held &= FN(q_q8_0)(x + 32 * i, blocks + 34 * i);
      return held;
    case GRAFT_BLOCKS_Q4_K: return FN(q_lines_run)(x, count, blocks, 15, 144);
    case GRAFT_BLOCKS_Q5_K: return FN(q_lines_run)(x, count, blocks, 31, 176);
    case GRAFT_BLOCKS_Q6_K:
      for (int64_t i = 0; i < count; i++) held &= FN(q_q6_k)(x + 256 * i, blocks + 210 * i);
      return held;
    default: return 0;
  }
}
