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
enum { GRAFT_ONEDNN_CANNOT = -1, GRAFT_ONEDNN_NO_MEMORY = -2 };

/// The bytes of scratch that a product needs while it runs, or one of the above; makes nothing.
int64_t graft_onednn_scratch(graft_onednn *context, const graft_onednn_product *product);
/// Makes what a product needs, once; gives the bytes of its scratch, or one of the above.
int64_t graft_onednn_prepare(graft_onednn *context, const graft_onednn_product *product);
/// Runs the product that was prepared last, on the calling thread alone; 0 on failure.
int graft_onednn_run(graft_onednn *context, const void *a, const void *b, void *c, void *scratch);
