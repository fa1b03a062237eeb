// Includes BODY once per instruction set. The portable compilation is the scalar twin of the others.
#include "lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma clang fp contract(off)

#define FN(name) portable_##name
#define BODY_LEVEL 0
#define VECTORIZE
#include BODY
#undef FN
#undef BODY_LEVEL
#undef VECTORIZE

#if defined(__x86_64__)
#define VECTORIZE _Pragma("clang loop vectorize(assume_safety) vectorize_width(8)")
#define FN(name) avx2_##name
#define BODY_LEVEL 1
#pragma clang attribute push(AVX2_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef FN
#undef BODY_LEVEL
#undef VECTORIZE

#define VECTORIZE _Pragma("clang loop vectorize(assume_safety) vectorize_width(16)")
#define FN(name) avx512_##name
#define BODY_LEVEL 2
#pragma clang attribute push(AVX512_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef FN
#undef BODY_LEVEL

#define FN(name) bf16_##name
#define BODY_LEVEL 3
#pragma clang attribute push(AVX512_BF16_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef FN
#undef BODY_LEVEL
#undef VECTORIZE
#endif

#include "dispatch.h"
