// Chains: pointwise work on full tiles with values kept in registers. Included once per instruction set.
//
// A chain walks each row in strips of 64 values, which stay in four registers from link to link; each link ends in a
// jump to the one that follows. A link that has an operand reads it where it lies, converting bf16 on the way, so that a
// chain touches memory once for each value read or written. The last strip of a row may be partial: its reads and
// writes go through a small buffer.

typedef struct {
  char *memory[GRAFT_CHAIN_OPERANDS];
  uint64_t streamed;  // operands whose stores go around the caches, a bit each
  int64_t valid;  // values of this strip
  int64_t row;    // the place of the row's first value among all values
  const graft_dropout_mask *masks;
  lanes temporary[GRAFT_CHAIN_TEMPORARIES][4];
  lanes reduction[GRAFT_CHAIN_REDUCTIONS][4];
  float room[3][GRAFT_STRIP];
} FN(strip);

// MARK: - Operands

static __attribute__((noinline)) const void *FN(part)(
  FN(strip) *c, int which, const void *p, int64_t size) {
  memset(c->room[which], 0, sizeof c->room[which]);
  memcpy(c->room[which], p, (size_t)(c->valid * size));
  return c->room[which];
}

INLINE const float *FN(f32_operand)(FN(strip) *c, int which, int operand, int64_t at) {
  const float *p = (const float *)c->memory[operand] + at;
  return __builtin_expect(c->valid < GRAFT_STRIP, 0) ? FN(part)(c, which, p, 4) : p;
}

INLINE const uint16_t *FN(bf16_operand)(FN(strip) *c, int which, int operand, int64_t at) {
  const uint16_t *p = (const uint16_t *)c->memory[operand] + at;
  return __builtin_expect(c->valid < GRAFT_STRIP, 0) ? FN(part)(c, which, p, 2) : p;
}

static __attribute__((noinline)) void FN(choices)(
  const graft_chain_link *s, FN(strip) *c, int64_t at) {
  for (int i = 0; i < 2; i++) {
    float *to = c->room[1 + i];
    const float *f32 = to;
    switch (s->place[i]) {
      case GRAFT_IN_F32: f32 = FN(f32_operand)(c, 0, s->operand[i], at); break;
      case GRAFT_IN_BF16: {
        const uint16_t *p = FN(bf16_operand)(c, 0, s->operand[i], at);
        for (int j = 0; j < GRAFT_STRIP; j += 16) FN(store)(to + j, FN(load_bf16)(p + j));
        continue;
      }
      case GRAFT_IN_ONE: {
        lanes x = FN(splat)(*(const float *)c->memory[s->operand[i]]);
        for (int j = 0; j < GRAFT_STRIP; j += 16) FN(store)(to + j, x);
        continue;
      }
      default: f32 = (const float *)c->temporary[s->operand[i]]; break;
    }
    memcpy(to, f32, GRAFT_STRIP * 4);
  }
}

// Reads a row at the rotated places. A strip is whole groups, or half a group spans whole registers.
static __attribute__((noinline)) void FN(rotated)(
  const graft_chain_link *s, FN(strip) *c, int64_t at, int is_bf16) {
  const char *row = c->memory[s->operand[0]];
  int64_t width = s->width, half = width / 2;
  for (int64_t i = 0; i < c->valid; i++) {
    int64_t place = (at + i) % width;
    int64_t from = at + i + (place < half ? half : -half);
    float x = is_bf16 ? FN(from_bf16)(((const uint16_t *)row)[from]) : ((const float *)row)[from];
    c->room[0][i] = place < half ? -x : x;
  }
}

// What a partial strip doesn't have counts as `nothing`.
INLINE lanes FN(counted)(const FN(strip) *c, lanes x, int j, float nothing) {
  for (int l = 0; l < 16; l++) x[l] = 16 * j + l < c->valid ? x[l] : nothing;
  return x;
}

// MARK: - From row to row

// How an operand moves from row to row: it repeats each row `divisor` times and starts anew after `modulus`.
typedef struct {
  int64_t operand, stride, divisor, modulus, repeat, place;
} FN(pace);

// The operands that move: first those that take a stride at every row, then the others.
typedef struct {
  int64_t row_length, plain_count, count;
  FN(pace) pace[GRAFT_CHAIN_OPERANDS];
} FN(walk);

