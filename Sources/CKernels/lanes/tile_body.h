// The tile machine's body: one loop an operation, then the interpreter. Included once per instruction set.
#include "functions.h"
#include "convert.h"

// MARK: - Loops

#define UNARY(name, expression)                                                    \
  static void FN(loop_##name)(float *y, const float *x, int64_t count) {          \
    VECTORIZE for (int64_t i = 0; i < count; i++) {                                \
      float v = x[i];                                                              \
      y[i] = expression;                                                           \
    }                                                                              \
  }

UNARY(negate, -v)
UNARY(exp, FN(exp)(v))
UNARY(log, FN(log)(v))
UNARY(square_root, __builtin_elementwise_sqrt(v))
UNARY(reciprocal_square_root, 1.0f / __builtin_elementwise_sqrt(v))
UNARY(reciprocal, 1.0f / v)
UNARY(tanh, FN(tanh)(v))
UNARY(sigmoid, FN(sigmoid)(v))
UNARY(erf, FN(erf)(v))
UNARY(absolute, __builtin_fabsf(v))
UNARY(square, v * v)
UNARY(sine, FN(sine)(v, 0))
UNARY(cosine, FN(sine)(v, 1))
UNARY(round_bf16, FN(from_bf16)(FN(to_bf16)(v)))
UNARY(round_f16, FN(from_f16)(FN(to_f16)(v)))

// An operand with step 0 is one value for the whole run.
#define BINARY(name, expression)                                                                    \
  static void FN(loop_##name)(                                                                      \
    float *y, const float *p, int p_step, const float *q, int q_step, int64_t count) {              \
    if (p_step && q_step) {                                                                         \
      VECTORIZE for (int64_t i = 0; i < count; i++) { float a = p[i], b = q[i]; y[i] = expression; } \
    } else if (p_step) {                                                                            \
      float b = *q;                                                                                 \
      VECTORIZE for (int64_t i = 0; i < count; i++) { float a = p[i]; y[i] = expression; }          \
    } else if (q_step) {                                                                            \
      float a = *p;                                                                                 \
      VECTORIZE for (int64_t i = 0; i < count; i++) { float b = q[i]; y[i] = expression; }          \
    } else {                                                                                        \
      float a = *p, b = *q, value = expression;                                                     \
      VECTORIZE for (int64_t i = 0; i < count; i++) y[i] = value;                                   \
    }                                                                                               \
  }

BINARY(add, a + b)
BINARY(subtract, a - b)
BINARY(multiply, a *b)
BINARY(divide, a / b)
BINARY(maximum, a > b || a != a ? a : b)
BINARY(minimum, a < b || a != a ? a : b)
BINARY(less, a < b ? 1.0f : 0.0f)
BINARY(equal, a == b ? 1.0f : 0.0f)

static void FN(loop_select)(
  float *y, const float *c, int c_step, const float *p, int p_step, const float *q, int q_step,
  int64_t count) {
  if (!c_step) {
    const float *x = *c != 0 ? p : q;
    int step = *c != 0 ? p_step : q_step;
    if (step) {
      if (x != y) memcpy(y, x, (size_t)count * 4);
    } else {
      float value = *x;
      VECTORIZE for (int64_t i = 0; i < count; i++) y[i] = value;
    }
  } else if (p_step && q_step) {
    VECTORIZE for (int64_t i = 0; i < count; i++) {
      float a = p[i], b = q[i];
      y[i] = c[i] != 0 ? a : b;
    }
  } else if (p_step) {
    float b = *q;
    VECTORIZE for (int64_t i = 0; i < count; i++) {
      float a = p[i];
      y[i] = c[i] != 0 ? a : b;
    }
  } else if (q_step) {
    float a = *p;
    VECTORIZE for (int64_t i = 0; i < count; i++) {
      float b = q[i];
      y[i] = c[i] != 0 ? a : b;
    }
  } else {
    float a = *p, b = *q;
    VECTORIZE for (int64_t i = 0; i < count; i++) y[i] = c[i] != 0 ? a : b;
  }
}

static void FN(rotate_half)(float *y, const float *x, int64_t count, int64_t width) {
  int64_t half = width / 2;
  for (int64_t base = 0; base < count; base += width) {
    VECTORIZE for (int64_t i = 0; i < half; i++) y[base + i] = -x[base + half + i];
    memcpy(y + base + half, x + base, (size_t)half * 4);
  }
}

// MARK: - Steps

static void FN(unary)(int op, float *y, const float *x, int64_t count) {
  switch (op) {
    case GRAFT_NEGATE: FN(loop_negate)(y, x, count); break;
    case GRAFT_EXP: FN(loop_exp)(y, x, count); break;
    case GRAFT_LOG: FN(loop_log)(y, x, count); break;
    case GRAFT_SQUARE_ROOT: FN(loop_square_root)(y, x, count); break;
    case GRAFT_RECIPROCAL_SQUARE_ROOT: FN(loop_reciprocal_square_root)(y, x, count); break;
    case GRAFT_RECIPROCAL: FN(loop_reciprocal)(y, x, count); break;
    case GRAFT_TANH: FN(loop_tanh)(y, x, count); break;
    case GRAFT_SIGMOID: FN(loop_sigmoid)(y, x, count); break;
    case GRAFT_ERF: FN(loop_erf)(y, x, count); break;
    case GRAFT_ABSOLUTE: FN(loop_absolute)(y, x, count); break;
    case GRAFT_SQUARE: FN(loop_square)(y, x, count); break;
    case GRAFT_SINE: FN(loop_sine)(y, x, count); break;
    case GRAFT_COSINE: FN(loop_cosine)(y, x, count); break;
    case GRAFT_ROUND_BF16: FN(loop_round_bf16)(y, x, count); break;
    case GRAFT_ROUND_F16: FN(loop_round_f16)(y, x, count); break;
  }
}

