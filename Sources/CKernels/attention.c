// The leaves of attention, compiled for each instruction set from one body, for units of one f32 and of two bf16.
#include "attention.h"

#include "tile.h"

#include "lanes/lanes.h"

#pragma clang fp contract(off)

#define BODY "lanes/attention_body.h"

#define VECTORIZE
#define WIDEST 1
#define BODY_LEVEL 0
#define FN(name) portable_##name
#define UNIT_VALUES 1
#include BODY
#undef UNIT_VALUES
#undef FN
#define FN(name) portable_pairs_##name
#define UNIT_VALUES 2
#include BODY
#undef UNIT_VALUES
#undef FN
#undef BODY_LEVEL
#undef VECTORIZE

#if defined(__x86_64__)
#include <immintrin.h>

#define VECTORIZE _Pragma("clang loop vectorize(assume_safety) vectorize_width(8)")
#define FN(name) avx2_##name
#define BODY_LEVEL 1
#define UNIT_VALUES 1
#pragma clang attribute push(AVX2_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef UNIT_VALUES
#undef BODY_LEVEL
#undef FN
#undef VECTORIZE
#undef WIDEST

#define WIDEST 4
#define VECTORIZE _Pragma("clang loop vectorize(assume_safety) vectorize_width(16)")
#define FN(name) avx512_##name
#define BODY_LEVEL 2
#define UNIT_VALUES 1
#pragma clang attribute push(AVX512_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef UNIT_VALUES
#undef BODY_LEVEL
#undef FN

#define FN(name) bf16_pairs_##name
#define BODY_LEVEL 3
#define UNIT_VALUES 2
#pragma clang attribute push(AVX512_BF16_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef UNIT_VALUES
#undef BODY_LEVEL
#undef FN
#undef VECTORIZE
#endif

// The compilations that fit the level: for units of one f32, of two bf16, and for either.
#if defined(__x86_64__)
#define CALL_SINGLES(name, ...)                                               \
  switch (level) {                                                            \
    case GRAFT_AVX512_BF16:                                                   \
    case GRAFT_AVX512: avx512_##name(__VA_ARGS__); break;                     \
    case GRAFT_AVX2: avx2_##name(__VA_ARGS__); break;                         \
    default: portable_##name(__VA_ARGS__); break;                             \
  }
#define CALL_PAIRS(name, ...)                                                 \
  if (level == GRAFT_AVX512_BF16)                                             \
    bf16_pairs_##name(__VA_ARGS__);                                           \
  else                                                                        \
    portable_pairs_##name(__VA_ARGS__);
#else
#define CALL_SINGLES(name, ...) portable_##name(__VA_ARGS__);
#define CALL_PAIRS(name, ...) portable_pairs_##name(__VA_ARGS__);
#endif

#define CALL(name, ...)                                                       \
  if (pairs) {                                                                \
    CALL_PAIRS(name, __VA_ARGS__)                                             \
  } else {                                                                    \
    CALL_SINGLES(name, __VA_ARGS__)                                           \
  }

void graft_attention_rows(
  int level, int pairs, const void *x, int type, int64_t stride, int64_t rows, int64_t columns, void *a) {
  CALL(rows, x, type, stride, rows, columns, a)
}

void graft_attention_transposed_panels(
  int level, int pairs, const void *x, int type, int64_t stride, int64_t rows, int64_t columns,
  void *panels, void *room) {
  CALL(transposed_panels, x, type, stride, rows, columns, panels, room)
}

void graft_attention_panels(
  int level, int pairs, const void *x, int type, int64_t stride, int64_t rows, int64_t padded,
  int64_t columns, void *panels, void *room) {
  CALL(panels, x, type, stride, rows, padded, columns, panels, room)
}

void graft_attention_product(
  int level, int pairs, const void *a, int64_t row_step, int64_t unit_step, const void *panels,
  int64_t panel_step, int64_t units, float *c, int64_t c_stride, int64_t rows, int64_t panel_count,
  const float *factor, int accumulates) {
  CALL(
    product, a, row_step, unit_step, panels, panel_step, units, c, c_stride, rows, panel_count, factor,
    accumulates)
}

void graft_attention_softmax(
  int level, int pairs, float *s, int64_t stride, int64_t rows, int64_t first, int64_t end,
  const int32_t *seen, int64_t key, float scale, float *maximum, float *sum, float *factor, void *p) {
  CALL(softmax, s, stride, rows, first, end, seen, key, scale, maximum, sum, factor, p)
}

void graft_attention_softmax_gradient(
  int level, int pairs, float *s, float *dp, int64_t stride, int64_t rows, int64_t first, int64_t end,
  const int32_t *seen, int64_t key, float scale, const float *log_sum_exp, const float *delta,
  void *p_columns, void *ds_columns, void *ds_rows) {
  CALL(
    softmax_gradient, s, dp, stride, rows, first, end, seen, key, scale, log_sum_exp, delta, p_columns,
    ds_columns, ds_rows)
}

void graft_attention_few_rows(
  int level, const float *q, int64_t rows, int64_t group, const void *k, const void *v, int is_bf16,
  int64_t stride, int64_t keys, int64_t columns, const int32_t *seen, int64_t key, float scale,
  float *scores, float *maximum, float *sum, float *o) {
  CALL_SINGLES(
    few_rows, q, rows, group, k, v, is_bf16, stride, keys, columns, seen, key, scale, scores, maximum,
    sum, o)
}
