// Softmax leaves of attention and of the loss head, compiled for each instruction set from one body.
#include "softmax.h"

#include "tile.h"

#define BODY "softmax_body.h"
#include "lanes/levels.h"

void graft_scale_rows(int level, float *y, int64_t rows, int64_t columns, const float *factor) {
  DISPATCH(scale_rows, y, rows, columns, factor)
}

void graft_row_dots(
  int level, const float *a, const float *b, int64_t rows, int64_t columns, float *result) {
  DISPATCH(row_dots, a, b, rows, columns, result)
}

void graft_exponentials(
  int level, const float *x, int64_t count, void *e, int e_type, float *maximum, float *sum) {
  DISPATCH(exponentials, x, count, e, e_type, maximum, sum)
}

void graft_scale_exponentials(int level, void *e, int e_type, int64_t count, float factor) {
  DISPATCH(scale_exponentials, e, e_type, count, factor)
}

void graft_probabilities(int level, float *x, int64_t count, float log_sum_exp, float factor) {
  DISPATCH(probabilities, x, count, log_sum_exp, factor)
}

float graft_exp(float x) { return portable_exp(x); }
float graft_log(float x) { return portable_log(x); }
float graft_sine(float x) { return portable_sine(x, 0); }
float graft_cosine(float x) { return portable_sine(x, 1); }
