import Foundation
@_spi(_Unicode) import Swift

/// The compatibility forms of Unicode, whose decomposition the standard library doesn't offer.
enum CompatibilityForm {
  /// NFKC.
  static func composed(_ text: String) -> [UInt8] {
    var result = String.UnicodeScalarView()
    result.append(contentsOf: text.decomposedStringWithCompatibilityMapping._nfc)
    return Array(String(result).utf8)
  }

  /// NFKD.
  static func decomposed(_ text: String) -> [UInt8] {
    Array(text.decomposedStringWithCompatibilityMapping.utf8)
  }
}
