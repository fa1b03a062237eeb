internal import GraftCore

/// The hash SHA-256 of bytes that come in pieces.
///
/// The specification is FIPS 180-4. One check needs it; a package for it brings hundreds of files of C to compile.
package struct SHA256: Sendable {
  private var state: SIMD8<UInt32> = [
    0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB,
    0x5BE0_CD19,
  ]
  /// The bytes after the last whole block.
  private var tail: [UInt8] = []
  private var byteCount: UInt64 = 0

  private static let block = 64

  /// The hash of no bytes yet.
  package init() { tail.reserveCapacity(2 * Self.block) }

  /// Adds bytes.
  package mutating func combine(_ bytes: RawSpan) {
    byteCount += UInt64(bytes.byteCount)
    var start = 0
    if !tail.isEmpty {
      start = min(Self.block - tail.count, bytes.byteCount)
      append(bytes, 0..<start)
      guard tail.count == Self.block else { return }
      let whole = tail
      whole.withRawBytes { _ = consume($0, from: 0) }
      tail.removeAll(keepingCapacity: true)
    }
    let rest = consume(bytes, from: start)
    append(bytes, rest..<bytes.byteCount)
  }

  /// The hash of all bytes so far as 64 hexadecimal digits.
  package var text: String {
    var last = self
    last.tail.append(0x80)
    let padded = (last.tail.count + 8 + Self.block - 1) / Self.block * Self.block
    last.tail += [UInt8](repeating: 0, count: padded - 8 - last.tail.count)
    let bits = byteCount &* 8
    for shift in stride(from: 56, through: 0, by: -8) {
      last.tail.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
    }
    let blocks = last.tail
    blocks.withRawBytes { _ = last.consume($0, from: 0) }
    return (0..<8).map { word in
      let digits = String(last.state[word], radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private mutating func append(_ bytes: RawSpan, _ range: Range<Int>) {
    for place in range {
      // Safety: RawSpan checks the bounds, and every bit pattern is a byte.
      tail.append(unsafe bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self))
    }
  }

  // MARK: - Blocks

  /// Takes the whole blocks from `start` on, and gives the place behind them.
  @discardableResult
  private mutating func consume(_ bytes: RawSpan, from start: Int) -> Int {
    var words = [UInt32](repeating: 0, count: 64)
    var schedule = words.mutableSpan
    let constants = Self.constants.span
    var place = start
    while place + Self.block <= bytes.byteCount {
      for index in 0..<16 {
        // Safety: RawSpan checks the bounds, and every bit pattern is a number.
        schedule[index] = UInt32(
          bigEndian: unsafe bytes.unsafeLoadUnaligned(
            fromByteOffset: place + 4 * index, as: UInt32.self))
      }
      for index in 16..<64 {
        let (early, late) = (schedule[index - 15], schedule[index - 2])
        schedule[index] =
          schedule[index - 16] &+ schedule[index - 7]
          &+ (Self.turned(early, 7) ^ Self.turned(early, 18) ^ early >> 3)
          &+ (Self.turned(late, 17) ^ Self.turned(late, 19) ^ late >> 10)
      }
      compress(schedule.span, constants)
      place += Self.block
    }
    return place
  }

  private mutating func compress(_ schedule: Span<UInt32>, _ constants: Span<UInt32>) {
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let first =
        h &+ (Self.turned(e, 6) ^ Self.turned(e, 11) ^ Self.turned(e, 25))
        &+ ((e & f) ^ (~e & g)) &+ constants[index] &+ schedule[index]
      let second =
        (Self.turned(a, 2) ^ Self.turned(a, 13) ^ Self.turned(a, 22))
        &+ ((a & b) ^ (a & c) ^ (b & c))
      (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
    }
    state = state &+ [a, b, c, d, e, f, g, h]
  }

  private static func turned(_ word: UInt32, _ bits: UInt32) -> UInt32 {
    word &>> bits | word &<< (32 - bits)
  }

  /// The fractions of the cube roots of the first 64 primes.
  private static let constants: [UInt32] = [
    0x428A_2F98, 0x7137_4491, 0xB5C0_FBCF, 0xE9B5_DBA5, 0x3956_C25B, 0x59F1_11F1, 0x923F_82A4,
    0xAB1C_5ED5, 0xD807_AA98, 0x1283_5B01, 0x2431_85BE, 0x550C_7DC3, 0x72BE_5D74, 0x80DE_B1FE,
    0x9BDC_06A7, 0xC19B_F174, 0xE49B_69C1, 0xEFBE_4786, 0x0FC1_9DC6, 0x240C_A1CC, 0x2DE9_2C6F,
    0x4A74_84AA, 0x5CB0_A9DC, 0x76F9_88DA, 0x983E_5152, 0xA831_C66D, 0xB003_27C8, 0xBF59_7FC7,
    0xC6E0_0BF3, 0xD5A7_9147, 0x06CA_6351, 0x1429_2967, 0x27B7_0A85, 0x2E1B_2138, 0x4D2C_6DFC,
    0x5338_0D13, 0x650A_7354, 0x766A_0ABB, 0x81C2_C92E, 0x9272_2C85, 0xA2BF_E8A1, 0xA81A_664B,
    0xC24B_8B70, 0xC76C_51A3, 0xD192_E819, 0xD699_0624, 0xF40E_3585, 0x106A_A070, 0x19A4_C116,
    0x1E37_6C08, 0x2748_774C, 0x34B0_BCB5, 0x391C_0CB3, 0x4ED8_AA4A, 0x5B9C_CA4F, 0x682E_6FF3,
    0x748F_82EE, 0x78A5_636F, 0x84C8_7814, 0x8CC7_0208, 0x90BE_FFFA, 0xA450_6CEB, 0xBEF9_A3F7,
    0xC671_78F2,
  ]
}
