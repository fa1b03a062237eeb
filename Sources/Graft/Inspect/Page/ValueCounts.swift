internal import GraftCore

/// How often values of each size occur: counted once through, in memory that doesn't grow.
///
/// A value is counted under the upper half of its bits as f32 (sign, exponent, seven bits of the significand), which is exact for
/// bf16 and within 0.8 % for others; extremes and moments are exact.
struct ValueCounts {
  private(set) var count = 0
  private(set) var zeroCount = 0
  private(set) var nanCount = 0
  private(set) var infinityCount = 0
  private(set) var minimum = Double.infinity
  private(set) var maximum = -Double.infinity
  private var sum = 0.0
  private var squares = 0.0
  private var counts = [Int](repeating: 0, count: 1 << 16)

  /// Forgets everything.
  mutating func reset() {
    guard count > 0 else { return }
    for index in counts.indices { counts[index] = 0 }
    (count, zeroCount, nanCount, infinityCount) = (0, 0, 0, 0)
    (minimum, maximum) = (.infinity, -.infinity)
    (sum, squares) = (0, 0)
  }

  /// Counts f64 values.
  mutating func add(_ values: RawSpan) {
    // What f32 can't hold counts as its largest.
    let limit = Double(Float.greatestFiniteMagnitude)
    for offset in stride(from: 0, to: values.byteCount, by: 8) {
      // Safety: RawSpan checks the bounds, and every bit pattern is a number.
      let value = unsafe values.unsafeLoad(fromByteOffset: offset, as: Double.self)
      guard value.isFinite else {
        if value.isNaN { nanCount += 1 } else { infinityCount += 1 }
        continue
      }
      if value == 0 { zeroCount += 1 }
      minimum = min(minimum, value)
      maximum = max(maximum, value)
      sum += value
      squares += value * value
      counts[Int(Float(min(max(value, -limit), limit)).bitPattern >> 16)] += 1
    }
    count += values.byteCount / 8
  }

  /// Adds what another has counted.
  mutating func add(_ other: ValueCounts) {
    count += other.count
    zeroCount += other.zeroCount
    nanCount += other.nanCount
    infinityCount += other.infinityCount
    minimum = min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
    sum += other.sum
    squares += other.squares
    for index in counts.indices { counts[index] += other.counts[index] }
  }

  /// The finite values.
  private var finiteCount: Int { count - nanCount - infinityCount }

  /// The mean of the finite values.
  var mean: Double { finiteCount > 0 ? sum / Double(finiteCount) : 0 }

  /// The standard deviation of the finite values.
  var deviation: Double {
    finiteCount > 0 ? max(0, squares / Double(finiteCount) - mean * mean).squareRoot() : 0
  }

  // MARK: - Histogram

  /// The share of the values that may lie outside a histogram, on each side.
  private static let outsideShare = 0.0005

  /// The values as equally wide columns between the numbers that leave a thousandth of them outside.
  func histogram(columns: Int) -> Histogram {
    guard finiteCount > 0 else { return Histogram(range: 0...0, shares: []) }
    let order = Array(stride(from: 0xFFFF, through: 0x8000, by: -1)) + Array(0..<0x8000)
    let outside = Int(Double(finiteCount) * Self.outsideShare)
    var (low, high): (Double?, Double) = (nil, maximum)
    var seen = 0
    for pattern in order where counts[pattern] > 0 {
      seen += counts[pattern]
      if low == nil, seen > outside { low = Self.edges(of: pattern).lower }
      if seen >= finiteCount - outside {
        high = Self.edges(of: pattern).upper
        break
      }
    }
    let range = max(low ?? minimum, minimum)...max(min(high, maximum), max(low ?? minimum, minimum))
    let width = (range.upperBound - range.lowerBound) / Double(columns)
    guard width > 0 else { return Histogram(range: range, shares: [1]) }
    var shares = [Double](repeating: 0, count: columns)
    for pattern in order where counts[pattern] > 0 {
      let edges = Self.edges(of: pattern)
      spread(
        Double(counts[pattern]), from: (max(edges.lower, minimum) - range.lowerBound) / width,
        to: (min(edges.upper, maximum) - range.lowerBound) / width, over: &shares)
    }
    return Histogram(range: range, shares: shares.map { $0 / Double(finiteCount) })
  }

  /// Gives each column its part of values that lie anywhere between two places.
  private func spread(
    _ amount: Double, from start: Double, to end: Double, over columns: inout [Double]
  ) {
    guard end >= 0, start <= Double(columns.count) else { return }
    // The extremes themselves belong to the columns that end there.
    guard end > start else {
      if start >= 0 { columns[min(Int(start), columns.count - 1)] += amount }
      return
    }
    let first = max(0, Int(start.rounded(.down)))
    let last = min(columns.count - 1, Int(end.rounded(.up)) - 1)
    guard first <= last else { return }
    for column in first...last {
      let overlap = min(end, Double(column + 1)) - max(start, Double(column))
      columns[column] += amount * max(0, overlap) / (end - start)
    }
  }

  /// The values that a pattern stands for.
  private static func edges(of pattern: Int) -> (lower: Double, upper: Double) {
    let size = UInt32(pattern & 0x7FFF) << 16
    let inner = Double(Float(bitPattern: size))
    let outer =
      size + 0x1_0000 >= 0x7F80_0000
      ? Double(Float.greatestFiniteMagnitude) : Double(Float(bitPattern: size + 0x1_0000))
    return pattern >= 0x8000 ? (-outer, -inner) : (inner, outer)
  }
}

/// Shares of values in equally wide columns.
struct Histogram: Sendable {
  /// From the first column's beginning to the last one's end.
  let range: ClosedRange<Double>
  /// The share of all finite values in each column.
  let shares: [Double]
}
