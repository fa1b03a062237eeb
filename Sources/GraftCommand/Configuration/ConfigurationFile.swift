import Foundation
import Graft
import Yams

/// A file of options: one YAML mapping from option names to values, each known by its line.
struct ConfigurationFile {
  /// What stands behind a key.
  enum Value {
    case scalar(String)
    case list([String])
    /// `~` or nothing: as if the key weren't there.
    case null
    /// A mapping, or a list of something other than scalars.
    case nested
  }

  /// One key with its value.
  struct Entry {
    /// The option's name, without dashes in front and with dashes between words.
    let name: String
    /// The key as written.
    let key: String
    let value: Value
    /// Counted from 1.
    let line: Int
  }

  /// The path, for errors.
  let path: String
  /// The entries in the order of the file.
  let entries: [Entry]

  private static let maximumByteCount = 1 << 20

  /// Reads a file.
  ///
  /// - Throws: ``StorageError`` when it can't be read, ``ConfigurationError`` when it isn't such a mapping.
  init(path: String) throws {
    self.path = path
    let bytes = try InputFile.contents(of: path, atMost: Self.maximumByteCount)
    guard var text = String(validating: bytes, as: UTF8.self) else {
      throw ConfigurationError(.notYAML(problem: "it isn't UTF-8"), file: path)
    }
    if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
    let root: Yams.Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch let error as YamlError {
      throw ConfigurationError(error, file: path)
    }
    guard let root else {
      entries = []
      return
    }
    guard case .mapping(let mapping) = root else {
      throw ConfigurationError(.notMapping, file: path, line: root.mark?.line)
    }
    var lines: [String: Int] = [:]
    entries = try mapping.map { key, value in
      let line = key.mark?.line ?? 1
      guard case .scalar(let scalar) = key else {
        throw ConfigurationError(.notMapping, file: path, line: line)
      }
      let name = scalar.string.replacing("_", with: "-")
      if let first = lines.updateValue(line, forKey: name) {
        throw ConfigurationError(
          .duplicateKey(scalar.string, firstLine: first), file: path, line: line)
      }
      return Entry(name: name, key: scalar.string, value: Self.value(of: value), line: line)
    }
  }

  private static func value(of node: Yams.Node) -> Value {
    switch node {
    case .scalar(let scalar): isNull(scalar) ? .null : .scalar(scalar.string)
    case .sequence(let items):
      items.allSatisfy { $0.scalar.map { !isNull($0) } ?? false }
        ? .list(items.compactMap { $0.scalar?.string }) : .nested
    case .mapping, .alias: .nested
    }
  }

  /// Whether a scalar is YAML's null and not a text.
  private static func isNull(_ scalar: Yams.Node.Scalar) -> Bool {
    scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }
}
