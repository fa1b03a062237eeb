internal import GraftCore

/// How two runs of values differ, as sums that can be added up.
///
/// Values that are NaN on both sides, or the same infinity, are equal; norms are those of values that are finite on both sides.
struct DifferenceSums: Sendable {
  /// Σ a².
  var leftSquared = ScaledSum()
  /// Σ b².
  var rightSquared = ScaledSum()
  /// Σ a · b.
  var product = ScaledSum()
  /// Σ (a − b)²; infinite where a difference is.
  var errorSquared = ScaledSum()
  /// The largest |a − b| where none of the two is NaN.
  var maximum = 0.0
  /// Elements that aren't equal.
  var differingCount = 0
  /// Elements that are finite on one side only, or differ in being NaN or infinite.
  var incomparableCount = 0

  init() {}

  static func += (left: inout DifferenceSums, right: DifferenceSums) {
    left.leftSquared += right.leftSquared
    left.rightSquared += right.rightSquared
    left.product += right.product
    left.errorSquared += right.errorSquared
    left.maximum = max(left.maximum, right.maximum)
    left.differingCount += right.differingCount
    left.incomparableCount += right.incomparableCount
  }

  /// Compares f64 values.
  init(_ left: RawSpan, _ right: RawSpan) {
    typealias Lanes = SIMD8<Double>
    var (aa, bb, ab, dd) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
    var highest = Lanes.zero
    let count = left.byteCount / 8
    let whole = count & ~7
    for index in stride(from: 0, to: whole, by: 8) {
      let a = unsafe left.unsafeLoadUnaligned(fromByteOffset: index * 8, as: Lanes.self)
      let b = unsafe right.unsafeLoadUnaligned(fromByteOffset: index * 8, as: Lanes.self)
      let d = a - b
      // A sum of differences that is finite means that every value here is.
      if (d.sum() - d.sum()).isZero {
        aa += a * a
        bb += b * b
        ab += a * b
        dd += d * d
        let size = d.replacing(with: -d, where: d .< 0)
        highest = highest.replacing(with: size, where: size .> highest)
        if d != .zero {
          for lane in 0..<8 where d[lane] != 0 { differingCount += 1 }
        }
      } else {
        for lane in 0..<8 { add(a[lane], b[lane]) }
      }
    }
    for index in whole..<count {
      add(
        unsafe left.unsafeLoadUnaligned(fromByteOffset: index * 8, as: Double.self),
        unsafe right.unsafeLoadUnaligned(fromByteOffset: index * 8, as: Double.self))
    }
    leftSquared.value += aa.sum()
    rightSquared.value += bb.sum()
    product.value += ab.sum()
    errorSquared.value += dd.sum()
    maximum = max(maximum, highest.max())
    // Finite values whose difference is infinite have squares that are, too.
    let hasErrors = maximum == 0 || maximum == .infinity || errorSquared.isExact
    if !Self.isExact(leftSquared, of: left) || !Self.isExact(rightSquared, of: right) || !hasErrors
    {
      addScaled(left, right)
    }
  }

  /// Whether a sum of squares lost nothing; one of zeros has nothing to lose.
  private static func isExact(_ sum: ScaledSum, of values: RawSpan) -> Bool {
    if sum.isExact { return true }
    guard sum.value == 0 else { return false }
    for offset in stride(from: 0, to: values.byteCount, by: 8) {
      let value = unsafe values.unsafeLoadUnaligned(fromByteOffset: offset, as: Double.self)
      guard value == 0 else { return false }
    }
    return true
  }

  /// Adds up anew what f64 doesn't hold: squares of values that are too large, or too small, for theirs.
  private mutating func addScaled(_ left: RawSpan, _ right: RawSpan) {
    var (a, b, d) = (0.0, 0.0, 0.0)
    let hasInfinity = Self.visit(left, right) {
      (a, b, d) = (max(a, abs($0)), max(b, abs($1)), max(d, abs($0 - $1)))
    }
    // The power of two of the largest one brings all of them near 1 or below.
    let (aScale, bScale) = (a == 0 ? 0 : a.exponent, b == 0 ? 0 : b.exponent)
    // A difference may be too large itself.
    let dScale = d.isInfinite ? max(aScale, bScale) + 1 : d == 0 ? 0 : d.exponent
    leftSquared = ScaledSum(exponent: 2 * aScale)
    rightSquared = ScaledSum(exponent: 2 * bScale)
    product = ScaledSum(exponent: aScale + bScale)
    errorSquared = ScaledSum(exponent: 2 * dScale)
    _ = Self.visit(left, right) { one, other in
      let (a, b) = (one.scaled(by: -aScale), other.scaled(by: -bScale))
      let error =
        d.isInfinite
        ? one.scaled(by: -dScale) - other.scaled(by: -dScale) : (one - other).scaled(by: -dScale)
      leftSquared.value += a * a
      rightSquared.value += b * b
      product.value += a * b
      errorSquared.value += error * error
    }
    if hasInfinity { errorSquared = ScaledSum(value: .infinity) }
  }

  /// Visits the pairs of values that are finite; whether another one differs by infinity.
  private static func visit(
    _ left: RawSpan, _ right: RawSpan, _ body: (Double, Double) -> Void
  ) -> Bool {
    var hasInfinity = false
    for offset in stride(from: 0, to: left.byteCount, by: 8) {
      let a = unsafe left.unsafeLoadUnaligned(fromByteOffset: offset, as: Double.self)
      let b = unsafe right.unsafeLoadUnaligned(fromByteOffset: offset, as: Double.self)
      if a.isFinite, b.isFinite {
        body(a, b)
      } else if a != b, !a.isNaN, !b.isNaN {
        hasInfinity = true
      }
    }
    return hasInfinity
  }

  private mutating func add(_ a: Double, _ b: Double) {
    guard a.isFinite, b.isFinite else {
      if a == b || (a.isNaN && b.isNaN) { return }
      differingCount += 1
      incomparableCount += 1
      if !a.isNaN, !b.isNaN { (maximum, errorSquared.value) = (.infinity, .infinity) }
      return
    }
    let d = a - b
    leftSquared.value += a * a
    rightSquared.value += b * b
    product.value += a * b
    errorSquared.value += d * d
    maximum = max(maximum, abs(d))
    differingCount += d == 0 ? 0 : 1
  }
}
