/// A sum of squares or products as value · 2^exponent: f64 holds no squares of values beyond 10^±154.
///
/// The exponent is 0 wherever f64 holds the sum.
struct ScaledSum: Sendable {
  var value = 0.0
  var exponent = 0

  static func += (left: inout ScaledSum, right: ScaledSum) {
    guard right.value != 0 else { return }
    guard left.value != 0 else {
      left = right
      return
    }
    let exponent = max(left.exponent, right.exponent)
    left.value =
      left.value.scaled(by: left.exponent - exponent)
      + right.value.scaled(by: right.exponent - exponent)
    left.exponent = exponent
  }

  /// Whether the value, added up without an exponent, lost nothing that counts: what fell below f64's range is less than the 2^100th
  /// part of it, and many such sums can be added.
  var isExact: Bool { value > 0x1p-900 && value < 0x1p900 }

  /// The square root's value, for half the exponent.
  private var root: Double { value.squareRoot() }

  /// √self / √other.
  func normRatio(to other: ScaledSum) -> Double {
    (root / other.root).scaled(by: (exponent - other.exponent) / 2)
  }

  /// self / (√first · √second).
  func cosine(of first: ScaledSum, and second: ScaledSum) -> Double {
    (value / (first.root * second.root)).scaled(
      by: exponent - (first.exponent + second.exponent) / 2)
  }
}

extension Double {
  /// The value times a power of two.
  func scaled(by exponent: Int) -> Double {
    exponent == 0 ? self : Double(sign: .plus, exponent: exponent, significand: self)
  }
}
