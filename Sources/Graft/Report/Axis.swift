internal import Foundation

/// A linear axis: a range of values with round numbers marked on it.
struct Axis {
  /// The smallest and the largest value shown.
  let range: ClosedRange<Double>
  /// The marked values, at round distances.
  let ticks: [Double]

  /// Spans finite values; `fromZero` begins or ends at zero.
  init(_ values: [Double], fromZero: Bool = false, tickCount: Int = 5) {
    let finite = values.filter(\.isFinite)
    var low = finite.min() ?? 0
    var high = finite.max() ?? 1
    if fromZero { (low, high) = (min(low, 0), max(high, 0)) }
    if high - low <= 1e-9 * max(abs(low), abs(high)) {
      // One value only: room on both sides, or above zero.
      let room = high == 0 ? 1 : abs(high) * 0.5
      high += room
      if !fromZero || low < 0 { low -= room }
    }
    let step = Self.roundStep((high - low) / Double(tickCount))
    let first = (low / step).rounded(.down)
    let last = (high / step).rounded(.up)
    range = first * step...last * step
    ticks = (0...Int(last - first)).map { (first + Double($0)) * step }
  }

  /// The steps of a run, which are marked at whole numbers.
  init(steps: ClosedRange<Int>) {
    let (low, high) = (steps.lowerBound, max(steps.upperBound, steps.lowerBound + 1))
    let step = max(1, Int(Self.roundStep(Double(high - low) / 8)))
    range = Double(low)...Double(high)
    ticks = (low...high).filter { $0 % step == 0 || $0 == low }.map(Double.init)
      .filter { $0 == Double(low) || $0 - Double(low) >= Double(step) / 2 }
  }

  /// 1, 2 or 5 times a power of ten, at least the wanted distance.
  private static func roundStep(_ wanted: Double) -> Double {
    let power = pow(10, floor(log10(wanted)))
    let factor = [1, 2, 5, 10].first { $0 * power >= wanted * (1 - 1e-9) } ?? 10
    return factor * power
  }

  /// Where a value lies: 0 at the beginning, 1 at the end.
  func position(of value: Double) -> Double {
    (value - range.lowerBound) / (range.upperBound - range.lowerBound)
  }

  /// The text of a mark: all of an axis are written alike.
  func label(_ tick: Double) -> String {
    let largest = ticks.map(abs).max() ?? 0
    return largest >= 1e6 || largest < 1e-2 ? Self.scientific(tick) : Self.plain(tick)
  }

  /// The text of any value.
  static func label(_ value: Double) -> String {
    abs(value) >= 1e6 || abs(value) < 1e-3 ? scientific(value) : plain(value)
  }

  private static func plain(_ value: Double) -> String {
    let rounded = (value * 1e6).rounded() / 1e6
    return rounded == rounded.rounded()
      ? Quantity.count(Int(rounded)) : String(format: "%g", rounded)
  }

  /// Without needless zeros: 1.5e-3.
  private static func scientific(_ value: Double) -> String {
    guard value != 0 else { return "0" }
    let parts = String(format: "%.2e", value).split(separator: "e")
    return String(format: "%g", Double(parts[0]) ?? 0) + "e" + "\(Int(parts[1]) ?? 0)"
  }
}
