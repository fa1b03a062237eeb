internal import GraftCore

/// 64-bit integers, of which f64 doesn't tell all apart: their differences are computed as integers.
extension DifferenceSums {
  /// Whether ``recount(_:_:_:_:)`` measures values of two dtypes: beside a narrower one f64 tells everything.
  static func needRecount(_ left: DType, _ right: DType) -> Bool {
    [.i64, .u64].contains(left) && [.i64, .u64].contains(right)
  }

  /// Counts and measures the differences of stored values anew; norms and cosine stay those of f64.
  ///
  /// - Precondition: ``needRecount(_:_:)``.
  mutating func recount(
    _ left: RawSpan, _ leftType: DType, _ right: RawSpan, _ rightType: DType
  ) {
    switch (leftType == .i64, rightType == .i64) {
    case (true, true): recount(left, Int64.self, right, Int64.self)
    case (true, false): recount(left, Int64.self, right, UInt64.self)
    case (false, true): recount(left, UInt64.self, right, Int64.self)
    case (false, false): recount(left, UInt64.self, right, UInt64.self)
    }
  }

  private mutating func recount<
    Left: FixedWidthInteger & BitwiseCopyable, Right: FixedWidthInteger & BitwiseCopyable
  >(_ left: RawSpan, _: Left.Type, _ right: RawSpan, _: Right.Type) {
    (differingCount, maximum) = (0, 0)
    var sum = 0.0
    for offset in stride(from: 0, to: left.byteCount, by: 8) {
      let a = unsafe left.unsafeLoadUnaligned(fromByteOffset: offset, as: Left.self)
      let b = unsafe right.unsafeLoadUnaligned(fromByteOffset: offset, as: Right.self)
      let size = (Int128(a) - Int128(b)).magnitude
      guard size != 0 else { continue }
      differingCount += 1
      // Rounded once: only a signed and an unsigned integer are further apart than 64 bits say.
      let distance = UInt64(exactly: size).map { Double($0) } ?? Double(size)
      maximum = max(maximum, distance)
      sum += distance * distance
    }
    errorSquared = ScaledSum(value: sum)
  }
}
