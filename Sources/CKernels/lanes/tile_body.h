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

// 64 running sums: four sets of 16 lanes, so that additions overlap, then combined in one fixed order.
static float FN(sum)(const float *x, int64_t count) {
  lanes s[4] = {};
  int64_t i = 0;
  for (; i + 64 <= count; i += 64)
    for (int j = 0; j < 4; j++) s[j] += FN(load)(x + i + 16 * j);
  for (; i + 16 <= count; i += 16) s[0] += FN(load)(x + i);
  for (int l = 0; i < count; i++, l++) s[1][l] += x[i];
  return FN(add_lanes)((s[0] + s[2]) + (s[1] + s[3]));
}

INLINE float FN(larger)(float a, float b) { return a > b || a != a ? a : b; }

static float FN(largest)(const float *x, int64_t count) {
  float best[16];
  for (int l = 0; l < 16; l++) best[l] = -__builtin_inff();
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    VECTORIZE for (int l = 0; l < 16; l++) best[l] = FN(larger)(best[l], x[i + l]);
  }
  for (int l = 0; i < count; i++, l++) best[l] = FN(larger)(best[l], x[i]);
  for (int l = 1; l < 16; l++) best[0] = FN(larger)(best[0], best[l]);
  return best[0];
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

// How an operand is walked: the distance between its rows, and whether it changes within a row.
typedef struct {
  const float *x;
  int64_t row;
  int step;
} FN(walk);

INLINE FN(walk) FN(walk_of)(const float *x, int form, int64_t columns) {
  return (FN(walk)){x, form == GRAFT_FULL ? columns : form == GRAFT_PER_ROW, form >= GRAFT_PER_COLUMN};
}

static void FN(pointwise)(
  const graft_tile_step *s, float *y, const float **registers, int64_t rows, int64_t columns) {
  int count = s->op == GRAFT_SELECT ? 3 : 2;
  FN(walk) w[3];
  int uniform = 1;  // no operand is broadcast along one axis only
  for (int i = 0; i < count; i++) {
    w[i] = FN(walk_of)(registers[s->operand[i]], s->operand_form[i], columns);
    if (s->operand_form[i] != s->form && s->operand_form[i] != GRAFT_SCALAR) uniform = 0;
  }
  if (uniform) {
    // A column of values a row is one run, like a tile; only scalars stand still in it.
    for (int i = 0; i < count; i++) w[i].step = s->operand_form[i] != GRAFT_SCALAR;
    columns = s->form == GRAFT_FULL ? rows * columns
            : s->form == GRAFT_PER_ROW ? rows
            : s->form == GRAFT_PER_COLUMN ? columns : 1;
    rows = 1;
  }
  for (int64_t r = 0; r < rows; r++) {
    float *out = y + r * columns;
    if (count == 3)
      FN(loop_select)(
        out, w[0].x + r * w[0].row, w[0].step, w[1].x + r * w[1].row, w[1].step,
        w[2].x + r * w[2].row, w[2].step, columns);
    else
      FN(binary)(
        s->op, out, w[0].x + r * w[0].row, w[0].step, w[1].x + r * w[1].row, w[1].step, columns);
  }
}

static void FN(expand)(
  const graft_tile_step *s, float *y, const float *x, int64_t rows, int64_t columns) {
  if (s->form != GRAFT_FULL) {
    int64_t count = s->form == GRAFT_PER_ROW ? rows : columns;
    for (int64_t i = 0; i < count; i++) y[i] = *x;
    return;
  }
  FN(walk) w = FN(walk_of)(x, s->operand_form[0], columns);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) y[r * columns + c] = w.x[r * w.row + (w.step ? c : 0)];
}

static const int FN(sizes)[] = {4, 2, 2, 8, 4};

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

static void FN(run)(
  const graft_tile_program *p, void *const *memory, int64_t row, int64_t rows, int64_t column,
  int64_t columns, float *scratch, const float **registers, float *sums) {
  for (int64_t i = 0; i < p->step_count; i++) {
    const graft_tile_step *s = &p->steps[i];
    float *y = scratch + (int64_t)s->slot * p->slot_stride;
    const float *x = registers[s->operand[0]];
    int64_t count = s->form == GRAFT_FULL ? rows * columns
                  : s->form == GRAFT_PER_ROW ? rows
                  : s->form == GRAFT_PER_COLUMN ? columns : 1;
    switch (s->op) {
      case GRAFT_CONSTANT: *y = s->immediate; break;
      case GRAFT_LOAD_DIRECT: {
        const graft_tile_binding *b = &p->bindings[s->binding];
        int64_t length = b->is_one_wide ? 1 : p->columns;
        int64_t first = (s->form & GRAFT_PER_ROW) ? row * length : 0;
        y = (float *)memory[s->binding] + first + (b->is_one_wide ? 0 : column);
        // The next tile follows in memory; fetch it while this one is worked on.
        if (s->form == GRAFT_FULL)
          for (int64_t j = 0; j < count; j += 16) __builtin_prefetch(y + count + j, 0, 2);
        break;
      }
      case GRAFT_LOAD:
        FN(load_rows)(
          &p->bindings[s->binding], memory[s->binding], y, s->form, row, rows, p->columns, column,
          columns);
        break;
      case GRAFT_STORE: {
        const graft_tile_binding *b = &p->bindings[s->binding];
        int64_t size = FN(sizes)[b->dtype];
        int64_t length = b->is_one_wide ? 1 : p->columns;
        int64_t first = (s->form & GRAFT_PER_ROW) ? row * length : 0;
        // Values without a row belong to every tile; the first one writes them.
        if (!(s->form & GRAFT_PER_ROW) && row > 0) continue;
        if (!(s->form & GRAFT_PER_COLUMN) && column > 0) continue;
        first += b->is_one_wide ? 0 : column;
        FN(convert)(x, GRAFT_F32, (char *)memory[s->binding] + first * size, b->dtype, count);
        continue;
      }
      case GRAFT_COLUMN_SUM: {
        float *sum = sums + s->binding * p->columns + column;
        int64_t width = s->form == GRAFT_PER_ROW ? 1 : columns;
        for (int64_t r = 0; r < rows; r++) FN(loop_add)(sum, sum, 1, x + r * width, 1, width);
        continue;
      }
      case GRAFT_ROW_SUM:
        for (int64_t r = 0; r < rows; r++) y[r] = FN(sum)(x + r * columns, columns);
        break;
      case GRAFT_ROW_MAXIMUM:
        for (int64_t r = 0; r < rows; r++) y[r] = FN(largest)(x + r * columns, columns);
        break;
      case GRAFT_ROTATE_HALF: FN(rotate_half)(y, x, count, s->width); break;
      case GRAFT_EXPAND: FN(expand)(s, y, x, rows, columns); break;
      case GRAFT_ADD: case GRAFT_SUBTRACT: case GRAFT_MULTIPLY: case GRAFT_DIVIDE:
      case GRAFT_MAXIMUM: case GRAFT_MINIMUM: case GRAFT_LESS: case GRAFT_EQUAL: case GRAFT_SELECT:
        FN(pointwise)(s, y, registers, rows, columns);
        break;
      default: FN(unary)(s->op, y, x, count); break;
    }
    registers[s->result] = y;
  }
}
