extension DecimalFloat {
  /// Zeros, or other bytes that belong to no number, that must follow the bytes given to ``scan(_:from:into:)``.
  package static let scanPadding = 24

  /// Reads the number that begins at a byte, eight digits at a time, and returns the byte after it.
  ///
  /// Nil where ``parse(_:_:)`` has to decide: more than 18 digits, a power of ten beyond ±22, a value whose rounding isn't certain, and
  /// what is no number. Where there is a value, it is that of `parse`.
  ///
  /// The digits as a double, the power of ten and their product each add 2⁻⁵³ to the relative error at most: the double is within three units of its last
  /// place of the number. Rounding it to a float is rounding the number, unless a midpoint of two floats is as near; doubles within eight units of one
  /// are left to `parse`.
  /// - Parameters:
  ///   - bytes: The text, with ``scanPadding`` bytes behind it that belong to no number.
  ///   - value: The number.
  @inline(__always)
  package static func scan(_ bytes: Span<UInt8>, from start: Int, into value: inout Float) -> Int? {
    var index = start
    let sign = bytes[index]
    let isNegative = sign == 0x2D
    index &+= (isNegative ? 1 : 0) | (sign == 0x2B ? 1 : 0)
    let first = index
    var significand: UInt64 = 0
    var digit = bytes[index] &- 0x30
    while digit < 10 {
      significand = significand &* 10 &+ UInt64(digit)
      index &+= 1
      digit = bytes[index] &- 0x30
    }
    var digits = index &- first
    var exponent = 0
    if digit == 0xFE {
      index &+= 1
      let point = index
      var count = 8
      while count == 8, index &- point <= 16 {
        let block = Digits(bytes, at: index)
        count = block.count
        significand = significand &* wholePowers[count] &+ block.value
        index &+= count
      }
      exponent = point &- index
      digits &-= exponent
    }
    guard digits > 0, digits <= 18 else { return nil }
    if bytes[index] | 0x20 == 0x65 {
      guard let (power, end) = power(bytes, after: index) else { return nil }
      exponent &+= power
      index = end
    }
    guard exponent.magnitude <= 22 else { return nil }
    let whole = Double(Int64(truncatingIfNeeded: significand))
    let magnitude = whole * bothPowers[exponent &+ 22]
    let distance = (magnitude.bitPattern & 0x1FFF_FFFF) &- 0x0FFF_FFF8
    // What is above the greatest float by half a unit of its last place isn't finite.
    guard distance > 16, magnitude >= 0x1p-126 || significand == 0, magnitude < 0x1.ffffffp127
    else { return nil }
    let rounded = Float(magnitude)
    value = Float(bitPattern: rounded.bitPattern | (isNegative ? 0x8000_0000 : 0))
    return index
  }

  /// The number after an `e` at a byte, of one to four digits, and the byte after it.
  @inline(never)
  private static func power(_ bytes: Span<UInt8>, after e: Int) -> (power: Int, end: Int)? {
    var index = e + 1
    let isNegative = bytes[index] == 0x2D
    if isNegative || bytes[index] == 0x2B { index += 1 }
    let first = index
    var power = 0
    while bytes[index] &- 0x30 < 10, index - first < 5 {
      power = power * 10 + Int(bytes[index] - 0x30)
      index += 1
    }
    guard (1...4).contains(index - first) else { return nil }
    return (isNegative ? -power : power, index)
  }

  /// Up to eight digits that stand side by side.
  private struct Digits {
    /// How many there are.
    let count: Int
    private let packed: UInt64

    /// Looks at the eight bytes from `index` on.
    @inline(__always)
    init(_ bytes: Span<UInt8>, at index: Int) {
      // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
      let loaded = unsafe bytes.bytes.unsafeLoadUnaligned(
        fromByteOffset: index, as: UInt64.self)
      let values = UInt64(littleEndian: loaded) ^ 0x3030_3030_3030_3030
      // The lowest byte above 9 sets its high bit; what its carry does to bytes above doesn't matter.
      let others = ((values &+ 0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080
      count = others.trailingZeroBitCount >> 3
      // The digits go to the end, behind zeros.
      packed = values << UInt64(64 - 8 * count)
    }

    /// Their value: pairs, then fours, then eight at once.
    var value: UInt64 {
      @inline(__always) get {
        let pairs = packed &* 10 &+ packed >> 8
        let high = (pairs & 0x0000_00FF_0000_00FF) &* 0x000F_4240_0000_0064
        let low = (pairs >> 16 & 0x0000_00FF_0000_00FF) &* 0x0000_2710_0000_0001
        return (high &+ low) >> 32
      }
    }
  }

  /// 10⁻²² to 10²².
  private static let bothPowers: [Double] = [
    1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10,
    1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7,
    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
  ]

  private static let wholePowers: [UInt64] = [
    1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000,
  ]
}
