package import GraftCore

/// What bits of a dtype are NaN or infinite: those that, flipped and masked, reach a limit.
struct NonFiniteTest<Bits: FixedWidthInteger & UnsignedInteger> {
  let flip: Bits
  let mask: Bits
  let limit: Bits
  /// The one masked value that is an infinity, where the dtype has them.
  let infinity: Bits?

  init(flip: Bits = 0, mask: Bits, limit: Bits, infinity: Bits? = nil) {
    self.flip = flip
    self.mask = mask
    self.limit = limit
    self.infinity = infinity
  }

  func classify(_ bits: Bits) -> (isNaN: Bool, isInfinite: Bool) {
    let value = (bits ^ flip) & mask
    let isInfinite = value == infinity
    return (value >= limit && !isInfinite, isInfinite)
  }
}

/// NaNs and infinities among a tensor's elements.
package struct NonFiniteCount: Equatable, Sendable {
  package var nanCount = 0
  package var infinityCount = 0
  /// The first such element.
  package var first: Int?

  package var isEmpty: Bool { first == nil }

  /// How many there are of both.
  package var count: Int { nanCount + infinityCount }

  package static func += (left: inout NonFiniteCount, right: NonFiniteCount) {
    left.nanCount += right.nanCount
    left.infinityCount += right.infinityCount
    left.first = [left.first, right.first].compactMap { $0 }.min()
  }

  /// Counts in stored bytes; elements are numbered from `start` on.
  package init(in bytes: RawSpan, of dtype: DType, from start: Int) {
    switch dtype {
    case .f16:
      scan(bytes, start, NonFiniteTest<UInt16>(mask: 0x7FFF, limit: 0x7C00, infinity: 0x7C00))
    case .bf16:
      scan(bytes, start, NonFiniteTest<UInt16>(mask: 0x7FFF, limit: 0x7F80, infinity: 0x7F80))
    case .f32, .c64:
      let limit: UInt32 = 0x7F80_0000
      let test = NonFiniteTest<UInt32>(mask: 0x7FFF_FFFF, limit: limit, infinity: limit)
      scan(bytes, start, test, isComplex: dtype == .c64)
    case .f64:
      let limit: UInt64 = 0x7FF0_0000_0000_0000
      scan(bytes, start, NonFiniteTest<UInt64>(mask: ~(1 << 63), limit: limit, infinity: limit))
    case .f8E5M2: scan(bytes, start, NonFiniteTest<UInt8>(mask: 0x7F, limit: 0x7C, infinity: 0x7C))
    case .f8E4M3: scan(bytes, start, NonFiniteTest<UInt8>(mask: 0x7F, limit: 0x7F))
    case .f8E8M0: scan(bytes, start, NonFiniteTest<UInt8>(mask: 0xFF, limit: 0xFF))
    case .f8E4M3FNUZ, .f8E5M2FNUZ:
      scan(bytes, start, NonFiniteTest<UInt8>(flip: 0x7F, mask: 0xFF, limit: 0xFF))
    case .bool, .f4, .f6E2M3, .f6E3M2, .u8, .i8, .i16, .u16, .i32, .u32, .i64, .u64, .q4_0, .q4_1,
      .q5_0, .q5_1, .q8_0, .q2K, .q3K, .q4K, .q5K, .q6K,
      .iq4NL, .iq4XS, .mxfp4, .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S, .tq1_0, .tq2_0,
      .nvfp4, .q1_0:
      break
    }
  }

  package init() {}

  /// Blocks first, several elements in a 64-bit word: only those with a hit are looked at one by one.
  ///
  /// A complex element is NaN where one of its halves is, otherwise infinite where one is.
  private mutating func scan<Bits: BitwiseCopyable>(
    _ bytes: RawSpan, _ start: Int, _ test: NonFiniteTest<Bits>, isComplex: Bool = false
  ) {
    let half = MemoryLayout<Bits>.size
    let size = isComplex ? 2 * half : half
    let block = 2048
    for from in stride(from: 0, to: bytes.byteCount, by: block) {
      let end = min(from + block, bytes.byteCount)
      if end - from == block, !test.mayHit(bytes.extracting(from..<end)) { continue }
      for at in stride(from: from, to: end, by: size) {
        let bits = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Bits.self)
        var (isNaN, isInfinite) = test.classify(bits)
        if isComplex {
          let imaginary = unsafe bytes.unsafeLoadUnaligned(
            fromByteOffset: at + half, as: Bits.self)
          let found = test.classify(imaginary)
          (isNaN, isInfinite) = (isNaN || found.isNaN, isInfinite || found.isInfinite)
        }
        guard isNaN || isInfinite else { continue }
        if isNaN { nanCount += 1 } else { infinityCount += 1 }
        if first == nil { first = start + at / size }
      }
    }
  }
}

extension NonFiniteTest {
  /// Whether some element of whole 64-byte runs may reach the limit.
  ///
  /// Where the mask leaves the sign out, adding what is missing from the limit to the sign bit carries into that bit.
  func mayHit(_ bytes: RawSpan) -> Bool {
    let sign = Bits(1) << (Bits.bitWidth - 1)
    guard mask & sign == 0, flip == 0 else { return true }
    let (mask, missing) = (Self.repeated(mask), Self.repeated(sign - limit))
    var carries = SIMD8<UInt64>.zero
    for at in stride(from: 0, to: bytes.byteCount, by: 64) {
      let words = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: SIMD8<UInt64>.self)
      carries |= (words & mask) &+ missing
    }
    return carries & Self.repeated(sign) != .zero
  }

  /// The element in every place of every word.
  private static func repeated(_ bits: Bits) -> SIMD8<UInt64> {
    let places = stride(from: 0, to: 64, by: Bits.bitWidth)
    return SIMD8(repeating: places.reduce(0) { $0 | UInt64(bits) << $1 })
  }
}
