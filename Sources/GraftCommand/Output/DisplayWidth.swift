import Foundation

/// The columns that text takes on a terminal, and those that a terminal has.
enum DisplayWidth {
  /// The columns of what isn't a terminal.
  static let standard = 100

  /// The columns of the terminal at standard output; nil where there is none.
  static var terminal: Int? {
    guard isatty(STDOUT_FILENO) == 1 else { return nil }
    var size = winsize()
    guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
      return standard
    }
    return max(40, Int(size.ws_col))
  }

  /// The columns of a text.
  static func of(_ text: some StringProtocol) -> Int {
    let utf8 = text.utf8
    if utf8.allSatisfy({ $0 < 0x80 }) { return utf8.count }
    return text.unicodeScalars.reduce(0) { $0 + of($1) }
  }

  /// The columns of a character: none for marks that join the one before, two for East Asian wide ones and emoji.
  private static func of(_ scalar: Unicode.Scalar) -> Int {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: 0
    default:
      switch scalar.value {
      case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF,
        0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF,
        0x20000...0x3FFFD:
        2
      default: 1
      }
    }
  }

  /// A text of at most so many columns; what is too long loses its middle, or its end.
  static func fit(_ text: String, _ columns: Int, keepsEnd: Bool = false) -> String {
    guard of(text) > columns else { return text }
    guard columns > 1 else { return "…" }
    let head = keepsEnd ? (columns - 1) / 2 : columns - 1
    let tail = columns - 1 - head
    return String(prefix(text, head)) + "…" + String(prefix(text.reversed(), tail).reversed())
  }

  private static func prefix(_ text: some Sequence<Character>, _ columns: Int) -> [Character] {
    var used = 0
    var result: [Character] = []
    for character in text {
      used += of(String(character))
      guard used <= columns else { break }
      result.append(character)
    }
    return result
  }

  /// Words divided by ", " in lines of at most so many columns.
  static func wrap(_ items: [String], _ columns: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for (position, item) in items.enumerated() {
      let word = position + 1 < items.count ? item + "," : item
      if line.isEmpty {
        line = word
      } else if of(line) + 1 + of(word) <= columns {
        line += " " + word
      } else {
        lines.append(line)
        line = word
      }
    }
    return line.isEmpty ? lines : lines + [line]
  }
}
