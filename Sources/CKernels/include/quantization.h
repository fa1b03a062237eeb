// Block-quantized weights, as ggml stores them, to f32 and from it; and f32 rounded to the 16-bit floats.
#pragma once
#include <stddef.h>
#include <stdint.h>

// The stored types. Each block holds 32 values (the _0 and _1 types, IQ4_NL, MXFP4), 256 (the K types, IQ4_XS) or 1 (F16, BF16).
typedef enum {
  GRAFT_BLOCKS_F16,
  GRAFT_BLOCKS_BF16,
  GRAFT_BLOCKS_Q4_0,
  GRAFT_BLOCKS_Q4_1,
  GRAFT_BLOCKS_Q5_0,
  GRAFT_BLOCKS_Q5_1,
  GRAFT_BLOCKS_Q8_0,
  GRAFT_BLOCKS_Q2_K,
  GRAFT_BLOCKS_Q3_K,
  GRAFT_BLOCKS_Q4_K,
  GRAFT_BLOCKS_Q5_K,
  GRAFT_BLOCKS_Q6_K,
  GRAFT_BLOCKS_IQ4_NL,
  GRAFT_BLOCKS_IQ4_XS,
  GRAFT_BLOCKS_MXFP4,
} graft_blocks_type;

// The instruction sets that the vector versions are compiled for.
typedef enum { GRAFT_BLOCKS_SCALAR, GRAFT_BLOCKS_AVX2, GRAFT_BLOCKS_AVX512 } graft_blocks_simd;

// The best one that this CPU has.
graft_blocks_simd graft_blocks_best_simd(void);

// Dequantizes whole blocks; `values` receives count times the block's values. Neither side needs alignment.
void graft_dequantize(graft_blocks_type type, graft_blocks_simd simd, const uint8_t *blocks, size_t count, float *values);

// Quantizes whole blocks of finite values to one of the types from Q4_0 to Q8_0, with the bits of ggml's reference, or to
// Q4_K, Q5_K or Q6_K, with the least squared error that a search finds; every level gives the same bits. 1, or 0 when a value isn't
// finite or a block's scale is beyond f16. `level` is one of tile.h's.
int graft_quantize(int level, graft_blocks_type type, const float *values, int64_t count, uint8_t *blocks);

// Rounds to nearest even; NaN stays NaN (made quiet), what is too big becomes infinite. Neither side needs alignment.
void graft_narrow_bf16(graft_blocks_simd simd, const float *values, size_t count, uint16_t *narrow);
void graft_narrow_f16(graft_blocks_simd simd, const float *values, size_t count, uint16_t *narrow);
