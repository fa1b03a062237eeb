/// A set of Unicode code points as sorted, disjoint, non-adjacent ranges.
struct ScalarSet: Equatable {
  static let limit: UInt32 = 0x110000

  /// The ranges: each begins at `bounds[2i]` and ends before `bounds[2i + 1]`.
  private(set) var bounds: [UInt32] = []

  init() {}

  init(_ range: Range<UInt32>) {
    if !range.isEmpty { bounds = [range.lowerBound, range.upperBound] }
  }

  init(_ scalar: Unicode.Scalar) { self.init(scalar.value..<scalar.value + 1) }

  init(_ range: ClosedRange<Unicode.Scalar>) {
    self.init(range.lowerBound.value..<range.upperBound.value + 1)
  }

  static let everything = ScalarSet(0..<limit)

  func contains(_ scalar: Unicode.Scalar) -> Bool {
    var low = 0
    var high = bounds.count
    while low < high {
      let middle = (low + high) / 2
      if bounds[middle] <= scalar.value { low = middle + 1 } else { high = middle }
    }
    return low & 1 == 1
  }

  /// Adds code points that follow all present ones, or touch the last.
  mutating func append(_ range: Range<UInt32>) {
    if bounds.last == range.lowerBound {
      bounds[bounds.count - 1] = range.upperBound
    } else {
      bounds += [range.lowerBound, range.upperBound]
    }
  }

  var inverted: ScalarSet {
    var result = ScalarSet()
    var edges = bounds
    if edges.first == 0 { edges.removeFirst() } else { edges.insert(0, at: 0) }
    if edges.last == Self.limit { edges.removeLast() } else { edges.append(Self.limit) }
    result.bounds = edges
    return result
  }

  func union(_ other: ScalarSet) -> ScalarSet { combined(other) { $0 || $1 } }
  func intersection(_ other: ScalarSet) -> ScalarSet { combined(other) { $0 && $1 } }

  private func combined(_ other: ScalarSet, _ keep: (Bool, Bool) -> Bool) -> ScalarSet {
    var result = ScalarSet()
    var (left, right) = (0, 0)
    var inside = false
    while left < bounds.count || right < other.bounds.count {
      let edge = min(
        left < bounds.count ? bounds[left] : .max,
        right < other.bounds.count ? other.bounds[right] : .max)
      if left < bounds.count, bounds[left] == edge { left += 1 }
      if right < other.bounds.count, other.bounds[right] == edge { right += 1 }
      let now = keep(left & 1 == 1, right & 1 == 1)
      if now != inside {
        result.bounds.append(edge)
        inside = now
      }
    }
    return result
  }
}
