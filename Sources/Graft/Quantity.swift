internal import Foundation

/// Numbers as people read them.
package enum Quantity {
  /// Bytes with a binary unit: 513 B, 2.9 MiB.
  package static func bytes(_ count: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(count)
    var unit = 0
    while value >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    return unit == 0 ? "\(count) B" : String(format: "%.1f ", value) + units[unit]
  }

  /// A count with separators: 134,515,008.
  package static func count(_ value: Int) -> String {
    var digits = String(abs(value))
    var groups: [String] = []
    while digits.count > 3 {
      groups.insert(String(digits.suffix(3)), at: 0)
      digits.removeLast(3)
    }
    groups.insert(digits, at: 0)
    return (value < 0 ? "-" : "") + groups.joined(separator: ",")
  }

  /// A count with its noun: 1 tensor, 1,024 tensors.
  package static func of(_ count: Int, _ noun: String) -> String {
    "\(self.count(count)) \(noun)\(count == 1 ? "" : "s")"
  }

  /// A number without needless zeros: 32, 0.125, 5.65685.
  package static func number(_ value: Double) -> String { String(format: "%g", value) }
}
