/// What BERT's normalizer does to characters, as the `tokenizers` package does it: by the categories of Unicode 8.
enum BERTText {
  /// Without control characters, and with a space for every white space.
  static func cleaned(_ text: [UInt8]) -> [UInt8] {
    var result = String.UnicodeScalarView()
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      switch scalar.value {
      case 0x09, 0x0A, 0x0D: result.append(" ")
      case 0, 0xFFFD: break
      default:
        if isControl(scalar) { break }
        result.append(scalar.properties.isWhitespace ? " " : scalar)
      }
    }
    return Array(String(result).utf8)
  }

  /// With a space on both sides of every ideograph, so that each is a word.
  static func spacingIdeographs(_ text: [UInt8]) -> [UInt8] {
    if text.isASCII { return text }
    var result = String.UnicodeScalarView()
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      if isIdeograph(scalar) {
        result.append(contentsOf: [" ", scalar, " "] as [Unicode.Scalar])
      } else {
        result.append(scalar)
      }
    }
    return Array(String(result).utf8)
  }

  /// Decomposed, without the marks that take no room.
  static func strippingAccents(_ text: [UInt8]) -> [UInt8] {
    if text.isASCII { return text }
    let kept = String(decoding: Normalizer.nfd.normalized(text), as: UTF8.self).unicodeScalars
      .filter { !($0.properties.generalCategory == .nonspacingMark && isOfUnicode8($0)) }
    return Array(String(String.UnicodeScalarView(kept)).utf8)
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .privateUse: true
    case .format: isOfUnicode8(scalar)
    default: false
    }
  }

  private static func isOfUnicode8(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.age?.major ?? .max <= 8
  }

  /// The blocks of ideographs that BERT knows; Hangul and kana aren't among them.
  private static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B81F,
      0x2B920...0x2CEAF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }
}