INLINE void FN(advance)(FN(strip) *c, FN(walk) *walk) {
  int64_t k = 0;
  c->row += walk->row_length;
  for (; k < walk->plain_count; k++) c->memory[walk->pace[k].operand] += walk->pace[k].stride;
  for (; k < walk->count; k++) {
    FN(pace) *p = &walk->pace[k];
    if (++p->repeat < p->divisor) continue;
    p->repeat = 0;
    c->memory[p->operand] += p->stride;
    if (++p->place == p->modulus) {
      p->place = 0;
      c->memory[p->operand] -= p->modulus * p->stride;
    }
  }
}

// MARK: - Links

// `x` is each of the four registers in turn, `j` its number.
#define EACH(...)                                          \
  { enum { j = 0 }; lanes x = a0; __VA_ARGS__; a0 = x; }   \
  { enum { j = 1 }; lanes x = a1; __VA_ARGS__; a1 = x; }   \
  { enum { j = 2 }; lanes x = a2; __VA_ARGS__; a2 = x; }   \
  { enum { j = 3 }; lanes x = a3; __VA_ARGS__; a3 = x; }
#define NEXT s++; goto *links[s->code]
#define IS_PART __builtin_expect(c->valid < GRAFT_STRIP, 0)
#define TRUTH(condition) ((lanes)((condition) & (int_lanes)FN(splat)(1.0f)))

// One link for each place of the operand `b`.
#define LINK_WITH_OPERAND(name, expression)                                              \
  name##_f32 : {                                                                         \
    const float *p = FN(f32_operand)(c, 0, s->operand[0], at);                           \
    EACH(lanes b = FN(load)(p + 16 * j); x = expression)                                 \
    NEXT;                                                                                \
  }                                                                                      \
  name##_bf16 : {                                                                        \
    const uint16_t *p = FN(bf16_operand)(c, 0, s->operand[0], at);                       \
    EACH(lanes b = FN(load_bf16)(p + 16 * j); x = expression)                            \
    NEXT;                                                                                \
  }                                                                                      \
  name##_one : {                                                                         \
    lanes b = FN(splat)(*(const float *)c->memory[s->operand[0]]);                       \
    EACH(x = expression)                                                                 \
    NEXT;                                                                                \
  }                                                                                      \
  name##_temporary : {                                                                   \
    const lanes *p = c->temporary[s->operand[0]];                                        \
    EACH(lanes b = p[j]; x = expression)                                                 \
    NEXT;                                                                                \
  }

#define LINK(name, expression) name : { EACH(x = expression) NEXT; }

