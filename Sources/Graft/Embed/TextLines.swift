internal import GraftCore

/// Texts with names, read from a file of lines: JSON objects with a text, or plain text.
public struct TextLines: Sendable {
  /// A text and its name.
  public struct Entry: Sendable, Equatable {
    /// The name: the `id` of a JSON line, or the number of the line in its file, from 1.
    public let id: String
    /// The text.
    public let text: String

    /// Names a text.
    public init(id: String, text: String) {
      self.id = id
      self.text = text
    }
  }

  /// The texts in the order of the file; empty lines have none.
  public let entries: [Entry]

  /// Reads a file: JSON lines where the first that isn't empty begins with a brace.
  ///
  /// - Throws: ``StorageError`` for a line that isn't UTF-8 or isn't JSON, or has no `text`.
  public init(file: String) throws {
    let bytes = try InputFile.contents(of: file, atMost: 1 << 30)
    let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    let isJSON = lines.first { !$0.allSatisfy(\.isSpace) }?.first { !$0.isSpace } == 0x7B
    var entries: [Entry] = []
    for (index, line) in lines.enumerated() where !line.allSatisfy(\.isSpace) {
      let place = "\(file), line \(index + 1)"
      guard isJSON else {
        guard var text = String(validating: line, as: UTF8.self) else {
          throw StorageError(
            .malformed(rule: "text lines", expected: "UTF-8", found: "other bytes"), file: place,
            remedy: "convert the file to UTF-8")
        }
        guard !line.contains(0) else {
          throw StorageError(
            .malformed(rule: "text lines", expected: "text", found: "a zero byte"), file: place,
            remedy: "if it is text in UTF-16, make it UTF-8 first: iconv -f utf-16 -t utf-8")
        }
        if text.hasSuffix("\r") { text.removeLast() }
        entries.append(Entry(id: "\(index + 1)", text: text))
        continue
      }
      let json = try JSONValue.parse(Array(line), file: place)
      guard let text = json["text"]?.string else {
        throw StorageError(
          .malformed(
            rule: "JSON lines", expected: "an object with a text",
            found: json["text"] == nil ? "no text" : "something else"), file: place)
      }
      let id = json["id"]
      entries.append(
        Entry(id: id?.string ?? id?.serialized(indent: nil) ?? "\(index + 1)", text: text))
    }
    self.entries = entries
  }
}

extension UInt8 {
  fileprivate var isSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0D }
}
