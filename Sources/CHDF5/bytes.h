#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Loops over the bytes of chunks and of structure. Each is given how much it may touch; none keeps anything.

/// Moves byte `b` of element `e` to place `b * count + e`: HDF5's shuffle filter. The common sizes are spelled out,
/// for the compiler to make wide moves of them.
static inline void graft_shuffle(
    uint8_t *restrict target, const uint8_t *restrict source, size_t elementBytes, size_t count) {
  switch (elementBytes) {
    case 2:
      for (size_t e = 0; e < count; e++) {
        target[e] = source[2 * e];
        target[count + e] = source[2 * e + 1];
      }
      return;
    case 4:
      for (size_t e = 0; e < count; e++) {
        target[e] = source[4 * e];
        target[count + e] = source[4 * e + 1];
        target[2 * count + e] = source[4 * e + 2];
        target[3 * count + e] = source[4 * e + 3];
      }
      return;
    default:
      for (size_t b = 0; b < elementBytes; b++)
        for (size_t e = 0; e < count; e++) target[b * count + e] = source[e * elementBytes + b];
  }
}

/// Undoes `graft_shuffle`.
static inline void graft_unshuffle(
    uint8_t *restrict target, const uint8_t *restrict source, size_t elementBytes, size_t count) {
  switch (elementBytes) {
    case 2:
      for (size_t e = 0; e < count; e++) {
        target[2 * e] = source[e];
        target[2 * e + 1] = source[count + e];
      }
      return;
    case 4:
      for (size_t e = 0; e < count; e++) {
        target[4 * e] = source[e];
        target[4 * e + 1] = source[count + e];
        target[4 * e + 2] = source[2 * count + e];
        target[4 * e + 3] = source[3 * count + e];
      }
      return;
    default:
      for (size_t b = 0; b < elementBytes; b++)
        for (size_t e = 0; e < count; e++) target[e * elementBytes + b] = source[b * count + e];
  }
}

/// Fletcher's checksum over big-endian 16-bit words, an odd last byte counting as the upper half of one.
static inline uint32_t graft_fletcher32(const uint8_t *bytes, size_t count) {
  uint32_t low = 0, high = 0;
  size_t words = count / 2;
  while (words > 0) {
    // So many words can't overflow before they are folded.
    size_t block = words < 360 ? words : 360;
    words -= block;
    for (; block > 0; block--, bytes += 2) {
      low += (uint32_t)bytes[0] << 8 | bytes[1];
      high += low;
    }
    low = (low & 0xFFFF) + (low >> 16);
    high = (high & 0xFFFF) + (high >> 16);
  }
  if (count % 2) {
    low += (uint32_t)bytes[0] << 8;
    high += low;
    low = (low & 0xFFFF) + (low >> 16);
    high = (high & 0xFFFF) + (high >> 16);
  }
  low = (low & 0xFFFF) + (low >> 16);
  high = (high & 0xFFFF) + (high >> 16);
  return high << 16 | low;
}

static inline uint32_t graft_rotate(uint32_t value, int bits) {
  return value << bits | value >> (32 - bits);
}

static inline uint32_t graft_word(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16
         | (uint32_t)bytes[3] << 24;
}

/// Bob Jenkins's lookup3 with a start of 0: the checksum of HDF5's structure.
static inline uint32_t graft_lookup3(const uint8_t *bytes, size_t count) {
  uint32_t a = 0xDEADBEEF + (uint32_t)count, b = a, c = a;
  if (count == 0) return c;
  for (; count > 12; bytes += 12, count -= 12) {
    a += graft_word(bytes), b += graft_word(bytes + 4), c += graft_word(bytes + 8);
    a -= c, a ^= graft_rotate(c, 4), c += b;
    b -= a, b ^= graft_rotate(a, 6), a += c;
    c -= b, c ^= graft_rotate(b, 8), b += a;
    a -= c, a ^= graft_rotate(c, 16), c += b;
    b -= a, b ^= graft_rotate(a, 19), a += c;
    c -= b, c ^= graft_rotate(b, 4), b += a;
  }
  uint8_t last[12] = {0};
  memcpy(last, bytes, count);
  a += graft_word(last), b += graft_word(last + 4), c += graft_word(last + 8);
  c ^= b, c -= graft_rotate(b, 14);
  a ^= c, a -= graft_rotate(c, 11);
  b ^= a, b -= graft_rotate(a, 25);
  c ^= b, c -= graft_rotate(b, 16);
  a ^= c, a -= graft_rotate(c, 4);
  b ^= a, b -= graft_rotate(a, 14);
  c ^= b, c -= graft_rotate(b, 24);
  return c;
}
