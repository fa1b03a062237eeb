// Quantization, compiled for each instruction set from one body.
#include "quantization.h"

#include "blocks.h"
#include "tile.h"

#define BODY "quantize_body.h"
#include "lanes/lanes.h"

typedef uint8_t byte_lanes __attribute__((vector_size(16)));

#include "lanes/levels.h"

int graft_quantize(int level, graft_blocks_type type, const float *values, int64_t count, uint8_t *blocks) {
#if defined(__x86_64__)
  switch (level) {
    case GRAFT_AVX512_BF16: return bf16_quantize(type, values, count, blocks);
    case GRAFT_AVX512: return avx512_quantize(type, values, count, blocks);
    case GRAFT_AVX2: return avx2_quantize(type, values, count, blocks);
    default: break;
  }
#endif
  return portable_quantize(type, values, count, blocks);
}
