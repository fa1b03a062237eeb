// Includes BODY once per instruction set. The portable compilation is the scalar twin of the others.
#include "lanes.h"

#pragma clang fp contract(off)

#define FN(name) portable_##name
#define VECTORIZE
#include BODY
#undef FN
#undef VECTORIZE

#if defined(__x86_64__)
#define VECTORIZE _Pragma("clang loop vectorize(assume_safety) vectorize_width(8)")
#define FN(name) avx2_##name
#pragma clang attribute push(AVX2_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef FN
#undef VECTORIZE

#define VECTORIZE _Pragma("clang loop vectorize(assume_safety) vectorize_width(16)")
#define FN(name) avx512_##name
#pragma clang attribute push(AVX512_TARGET, apply_to = function)
#include BODY
#pragma clang attribute pop
#undef FN
#undef VECTORIZE
#endif

#include "dispatch.h"
