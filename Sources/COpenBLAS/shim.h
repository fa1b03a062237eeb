#include <cblas.h>

/// OpenBLAS's buffers for packing, taken by whoever multiplies and kept for the next; absent from other libraries of this kind.
extern void *blas_memory_alloc(int position) __attribute__((weak));
extern void blas_memory_free(void *buffer) __attribute__((weak));

/// Takes `count` buffers at once and gives them back, so that as many threads find one; 0 when the library has no such thing.
static inline int graft_blas_take_buffers(int count) {
  if (!blas_memory_alloc || !blas_memory_free || count > 64) return 0;
  void *buffers[64];
  for (int i = 0; i < count; i++) buffers[i] = blas_memory_alloc(0);
  for (int i = 0; i < count; i++)
    if (buffers[i]) blas_memory_free(buffers[i]);
  return 1;
}
