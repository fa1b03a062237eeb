// The small conversions that quantizing and dequantizing share.
#pragma once
#include <stdint.h>
#include <string.h>

#define RUN static inline __attribute__((always_inline))

RUN float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

RUN uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

// f16 to f32: the exponent is rebased by a multiplication, which makes subnormals right as well.
RUN float half_of(uint16_t half) {
  uint32_t magnitude = (uint32_t)(half & 0x7FFF) << 13;
  uint32_t finite = bits_of(float_of(magnitude) * 0x1p112f);
  uint32_t bits = (half & 0x7C00) == 0x7C00 ? (magnitude | 0x7F800000) : finite;
  return float_of(bits | (uint32_t)(half & 0x8000) << 16);
}

// f32 to f16. Adding a power of two whose last place is the subnormal's rounds those; the others round by
// integer arithmetic on the bits.
RUN uint16_t f16_of(float value) {
  uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3F000000;
  uint32_t normal = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477FF000 ? 0x7C00 : half;
  half = magnitude > 0x7F800000 ? (0x7E00 | (magnitude >> 13 & 0x3FF)) : half;
  return (uint16_t)(half | sign);
}