// The rarer functions run as loops over the strip.
#define LINK_LOOP(name)                                     \
  name : {                                                  \
    EACH(FN(store)(c->room[0] + 16 * j, x))                 \
    FN(loop_##name)(c->room[0], c->room[0], GRAFT_STRIP);   \
    EACH(x = FN(load)(c->room[0] + 16 * j))                 \
    NEXT;                                                   \
  }

#define LINK_ROTATED(name, type, is_bf16, fetch)                                         \
  name : {                                                                               \
    int64_t half = s->width / 2;                                                         \
    const type *p = (const type *)c->memory[s->operand[0]] + at;                         \
    if (IS_PART || (half != GRAFT_STRIP / 2 && half % GRAFT_STRIP != 0)) {               \
      FN(rotated)(s, c, at, is_bf16);                                                    \
      EACH(x = FN(load)(c->room[0] + 16 * j))                                            \
    } else if (half == GRAFT_STRIP / 2) {                                                \
      a0 = -FN(fetch)(p + 32);                                                           \
      a1 = -FN(fetch)(p + 48);                                                           \
      a2 = FN(fetch)(p);                                                                 \
      a3 = FN(fetch)(p + 16);                                                            \
    } else {                                                                             \
      int is_first = at % s->width < half;                                               \
      p += is_first ? half : -half;                                                      \
      int_lanes sign = (int_lanes){} + (is_first ? INT32_MIN : 0);                       \
      EACH(x = (lanes)((int_lanes)FN(fetch)(p + 16 * j) ^ sign))                         \
    }                                                                                    \
    NEXT;                                                                                \
  }

// Whether a strip at `p` goes around the caches: such stores take whole lines.
#define IS_STREAMED(p) \
  (c->streamed >> s->operand[0] & 1 && (uintptr_t)(p) % sizeof(lanes) == 0)

#define LINK_STORE_BF16(name, pack)                                         \
  name : {                                                                  \
    uint16_t *p = (uint16_t *)c->memory[s->operand[0]] + at;                \
    bf16_lanes low = FN(pack)(a0, a1), high = FN(pack)(a2, a3);             \
    if (IS_PART) {                                                          \
      uint16_t *to = (uint16_t *)(void *)c->room[0];                        \
      *(bf16_lanes *)to = low;                                              \
      *(bf16_lanes *)(to + 32) = high;                                      \
      memcpy(p, to, (size_t)c->valid * 2);                                  \
    } else if (IS_STREAMED(p)) {                                            \
      __builtin_nontemporal_store(low, (aligned_bf16_lanes *)p);            \
      __builtin_nontemporal_store(high, (aligned_bf16_lanes *)(p + 32));    \
    } else {                                                                \
      *(bf16_lanes *)p = low;                                               \
      *(bf16_lanes *)(p + 32) = high;                                       \
    }                                                                       \
    NEXT;                                                                   \
  }

#define PLACES(NAME, name)                                               \
  [GRAFT_LINK_##NAME * GRAFT_PLACES + GRAFT_IN_F32] = &&name##_f32,      \
  [GRAFT_LINK_##NAME * GRAFT_PLACES + GRAFT_IN_BF16] = &&name##_bf16,    \
  [GRAFT_LINK_##NAME * GRAFT_PLACES + GRAFT_IN_ONE] = &&name##_one,      \
  [GRAFT_LINK_##NAME * GRAFT_PLACES + GRAFT_IN_TEMPORARY] = &&name##_temporary

// Takes rows through the links, strip by strip.
static void FN(run_links)(
  const graft_chain_link *first, FN(strip) *c, FN(walk) *walk, int64_t rows, int64_t columns) {
  static const void *const links[GRAFT_LINKS] = {
    PLACES(LOAD, load), PLACES(ADD, add), PLACES(SUBTRACT, subtract), PLACES(MULTIPLY, multiply),
    PLACES(DIVIDE, divide), PLACES(MAXIMUM, maximum), PLACES(MINIMUM, minimum), PLACES(LESS, less),
    PLACES(SUBTRACT_FROM, subtract_from), PLACES(DIVIDE_INTO, divide_into),
    PLACES(MAXIMUM_WITH, maximum_with), PLACES(MINIMUM_WITH, minimum_with), PLACES(GREATER, greater),
    PLACES(EQUAL, equal),
    [GRAFT_LINK_NEGATE] = &&negate, [GRAFT_LINK_EXP] = &&exp, [GRAFT_LINK_LOG] = &&log,
    [GRAFT_LINK_SQUARE_ROOT] = &&square_root,
    [GRAFT_LINK_RECIPROCAL_SQUARE_ROOT] = &&reciprocal_square_root,
    [GRAFT_LINK_RECIPROCAL] = &&reciprocal, [GRAFT_LINK_TANH] = &&tanh,
    [GRAFT_LINK_SIGMOID] = &&sigmoid, [GRAFT_LINK_ERF] = &&erf, [GRAFT_LINK_ABSOLUTE] = &&absolute,
    [GRAFT_LINK_SQUARE] = &&square, [GRAFT_LINK_SINE] = &&sine, [GRAFT_LINK_COSINE] = &&cosine,
    [GRAFT_LINK_ROUND_BF16] = &&round_bf16, [GRAFT_LINK_ROUND_F16] = &&round_f16,
    [GRAFT_LINK_SELECT] = &&select, [GRAFT_LINK_DROPOUT_MASK] = &&dropout_mask,
    [GRAFT_LINK_ROTATED_F32] = &&rotated_f32, [GRAFT_LINK_ROTATED_BF16] = &&rotated_bf16, [GRAFT_LINK_SAVE] = &&save,
    [GRAFT_LINK_STORE_F32] = &&store_f32, [GRAFT_LINK_STORE_BF16] = &&store_as_bf16,
    [GRAFT_LINK_STORE_ROUNDED_BF16] = &&store_bf16, [GRAFT_LINK_STORE_F16] = &&store_f16,
    [GRAFT_LINK_COLUMN_SUM] = &&column_sum, [GRAFT_LINK_ROW_SUM] = &&row_sum,
    [GRAFT_LINK_ROW_MAXIMUM] = &&row_maximum,
    [GRAFT_LINK_END] = &&end,
  };
  lanes a0 = {}, a1 = {}, a2 = {}, a3 = {};
  const graft_chain_link *s = first;
  int64_t at = 0;
  c->valid = columns < GRAFT_STRIP ? columns : GRAFT_STRIP;
  goto *links[s->code];

  LINK_WITH_OPERAND(load, b)
  LINK_WITH_OPERAND(add, x + b)
  LINK_WITH_OPERAND(subtract, x - b)
  LINK_WITH_OPERAND(multiply, x *b)
  LINK_WITH_OPERAND(divide, x / b)
  LINK_WITH_OPERAND(maximum, FN(choose)((x > b) | (x != x), x, b))
  LINK_WITH_OPERAND(minimum, FN(choose)((x < b) | (x != x), x, b))
  LINK_WITH_OPERAND(less, TRUTH(x < b))
  LINK_WITH_OPERAND(subtract_from, b - x)
  LINK_WITH_OPERAND(divide_into, b / x)
  LINK_WITH_OPERAND(maximum_with, FN(choose)((b > x) | (b != b), b, x))
  LINK_WITH_OPERAND(minimum_with, FN(choose)((b < x) | (b != b), b, x))
  LINK_WITH_OPERAND(greater, TRUTH(b < x))
  LINK_WITH_OPERAND(equal, TRUTH(x == b))

  LINK(negate, -x)
  LINK(exp, FN(exp_lanes)(x))
  LINK(square_root, FN(square_root_lanes)(x))
  LINK(reciprocal_square_root, 1.0f / FN(square_root_lanes)(x))
  LINK(reciprocal, 1.0f / x)
  LINK(sigmoid, FN(sigmoid_lanes)(x))
  LINK(absolute, (lanes)((int_lanes)x & 0x7fffffff))
  LINK(square, x *x)
  LINK(round_bf16, FN(round_bf16_lanes)(x))
  LINK_LOOP(log)
  LINK_LOOP(tanh)
  LINK_LOOP(erf)
  LINK_LOOP(sine)
  LINK_LOOP(cosine)
  LINK_LOOP(round_f16)

select : {
  FN(choices)(s, c, at);
  EACH(x = FN(choose)(x != 0.0f, FN(load)(c->room[1] + 16 * j), FN(load)(c->room[2] + 16 * j)))
  NEXT;
}
dropout_mask : {
  uint64_t batch;
  memcpy(&batch, c->memory[s->operand[0]], sizeof batch);
  FN(dropout_mask)(&c->masks[s->operand[1]], batch, (uint64_t)(c->row + at), c->room[0]);
  EACH(x = FN(load)(c->room[0] + 16 * j))
  NEXT;
}
  LINK_ROTATED(rotated_f32, float, 0, load)
  LINK_ROTATED(rotated_bf16, uint16_t, 1, load_bf16)

save : {
  lanes *p = c->temporary[s->operand[0]];
  EACH(p[j] = x)
  NEXT;
}
store_f32 : {
  float *p = (float *)c->memory[s->operand[0]] + at;
  if (IS_PART) {
    EACH(FN(store)(c->room[0] + 16 * j, x))
    memcpy(p, c->room[0], (size_t)c->valid * 4);
  } else if (IS_STREAMED(p)) {
    EACH(__builtin_nontemporal_store(x, (lanes *)(void *)(p + 16 * j)))
  } else {
    EACH(FN(store)(p + 16 * j, x))
  }
  NEXT;
}
  LINK_STORE_BF16(store_as_bf16, pack_as_bf16)
  LINK_STORE_BF16(store_bf16, pack_bf16)
store_f16 : {
  EACH(FN(store)(c->room[0] + 16 * j, x))
  FN(f32_f16)(c->room[0], (uint16_t *)c->memory[s->operand[0]] + at, c->valid);
  NEXT;
}
column_sum : {
  float *p = (float *)c->memory[s->operand[0]] + at;
  if (IS_PART) {
    EACH(FN(store)(c->room[0] + 16 * j, x))
    FN(loop_add)(p, p, 1, c->room[0], 1, c->valid);
  } else {
    EACH(FN(store)(p + 16 * j, FN(load)(p + 16 * j) + x))
  }
  NEXT;
}
row_sum : {
  lanes *sum = c->reduction[s->operand[0]];
  if (IS_PART) {
    EACH(sum[j] += FN(counted)(c, x, j, 0))
  } else {
    EACH(sum[j] += x)
  }
  NEXT;
}
row_maximum : {
  lanes *best = c->reduction[s->operand[0]];
  if (IS_PART) { EACH(x = FN(counted)(c, x, j, -__builtin_inff())) }
  EACH(best[j] = FN(choose)((best[j] > x) | (best[j] != best[j]), best[j], x))
  NEXT;
}
end:
  at += GRAFT_STRIP;
  if (at >= columns) {
    if (--rows == 0) return;
    FN(advance)(c, walk);
    at = 0;
  }
  c->valid = columns - at < GRAFT_STRIP ? columns - at : GRAFT_STRIP;
  s = first;
  goto *links[s->code];
}

#undef EACH
#undef NEXT

// MARK: - Walking the tile

INLINE void FN(add_pace)(FN(walk) *walk, FN(pace) pace) {
  if (pace.stride == 0) return;
  int64_t at = walk->count++;
  if (pace.divisor == 1 && pace.modulus == INT64_MAX) {
    int64_t first = walk->plain_count++;
    walk->pace[at] = walk->pace[first];
    at = first;
  }
  walk->pace[at] = pace;
}

static float FN(reduced)(const lanes r[4], int is_maximum) {
  if (!is_maximum) return FN(add_lanes)((r[0] + r[2]) + (r[1] + r[3]));
  float best = r[0][0];
  for (int j = 0; j < 4; j++)
    for (int l = 0; l < 16; l++) best = best > r[j][l] || best != best ? best : r[j][l];
  return best;
}

static void FN(chain)(
  const graft_tile_program *p, const graft_tile_chain *chain, void *const *memory, int64_t row,
  int64_t rows, int64_t column, int64_t columns, float *scratch, float *sums) {
  FN(strip) c;
  c.masks = p->masks;
  c.streamed = 0;
  FN(walk) walk;
  walk.row_length = p->columns;
  walk.plain_count = walk.count = 0;
  for (int64_t k = 0; k < chain->operand_count; k++) {
    const graft_chain_operand *o = &p->operands[chain->first_operand + k];
    FN(pace) pace = {k, 0, 1, INT64_MAX, 0, 0};
    if (o->source == GRAFT_SLOT) {
      c.memory[k] = (char *)(scratch + (int64_t)o->index * p->slot_stride);
      pace.stride = 4 * (o->form == GRAFT_FULL ? columns : o->form == GRAFT_PER_ROW);
    } else if (o->source == GRAFT_COLUMN_SUMS) {
      c.memory[k] = (char *)(sums + (int64_t)o->index * p->columns + column);
    } else {
      const graft_tile_binding *b = &p->bindings[o->source];
      if (o->source < 64) c.streamed |= (p->streamed >> o->source & 1) << k;
      int64_t size = FN(sizes)[b->dtype];
      int64_t length = b->is_one_wide ? 1 : p->columns;
      int64_t first = b->is_one_wide ? 0 : column;
      if (o->form & GRAFT_PER_ROW) {
        pace.stride = length * size;
        pace.divisor = b->row_divisor;
        pace.modulus = b->row_modulus;
        if (pace.divisor > 1) pace.repeat = row % pace.divisor;
        int64_t start = pace.divisor > 1 ? row / pace.divisor : row;
        if (start >= pace.modulus) start %= pace.modulus;
        pace.place = start;
        first += start * length;
      }
      c.memory[k] = (char *)memory[o->source] + first * size;
    }
    FN(add_pace)(&walk, pace);
  }
  const graft_chain_link *links = p->links + chain->first_link;
  const graft_chain_operand *reductions = p->operands + chain->first_operand + chain->operand_count;
  c.row = row * p->columns + column;
  if (chain->reduction_count == 0) {
    FN(run_links)(links, &c, &walk, rows, columns);
    return;
  }
  for (int64_t r = 0; r < rows; r++) {
    for (int i = 0; i < chain->reduction_count; i++)
      for (int j = 0; j < 4; j++) c.reduction[i][j] =
        FN(splat)(reductions[i].source == GRAFT_ROW_MAXIMUM ? -__builtin_inff() : 0.0f);
    FN(run_links)(links, &c, &walk, 1, columns);
    for (int i = 0; i < chain->reduction_count; i++)
      scratch[(int64_t)reductions[i].index * p->slot_stride + r] =
        FN(reduced)(c.reduction[i], reductions[i].source == GRAFT_ROW_MAXIMUM);
    FN(advance)(&c, &walk);
  }
}
