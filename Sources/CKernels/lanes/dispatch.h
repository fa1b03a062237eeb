// Calls the compilation of a body that fits the level.
#if defined(__x86_64__)
#define DISPATCH(name, ...)                                  \
  switch (level) {                                           \
    case GRAFT_AVX512_BF16: bf16_##name(__VA_ARGS__); break; \
    case GRAFT_AVX512: avx512_##name(__VA_ARGS__); break;    \
    case GRAFT_AVX2: avx2_##name(__VA_ARGS__); break;        \
    default: portable_##name(__VA_ARGS__); break;            \
  }
#else
#define DISPATCH(name, ...) portable_##name(__VA_ARGS__);
#endif
