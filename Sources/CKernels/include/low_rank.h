#pragma once

#include <stdint.h>

/// The float types of a stored matrix.
typedef enum { graft_f16, graft_bf16, graft_f32, graft_f64 } graft_float_type;

/// One update scale * B * A.  B: [rows, rank]  A: [rank, columns]
typedef struct {
  const float *b;
  const float *a;
  long rank;
  float scale;
} graft_low_rank_factor;

/// What an update did to the rows it was added to, as sums over their elements.
typedef struct {
  double base_squared;      // W^2
  double update_squared;    // dW^2
  double rounding_squared;  // (W' - (W + dW))^2
  double survived;          // (W' - W) * dW
  int64_t changed;          // elements whose stored value is another one
  int64_t not_finite;       // elements that became NaN or infinite
} graft_low_rank_sums;

/// result = round(base + sum of the factors' updates), both row-major [rows, columns].
///
/// Products are accumulated in f32 in the order of the rank, the sum is formed in f64 and rounded once to the
/// result's type, ties to even. Without factors this is a conversion. `level` is 0 for scalar code, 1 for AVX2 with
/// FMA, 2 for AVX-512; all give the same bits. The sums are added to `sums`.
void graft_add_low_rank(int level, const void *base, graft_float_type base_type, void *result,
                        graft_float_type result_type, long rows, long columns,
                        const graft_low_rank_factor *factors, long factor_count,
                        graft_low_rank_sums *sums);

/// The best level of this CPU.
int graft_low_rank_level(void);
