#pragma once
#include <stdint.h>

/// The instruction sets that kernels are compiled for; all give the same bits.
enum { GRAFT_PORTABLE = 0, GRAFT_AVX2 = 1, GRAFT_AVX512 = 2, GRAFT_AVX512_BF16 = 3 };

/// The best instruction set of this CPU.
int graft_best_level(void);
/// The processors that this process may run on.
int graft_processor_count(void);

enum { GRAFT_F32, GRAFT_BF16, GRAFT_F16, GRAFT_F64, GRAFT_I32, GRAFT_I64 };

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
  GRAFT_SELECT, GRAFT_CONSTANT, GRAFT_DROPOUT_MASK, GRAFT_EXPAND, GRAFT_ROUND_BF16, GRAFT_ROUND_F16, GRAFT_ROTATE_HALF,
  GRAFT_ROW_SUM, GRAFT_ROW_MAXIMUM, GRAFT_LOAD, GRAFT_STORE, GRAFT_COLUMN_SUM, GRAFT_CHAIN
} graft_tile_op;

/// One step of a tile program after planning: a whole register at once, or a chain.
typedef struct {
  uint8_t op, form;
  uint8_t operand_form[3];
  int32_t slot;        // where the result stands in the scratch
  int32_t operand[3];  // the slots read
  int32_t binding;     // of loads and stores; the index among the column sums or the chains
  int32_t width;       // of rotate-half
  float immediate;
} graft_tile_step;

/// Where a link of a chain finds its operand.
typedef enum {
  GRAFT_IN_F32,        // f32 values under the strip
  GRAFT_IN_BF16,       // bf16 values under the strip
  GRAFT_IN_ONE,        // one f32 value for the row
  GRAFT_IN_TEMPORARY,  // a value of this chain put aside
  GRAFT_PLACES
} graft_chain_place;

/// What a link does with the strip that the chain holds in registers.
///
/// Up to GRAFT_LINK_EQUAL, GRAFT_PLACES codes stand for each; the others have one code.
typedef enum {
  GRAFT_LINK_LOAD, GRAFT_LINK_ADD, GRAFT_LINK_SUBTRACT, GRAFT_LINK_MULTIPLY, GRAFT_LINK_DIVIDE,
  GRAFT_LINK_MAXIMUM, GRAFT_LINK_MINIMUM, GRAFT_LINK_LESS,
  GRAFT_LINK_SUBTRACT_FROM, GRAFT_LINK_DIVIDE_INTO, GRAFT_LINK_MAXIMUM_WITH, GRAFT_LINK_MINIMUM_WITH,
  GRAFT_LINK_GREATER, GRAFT_LINK_EQUAL,
  GRAFT_LINKS_WITH_OPERAND
} graft_operand_link;

typedef enum {
  GRAFT_LINK_NEGATE = GRAFT_LINKS_WITH_OPERAND * GRAFT_PLACES,
  GRAFT_LINK_EXP, GRAFT_LINK_LOG, GRAFT_LINK_SQUARE_ROOT, GRAFT_LINK_RECIPROCAL_SQUARE_ROOT,
  GRAFT_LINK_RECIPROCAL, GRAFT_LINK_TANH, GRAFT_LINK_SIGMOID, GRAFT_LINK_ERF, GRAFT_LINK_ABSOLUTE,
  GRAFT_LINK_SQUARE, GRAFT_LINK_SINE, GRAFT_LINK_COSINE, GRAFT_LINK_ROUND_BF16, GRAFT_LINK_ROUND_F16,
  GRAFT_LINK_SELECT, GRAFT_LINK_DROPOUT_MASK, GRAFT_LINK_ROTATED_F32, GRAFT_LINK_ROTATED_BF16,
  GRAFT_LINK_SAVE, GRAFT_LINK_STORE_F32, GRAFT_LINK_STORE_BF16, GRAFT_LINK_STORE_ROUNDED_BF16,
  GRAFT_LINK_STORE_F16, GRAFT_LINK_COLUMN_SUM, GRAFT_LINK_ROW_SUM, GRAFT_LINK_ROW_MAXIMUM,
  GRAFT_LINK_END, GRAFT_LINKS
} graft_link_code;

/// One link of a chain.
typedef struct {
  int16_t code;
  int16_t operand[2];  // operands of the chain, temporaries, the reduction that is fed, or the mask of dropout
  int16_t place[2];    // of a selection's choices
  int16_t width;       // of rotate-half
} graft_chain_link;

/// Memory that a chain reads or writes.
typedef struct {
  int32_t source;  // a binding, or one of the two below
  int32_t index;   // the slot, or the column sum
  int32_t form;
} graft_chain_operand;
enum { GRAFT_SLOT = -1, GRAFT_COLUMN_SUMS = -2 };

/// Pointwise work on full tiles, strip by strip, with values kept in registers from link to link.
///
/// The row reductions follow the operands: the operation as `source`, the slot of the result as `index`.
typedef struct {
  int32_t first_link, first_operand, operand_count, reduction_count;
} graft_tile_chain;
enum {
  GRAFT_CHAIN_OPERANDS = 48, GRAFT_CHAIN_TEMPORARIES = 24, GRAFT_CHAIN_REDUCTIONS = 4, GRAFT_STRIP = 64
};

/// What dropout multiplies with: 0 where the element's random word is below the threshold, else the scale.
///
/// The words are those of RandomStream.swift.
typedef struct {
  uint32_t key[2];
  uint32_t stream;  // the low half
  uint32_t threshold;
  float scale;
} graft_dropout_mask;

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
  const graft_tile_chain *chains;
  const graft_chain_link *links;
  const graft_chain_operand *operands;
  const graft_dropout_mask *masks;
  int64_t columns;
  int64_t slot_stride;
  uint64_t streamed;  // bindings, a bit each, that are written around the caches: nothing reads them soon
} graft_tile_program;

/// Runs the program over one tile: whole rows, or a part of one row.
///
/// `scratch` holds the slots, `sums` the running column sums, `columns` values each.
void graft_tile_run(
  int level, const graft_tile_program *program, void *const *memory, int64_t row, int64_t rows,
  int64_t column, int64_t columns, float *scratch, float *sums);

/// Tells the core that this is a waiting loop.
static inline void graft_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
