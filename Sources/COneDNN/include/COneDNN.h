#pragma once
#include <stdint.h>

/// One thread's primitives of oneDNN; `graft_onednn_size` bytes that the caller owns.
typedef struct graft_onednn graft_onednn;

/// c = op(a)·op(b) (+ c). a, b: both bf16 or both f32; c: bf16 or f32; strides in elements.
typedef struct {
  int64_t m, n, k;
  int64_t a_row, a_column, b_row, b_column, c_row;
  int64_t is_f32, c_is_f32, accumulate;
} graft_onednn_product;

/// Whether the library could be built for and is present.
int graft_onednn_is_available(void);
int64_t graft_onednn_size(void);
/// Opens the library for the calling thread's use; 0 when it isn't there.
int graft_onednn_open(graft_onednn *context);
void graft_onednn_close(graft_onednn *context);
/// Makes what a product needs; 0 when the library can't do it, -1 without memory.
int graft_onednn_prepare(graft_onednn *context, const graft_onednn_product *product);
/// Runs a product on the calling thread alone; 0 when the library can't do it.
int graft_onednn_multiply(
  graft_onednn *context, const graft_onednn_product *product, const void *a, const void *b, void *c);
