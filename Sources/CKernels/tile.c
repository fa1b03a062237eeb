// The tile machine and the conversions, compiled for each instruction set from one body.
#define _GNU_SOURCE
#include "tile.h"

#include <sched.h>

#define BODY "tile_body.h"
#include "lanes/levels.h"

int graft_best_level(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return __builtin_cpu_supports("avx512bf16") ? GRAFT_AVX512_BF16 : GRAFT_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return GRAFT_AVX2;
#endif
  return GRAFT_PORTABLE;
}

int graft_processor_count(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void graft_convert(int level, const void *x, int x_type, void *y, int y_type, int64_t count) {
  DISPATCH(convert, x, x_type, y, y_type, count)
}

void graft_tile_run(
  int level, const graft_tile_program *program, void *const *memory, int64_t row, int64_t rows,
  int64_t column, int64_t columns, float *scratch, float *sums) {
  DISPATCH(run, program, memory, row, rows, column, columns, scratch, sums)
#if defined(__x86_64__)
  // Whoever is told that the tile is done sees stores in order, but for those around the caches.
  if (program->streamed) __builtin_ia32_sfence();
#endif
}
