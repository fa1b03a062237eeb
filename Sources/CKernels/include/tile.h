#pragma once
#include <stdint.h>

/// The instruction sets that kernels are compiled for; all give the same bits.
enum { GRAFT_PORTABLE = 0, GRAFT_AVX2 = 1, GRAFT_AVX512 = 2 };

/// The best instruction set of this CPU.
int graft_best_level(void);
/// The processors that this process may run on.
int graft_processor_count(void);
/// Whether the CPU multiplies pairs of bf16.
int graft_has_bf16_dot(void);

enum { GRAFT_F32, GRAFT_BF16, GRAFT_F16, GRAFT_F64, GRAFT_I32 };

/// y[i] = x[i] in another type, rounded to nearest even.
void graft_convert(int level, const void *x, int x_type, void *y, int y_type, int64_t count);

/// The forms of a register: what it has a value for.
enum { GRAFT_SCALAR = 0, GRAFT_PER_ROW = 1, GRAFT_PER_COLUMN = 2, GRAFT_FULL = 3 };

typedef enum {
  GRAFT_NEGATE, GRAFT_EXP, GRAFT_LOG, GRAFT_SQUARE_ROOT, GRAFT_RECIPROCAL_SQUARE_ROOT,
  GRAFT_RECIPROCAL, GRAFT_TANH, GRAFT_SIGMOID, GRAFT_ERF, GRAFT_ABSOLUTE, GRAFT_SQUARE, GRAFT_SINE,
  GRAFT_COSINE,
  GRAFT_ADD, GRAFT_SUBTRACT, GRAFT_MULTIPLY, GRAFT_DIVIDE, GRAFT_MAXIMUM, GRAFT_MINIMUM, GRAFT_LESS,
  GRAFT_EQUAL,
  GRAFT_SELECT, GRAFT_CONSTANT, GRAFT_EXPAND, GRAFT_ROUND_BF16, GRAFT_ROUND_F16, GRAFT_ROTATE_HALF,
  GRAFT_ROW_SUM, GRAFT_ROW_MAXIMUM, GRAFT_LOAD, GRAFT_LOAD_DIRECT, GRAFT_STORE, GRAFT_COLUMN_SUM
} graft_tile_op;

/// One step of a tile program after planning.
typedef struct {
  uint8_t op, form;
  uint8_t operand_form[3];
  int32_t result;      // the register written
  int32_t operand[3];  // registers read
  int32_t slot;        // where the result stands in the scratch
  int32_t binding;     // of loads and stores; the index among the column sums of a column sum
  int32_t width;       // of rotate-half
  float immediate;
} graft_tile_step;

/// How memory is laid over the rows; see TileProgram.Binding.
typedef struct {
  int32_t dtype;
  int32_t is_one_wide;
  int64_t row_divisor, row_modulus;
} graft_tile_binding;

typedef struct {
  const graft_tile_step *steps;
  int64_t step_count;
  const graft_tile_binding *bindings;
  int64_t columns;
  int64_t slot_stride;
} graft_tile_program;

/// Runs the program over one tile: whole rows, or a part of one row.
///
/// `scratch` holds the slots, `registers` one pointer a register, `sums` the running column sums, `columns` values each.
void graft_tile_run(
  int level, const graft_tile_program *program, void *const *memory, int64_t row, int64_t rows,
  int64_t column, int64_t columns, float *scratch, const float **registers, float *sums);

/// Tells the core that this is a waiting loop.
static inline void graft_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
