/// A piece of HTML or SVG, well-formed by construction: text and attribute values come in only escaped.
struct Markup {
  /// The source text.
  let source: String

  /// Takes text as it is to be read.
  static func text(_ text: String) -> Markup { Markup(source: escaped(text)) }

  /// Takes source that this program wrote itself, such as a style sheet.
  static func literal(_ source: StaticString) -> Markup { Markup(source: "\(source)") }

  /// An element; without children it is closed where it opens.
  static func element(
    _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:],
    _ children: [Markup] = []
  ) -> Markup {
    let opening = attributes.reduce(into: "<\(name)") {
      $0 += " \($1.key)=\"\(escaped($1.value))\""
    }
    guard !children.isEmpty else { return Markup(source: opening + "/>") }
    return Markup(
      source: opening + ">" + children.map(\.source).joined() + "</\(name)>")
  }

  /// An element around text.
  static func element(
    _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:], _ text: String
  ) -> Markup {
    element(name, attributes, [.text(text.isEmpty ? " " : text)])
  }

  /// Pieces one after another.
  static func joined(_ pieces: [Markup]) -> Markup {
    Markup(source: pieces.map(\.source).joined())
  }

  /// Escapes what HTML and XML give a meaning to, and replaces control characters, which neither allows.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\n", "\t": result.unicodeScalars.append(scalar)
      case "\u{0}"..<"\u{20}", "\u{7F}"..<"\u{A0}", "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