static void FN(binary)(
  int op, float *y, const float *a, int a_step, const float *b, int b_step, int64_t count) {
  switch (op) {
    case GRAFT_ADD: FN(loop_add)(y, a, a_step, b, b_step, count); break;
    case GRAFT_SUBTRACT: FN(loop_subtract)(y, a, a_step, b, b_step, count); break;
    case GRAFT_MULTIPLY: FN(loop_multiply)(y, a, a_step, b, b_step, count); break;
    case GRAFT_DIVIDE: FN(loop_divide)(y, a, a_step, b, b_step, count); break;
    case GRAFT_MAXIMUM: FN(loop_maximum)(y, a, a_step, b, b_step, count); break;
    case GRAFT_MINIMUM: FN(loop_minimum)(y, a, a_step, b, b_step, count); break;
    case GRAFT_LESS: FN(loop_less)(y, a, a_step, b, b_step, count); break;
    case GRAFT_EQUAL: FN(loop_equal)(y, a, a_step, b, b_step, count); break;
  }
}

// Operands have the form of the result, or are scalars.
static void FN(pointwise)(const graft_tile_step *s, float *y, const float *const *x, int64_t count) {
  int step[3];
  for (int i = 0; i < 3; i++) step[i] = s->operand_form[i] != GRAFT_SCALAR;
  if (s->op == GRAFT_SELECT)
    FN(loop_select)(y, x[0], step[0], x[1], step[1], x[2], step[2], count);
  else
    FN(binary)(s->op, y, x[0], step[0], x[1], step[1], count);
}

static const int FN(sizes)[] = {4, 2, 2, 8, 4, 8};

static void FN(load_rows)(
  const graft_tile_binding *b, const char *memory, float *y, int form, int64_t row, int64_t rows,
  int64_t row_length, int64_t column, int64_t columns) {
  int64_t size = FN(sizes)[b->dtype];
  int64_t length = b->is_one_wide ? 1 : row_length;
  int64_t run = b->is_one_wide ? 1 : columns;
  if (form == GRAFT_SCALAR || form == GRAFT_PER_COLUMN) row = 0, rows = 1;
  // Consecutive rows stand together until the modulus wraps.
  for (int64_t r = 0; r < rows;) {
    int64_t memory_row = (row + r) / b->row_divisor % b->row_modulus;
    int64_t together = 1;
    if (b->row_divisor == 1 && run == length) {
      together = b->row_modulus - memory_row;
      if (together > rows - r) together = rows - r;
    }
    int64_t first = memory_row * length + (b->is_one_wide ? 0 : column);
    FN(convert)(memory + first * size, b->dtype, y + r * run, GRAFT_F32, together * run);
    r += together;
  }
}

#include "dropout_body.h"
#include "chain_body.h"

static void FN(run)(
  const graft_tile_program *p, void *const *memory, int64_t row, int64_t rows, int64_t column,
  int64_t columns, float *scratch, float *sums) {
  for (int64_t i = 0; i < p->step_count; i++) {
    const graft_tile_step *s = &p->steps[i];
    float *y = scratch + (int64_t)s->slot * p->slot_stride;
    const float *x[3];
    for (int j = 0; j < 3; j++) x[j] = scratch + (int64_t)s->operand[j] * p->slot_stride;
    int64_t count = s->form == GRAFT_FULL ? rows * columns
                  : s->form == GRAFT_PER_ROW ? rows
                  : s->form == GRAFT_PER_COLUMN ? columns : 1;
    switch (s->op) {
      case GRAFT_CHAIN:
        FN(chain)(p, &p->chains[s->binding], memory, row, rows, column, columns, scratch, sums);
        break;
      case GRAFT_CONSTANT: *y = s->immediate; break;
      case GRAFT_LOAD:
        FN(load_rows)(
          &p->bindings[s->binding], memory[s->binding], y, s->form, row, rows, p->columns, column,
          columns);
        break;
      case GRAFT_STORE: {
        const graft_tile_binding *b = &p->bindings[s->binding];
        int64_t length = b->is_one_wide ? 1 : p->columns;
        int64_t first = (s->form & GRAFT_PER_ROW) ? row * length : 0;
        // Values without a row belong to every tile; the first one writes them.
        if (!(s->form & GRAFT_PER_ROW) && row > 0) break;
        if (!(s->form & GRAFT_PER_COLUMN) && column > 0) break;
        first += b->is_one_wide ? 0 : column;
        FN(convert)(
          x[0], GRAFT_F32, (char *)memory[s->binding] + first * FN(sizes)[b->dtype], b->dtype, count);
        break;
      }
      case GRAFT_COLUMN_SUM: {
        // One value a row; full tiles are summed in chains.
        float *sum = sums + s->binding * p->columns;
        for (int64_t r = 0; r < rows; r++) *sum += x[0][r];
        break;
      }
      case GRAFT_ROTATE_HALF: FN(rotate_half)(y, x[0], count, s->width); break;
      case GRAFT_EXPAND:
        for (int64_t j = 0; j < count; j++) y[j] = *x[0];
        break;
      case GRAFT_ADD: case GRAFT_SUBTRACT: case GRAFT_MULTIPLY: case GRAFT_DIVIDE:
      case GRAFT_MAXIMUM: case GRAFT_MINIMUM: case GRAFT_LESS: case GRAFT_EQUAL: case GRAFT_SELECT:
        FN(pointwise)(s, y, x, count);
        break;
      default: FN(unary)(s->op, y, x[0], count); break;
    }
  }
}
