// What every kernel body is written in: 16 f32 lanes. A body is compiled once per instruction set; every multiply-add
// is spelled out as `fma` and contraction is off, so that all of the compilations give the same bits.
#pragma once
#include <stdint.h>
#include <string.h>

// Vectors wider than the target's registers are passed only between functions of one file.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t int_lanes __attribute__((vector_size(64)));
typedef uint32_t word_lanes __attribute__((vector_size(64)));
typedef uint64_t long_lanes __attribute__((vector_size(64)));
typedef float unaligned_lanes __attribute__((vector_size(64), aligned(4)));
typedef uint16_t bf16_lanes __attribute__((vector_size(64), aligned(2)));
// For stores that go around the caches.
typedef uint16_t aligned_bf16_lanes __attribute__((vector_size(64)));
typedef uint16_t half_lanes __attribute__((vector_size(32), aligned(2)));

enum { LANES = 16 };

#define INLINE static inline __attribute__((always_inline))

// The instruction sets beyond the portable one; each body is pushed under one of them.
#define AVX2_TARGET __attribute__((target("avx2,fma,f16c")))
#define AVX512_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")))
#define AVX512_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,f16c")))
