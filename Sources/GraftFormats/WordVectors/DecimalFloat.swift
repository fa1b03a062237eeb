/// Reads decimal numbers as single-precision floats, correctly rounded.
///
/// Fast path (Clinger): up to 2⁵³ times a power of ten up to 10²² is one correctly rounded double operation. Rounding that double
/// to a float is correct too, unless the double is the midpoint of two floats or the float is subnormal; these and longer numbers take the
/// slow path through the standard library.
package enum DecimalFloat {
  private static let powers: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
  ]

  /// The float spelled by a range of bytes; nil unless it is a finite decimal number and nothing else.
  package static func parse(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Float? {
    guard let spelling = Spelling(bytes, range) else { return nil }
    if let value = fast(spelling) { return value }
    var text: [UInt8] = []
    text.reserveCapacity(range.count)
    for index in range { text.append(bytes[index]) }
    let value = Float(String(decoding: text, as: UTF8.self))
    return value?.isFinite == true ? value : nil
  }

  /// The value where the fast path is exact.
  private static func fast(_ spelling: Spelling) -> Float? {
    guard spelling.significand <= 1 << 53, spelling.digits <= 19,
      spelling.exponent.magnitude <= 22
    else { return nil }
    let significand = Double(spelling.significand)
    let magnitude =
      spelling.exponent < 0
      ? significand / powers[-spelling.exponent] : significand * powers[spelling.exponent]
    let isMidpoint = magnitude.bitPattern & 0x1FFF_FFFF == 0x1000_0000
    let isSubnormal = magnitude < Double(Float.leastNormalMagnitude) && magnitude != 0
    guard !isMidpoint, !isSubnormal else { return nil }
    let value = Float(magnitude)
    guard value.isFinite else { return nil }
    return spelling.isNegative ? -value : value
  }

  /// A decimal number taken apart.
  private struct Spelling {
    var isNegative = false
    /// The digits as an integer, wrong beyond 19 of them.
    var significand: UInt64 = 0
    /// Digits from the first that isn't zero on.
    var digits = 0
    var exponent = 0

    init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
      var index = range.lowerBound
      let end = range.upperBound
      guard index < end else { return nil }
      if bytes[index] == 0x2D || bytes[index] == 0x2B {
        isNegative = bytes[index] == 0x2D
        index += 1
      }
      var hasDigits = false
      var isFraction = false
      while index < end {
        let byte = bytes[index]
        if byte >= 0x30, byte <= 0x39 {
          hasDigits = true
          significand = significand &* 10 &+ UInt64(byte - 0x30)
          if digits > 0 || byte != 0x30 { digits += 1 }
          if isFraction { exponent -= 1 }
        } else if byte == 0x2E, !isFraction {
          isFraction = true
        } else {
          break
        }
        index += 1
      }
      guard hasDigits else { return nil }
      guard index < end else { return }
      guard bytes[index] | 0x20 == 0x65, let power = Spelling.power(bytes, index + 1..<end) else {
        return nil
      }
      exponent += power
    }

    /// The digits after an `e`, held at a million, where every value is zero or infinite.
    private static func power(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
      var index = range.lowerBound
      guard index < range.upperBound else { return nil }
      let isNegative = bytes[index] == 0x2D
      if isNegative || bytes[index] == 0x2B { index += 1 }
      guard index < range.upperBound else { return nil }
      var value = 0
      while index < range.upperBound {
        guard bytes[index] >= 0x30, bytes[index] <= 0x39 else { return nil }
        value = min(value * 10 + Int(bytes[index] - 0x30), 1_000_000)
        index += 1
      }
      return isNegative ? -value : value
    }
  }
}
