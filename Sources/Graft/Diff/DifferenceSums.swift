internal import GraftCore

/// How two runs of values differ, as sums that can be added up.
///
/// Values that are NaN on both sides, or the same infinity, are equal; norms are those of finite values.
struct DifferenceSums: Sendable {
  /// Σ a².
  var leftSquared = 0.0
  /// Σ b².
  var rightSquared = 0.0
  /// Σ a · b.
  var product = 0.0
  /// Σ (a − b)².
  var errorSquared = 0.0
  /// The largest |a − b|.
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
    leftSquared += aa.sum()
    rightSquared += bb.sum()
    product += ab.sum()
    errorSquared += dd.sum()
    maximum = max(maximum, highest.max())
  }

  /// Counts and measures 64-bit integers anew, of which f64 doesn't tell all apart.
  mutating func recount<Integer: FixedWidthInteger & BitwiseCopyable>(
    _ left: RawSpan, _ right: RawSpan, as _: Integer.Type
  ) {
    differingCount = 0
    for offset in stride(from: 0, to: left.byteCount, by: MemoryLayout<Integer>.size) {
      let a = unsafe left.unsafeLoadUnaligned(fromByteOffset: offset, as: Integer.self)
      let b = unsafe right.unsafeLoadUnaligned(fromByteOffset: offset, as: Integer.self)
      guard a != b else { continue }
      differingCount += 1
      let size = UInt64(truncatingIfNeeded: max(a, b)) &- UInt64(truncatingIfNeeded: min(a, b))
      maximum = max(maximum, Double(size))
    }
  }

  private mutating func add(_ a: Double, _ b: Double) {
    guard a.isFinite, b.isFinite else {
      if a == b || (a.isNaN && b.isNaN) { return }
      differingCount += 1
      incomparableCount += 1
      return
    }
    let d = a - b
    leftSquared += a * a
    rightSquared += b * b
    product += a * b
    errorSquared += d * d
    maximum = max(maximum, abs(d))
    differingCount += d == 0 ? 0 : 1
  }
}
