internal import Foundation

/// Numbers as people read them.
package enum Quantity {
  /// Bytes with a binary unit: 513 B, 2.9 MiB.
  package static func bytes(_ count: Int) -> String {
    guard count >= 1024 else { return "\(count) B" }
    let units = ["KiB", "MiB", "GiB", "TiB"]
    var shift = 10
    while count >> shift >= 1024, shift < 40 { shift += 10 }
    // Tenths of the unit, rounded to the nearest and from the middle to the even one.
    let parts = (count & ((1 << shift) - 1)) * 10
    var tenths = (count >> shift) * 10 + (parts >> shift)
    let rest = parts & ((1 << shift) - 1)
    let half = 1 << (shift - 1)
    if rest > half || (rest == half && tenths % 2 == 1) { tenths += 1 }
    return "\(tenths / 10).\(tenths % 10) \(units[shift / 10 - 1])"
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
