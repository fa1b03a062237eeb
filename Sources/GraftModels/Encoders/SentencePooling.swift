public import GraftCore

/// How the vectors of a text's tokens become one vector, from the files that sentence-transformers writes.
///
/// Source: Reimers & Gurevych, arXiv 1908.10084; `1_Pooling/config.json` and `modules.json`.
public struct SentencePooling: Sendable, Equatable {
  /// Which vector stands for a text.
  public enum Kind: String, Sendable {
    /// The mean over all tokens, special ones included.
    case mean
    /// The first token's.
    case first
    /// The largest value of each column.
    case largest
  }

  /// Which vector stands for a text.
  public var kind: Kind
  /// Whether the vector is divided by its length.
  public var normalizes: Bool

  /// The mean, normalized: what holds without those files.
  public static let usual = SentencePooling(kind: .mean, normalizes: true)

  /// Chooses a pooling.
  public init(kind: Kind, normalizes: Bool) {
    self.kind = kind
    self.normalizes = normalizes
  }

  /// Reads `1_Pooling/config.json`, and from `modules.json` whether vectors are normalized.
  ///
  /// - Throws: ``ModelError`` for a kind of pooling, or a module, that isn't known.
  public init(
    pooling: JSONValue, modules: JSONValue?, file: String
  ) throws(ModelError) {
    let keys = ConfigurationKeys(pooling, file: file)
    let chosen = (pooling.object?.members ?? []).filter {
      $0.key.hasPrefix("pooling_mode_") && $0.value.bool == true
    }.map { String($0.key.dropFirst("pooling_mode_".count)) }
    switch chosen.isEmpty ? [pooling["pooling_mode"]?.string ?? "mean_tokens"] : chosen {
    case ["mean_tokens"], ["mean"]: kind = .mean
    case ["cls_token"], ["cls"]: kind = .first
    case ["max_tokens"], ["max"]: kind = .largest
    case let other: throw keys.unsupported("pooling", found: other.joined(separator: " and "))
    }
    normalizes = modules == nil
    for module in modules?.array ?? [] {
      switch module["type"]?.string?.split(separator: ".").last.map(String.init) ?? "" {
      case "Transformer", "Pooling": break
      case "Normalize": normalizes = true
      case let other: throw keys.unsupported("module after the encoder", found: other)
      }
    }
  }

  /// One vector of the rows of a text: [rows, width] → [width].
  package func pooled(_ rows: ArraySlice<Float>, width: Int) -> [Float] {
    let count = rows.count / width
    var result = Array(rows.prefix(width))
    if kind != .first {
      for row in 1..<max(count, 1) {
        let start = rows.startIndex + row * width
        for column in 0..<width {
          let value = rows[start + column]
          result[column] =
            kind == .mean ? result[column] + value : max(result[column], value)
        }
      }
    }
    if kind == .mean { for column in 0..<width { result[column] /= Float(count) } }
    guard normalizes else { return result }
    let length = result.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return result.map { Float(Double($0) / max(length, 1e-12)) }
  }
}
