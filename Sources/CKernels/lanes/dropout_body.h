// Masks of dropout from random words of Philox 4x32-10: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3".
// Included once per instruction set.
//
// Element i has word i % 4 of block i / 4, as RandomStream.swift counts; Philox turns a block's counter into its words.

#define PHILOX_A 0xd2511f53u
#define PHILOX_B 0xcd9e8d57u
#define PHILOX_KEY_A 0x9e3779b9u
#define PHILOX_KEY_B 0xbb67ae85u

static void FN(philox)(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)c0 * PHILOX_A, b = (uint64_t)c2 * PHILOX_B;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)b;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)a;
    k0 += PHILOX_KEY_A;
    k1 += PHILOX_KEY_B;
  }
  words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

INLINE long_lanes FN(splat_long)(uint64_t x) { return (long_lanes){} + x; }

// The words of 16 blocks whose counters count up from `counter`, in the order of the elements.
INLINE void FN(philox_lanes)(const uint32_t counter[4], const uint32_t key[2], word_lanes words[4]) {
  // A lane's low half is a word; multiplications ignore what is left in the high half. The blocks stand such that
  // exchanging lanes inside of pairs puts the words in order.
  const long_lanes places = {0, 4, 1, 5, 2, 6, 3, 7};
  long_lanes low = FN(splat_long)(UINT32_MAX);
  long_lanes c0[2], c1[2], c2[2], c3[2];
  for (int g = 0; g < 2; g++) {
    c0[g] = FN(splat_long)(counter[0] + 8 * (uint64_t)g) + places;
    c1[g] = FN(splat_long)(counter[1]);
    c2[g] = FN(splat_long)(counter[2]);
    c3[g] = FN(splat_long)(counter[3]);
  }
  long_lanes k0 = FN(splat_long)(key[0]), k1 = FN(splat_long)(key[1]);
  _Pragma("clang loop unroll(full)") for (int round = 0; round < 10; round++) {
    for (int g = 0; g < 2; g++) {
      long_lanes a = (c0[g] & low) * PHILOX_A, b = (c2[g] & low) * PHILOX_B;
      c0[g] = (b >> 32) ^ c1[g] ^ k0;
      c1[g] = b;
      c2[g] = (a >> 32) ^ c3[g] ^ k1;
      c3[g] = a;
    }
    k0 += PHILOX_KEY_A;
    k1 += PHILOX_KEY_B;
  }
  for (int g = 0; g < 2; g++) {
    long_lanes first = (c0[g] & low) | c1[g] << 32, second = (c2[g] & low) | c3[g] << 32;
    words[2 * g] = (word_lanes)__builtin_shufflevector(first, second, 0, 8, 2, 10, 4, 12, 6, 14);
    words[2 * g + 1] = (word_lanes)__builtin_shufflevector(first, second, 1, 9, 3, 11, 5, 13, 7, 15);
  }
}

// The mask of GRAFT_STRIP elements from `first` on, in a batch.
static __attribute__((noinline)) void FN(dropout_mask)(
  const graft_dropout_mask *m, uint64_t batch, uint64_t first, float *y) {
  uint64_t block = first / 4;
  uint32_t high = (uint32_t)(batch >> 32) * 0x10001u;
  uint32_t counter[4] = {
    (uint32_t)block, (uint32_t)(block >> 32) ^ high, (uint32_t)batch, m->stream};
  if (first % 4 == 0 && counter[0] <= UINT32_MAX - GRAFT_STRIP / 4) {
    word_lanes words[4], threshold = (word_lanes){} + m->threshold;
    FN(philox_lanes)(counter, m->key, words);
    int_lanes scale = (int_lanes)FN(splat)(m->scale);
    for (int j = 0; j < 4; j++)
      FN(store)(y + 16 * j, (lanes)((int_lanes)(words[j] >= threshold) & scale));
    return;
  }
  uint32_t words[4];
  for (uint64_t i = first; i < first + GRAFT_STRIP; i++) {
    if (i == first || i % 4 == 0) {
      counter[0] = (uint32_t)(i / 4);
      counter[1] = (uint32_t)(i / 4 >> 32) ^ high;
      FN(philox)(counter, m->key, words);
    }
    y[i - first] = words[i % 4] >= m->threshold ? m->scale : 0;
  }
}
