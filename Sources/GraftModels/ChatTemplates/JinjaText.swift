internal import GraftCore

/// A chat template as text, in a form that leaves out what makes no difference.
///
/// In tags, white space between words is one space and elsewhere none, all quotes are single, `\n` in a string is a line break,
/// and `message.role` is `message['role']`. What stands between tags stays. The default system message of a ChatML
/// template is taken out.
struct JinjaText {
  private(set) var normalized = ""
  /// The default system message of a ChatML template.
  private(set) var defaultSystem: String?

  /// Normalizes a template.
  init(_ text: String) {
    let text = ChatTemplate.trimmed(text.replacing("\r\n", with: "\n"))
    var output = String.UnicodeScalarView()
    var quote: Unicode.Scalar?
    var isInTag = false
    var pendingSpace = false
    var scalars = text.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      if let open = quote {
        if scalar == "\\", let next = scalars.popFirst() {
          output.append(contentsOf: next == "n" ? ["\n"] : [scalar, next])
        } else {
          if scalar == open { quote = nil }
          output.append(scalar == open ? "'" : scalar)
        }
        continue
      }
      guard isInTag else {
        isInTag = scalar == "{" && (scalars.first == "{" || scalars.first == "%")
        output.append(scalar)
        continue
      }
      if scalar.properties.isWhitespace {
        pendingSpace = true
        continue
      }
      if pendingSpace, let last = output.last, Self.isWord(last), Self.isWord(scalar) {
        output.append(" ")
      }
      pendingSpace = false
      if scalar == "'" || scalar == "\"" { quote = scalar }
      output.append(scalar == "\"" ? "'" : scalar)
      if scalar == "}", let last = output.dropLast().last, last == "}" || last == "%" {
        isInTag = false
      }
    }
    normalized = String(output)
    for key in ["role", "content"] {
      normalized = normalized.replacing("message.\(key)", with: "message['\(key)']")
    }
    takeOutSystem()
  }

  /// A hash of the normalized text (FNV-1a, 64 bits).
  var digest: UInt64 { FNV1a(normalized.utf8).value }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
  }

  private mutating func takeOutSystem() {
    let opening = "'<|im_start|>system\n"
    for start in normalized.ranges(of: opening) {
      let rest = normalized[start.upperBound...]
      guard let end = rest.ranges(of: "<|im_end|>").first else { return }
      let message = rest[..<end.lowerBound]
      if !message.isEmpty, !message.contains(where: { "'\\{}".contains($0) }) {
        defaultSystem = String(message)
        normalized.replaceSubrange(start.upperBound..<end.lowerBound, with: "{system}")
        return
      }
    }
  }
}
