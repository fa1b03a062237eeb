internal import GraftCore
internal import GraftModels

/// The text that is trained or evaluated on, as tokens.
public struct TokenizedText: Sendable {
  /// Tokens that belong together: plain text, or one example of JSON lines.
  struct Passage: Sendable {
    var tokens: Range<Int>
    /// Where an example stands; nil for plain text.
    var origin: (file: Int, line: Int)?
  }

  private(set) var tokens: [Int32] = []
  /// For each token, whether it is to be predicted.
  private(set) var isTarget: [Bool] = []
  private(set) var passages: [Passage] = []
  /// Where the text came from.
  public private(set) var files: [String] = []
  private var fingerprints: [String] = []

  /// No text yet.
  public init() {}

  /// Wraps plain text tokenized elsewhere; every token is a target.
  public init(tokens: [Int32], file: String) {
    append((tokens, [Bool](repeating: true, count: tokens.count)), origin: nil)
    files = [file]
  }

  /// Wraps examples made elsewhere, one a line of `file`.
  package init(examples: [(tokens: [Int32], isTarget: [Bool])], file: String) {
    for (index, example) in examples.enumerated() {
      append(example, origin: (0, index + 1))
    }
    files = [file]
  }

  /// The size and a hash of each file, and the number and a hash of the tokens that were made of them, by which a resumed run
  /// knows its data again.
  package var fingerprint: String {
    var hash = XXHash64()
    hash.combine(tokens)
    hash.combine(isTarget)
    return (fingerprints + ["\(tokens.count) tokens \(hash.text)"]).joined(separator: ", ")
  }

  /// All tokens.
  public var allTokens: [Int32] { tokens }

  /// Tokenizes a data file's bytes and appends them.
  ///
  /// Plain text files that follow one another are one text, separated by the end token.
  ///
  /// - Throws: ``TrainingError`` that names file and line of what can't be used.
  package mutating func append(_ bytes: [UInt8], file: String, reader: ExampleReader) throws {
    var hash = XXHash64()
    hash.combine(bytes)
    files.append(file)
    fingerprints.append("\(bytes.count) bytes \(hash.text)")
    let text = bytes.starts(with: Self.byteOrderMark) ? Array(bytes.dropFirst(3)) : bytes
    if try reader.isPlainText(text, file: file) {
      try appendText(text, file, reader)
    } else {
      try appendLines(text, file, reader)
    }
  }

  /// What some programs put before UTF-8.
  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  private mutating func appendText(
    _ bytes: [UInt8], _ file: String, _ reader: ExampleReader
  ) throws(TrainingError) {
    for (name, isOn) in [
      ("mask-prompt", reader.settings.masksPrompt), ("pack", reader.settings.packs),
    ]
    where isOn {
      throw TrainingError(
        .invalidSetting(
          name: name, expected: "JSON lines with examples", found: "plain text in \(file)"),
        remedy: "leave out --\(name), or give messages or prompt and completion")
    }
    guard bytes.isValidUTF8 else {
      throw TrainingError(
        .badExample(expected: "UTF-8", found: "other bytes"), file: file,
        line: bytes.firstLineNotUTF8, remedy: "convert the file to UTF-8")
    }
    if let place = bytes.firstIndex(of: 0) {
      throw TrainingError(
        .badExample(expected: "text", found: "a zero byte at byte \(place)"), file: file,
        line: 1 + bytes[..<place].count { $0 == 0x0A },
        remedy: "if it is text in UTF-16, make it UTF-8 first: iconv -f utf-16 -t utf-8")
    }
    let new = reader.tokenizer.encode(bytes, addSpecialTokens: true)
    let continues = passages.last.map { $0.origin == nil } ?? false
    let all = continues ? (reader.endToken.map { [$0] } ?? []) + new : new
    append((all, [Bool](repeating: true, count: all.count)), origin: nil)
  }

  private mutating func appendLines(
    _ bytes: [UInt8], _ file: String, _ reader: ExampleReader
  ) throws {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated()
    where line.contains(where: { $0 != 0x20 && $0 != 0x0D && $0 != 0x09 }) {
      let example = try reader.example(line, file: file, line: index + 1)
      append(example, origin: (files.count - 1, index + 1))
    }
  }

  private mutating func append(
    _ new: (tokens: [Int32], isTarget: [Bool]), origin: (file: Int, line: Int)?
  ) {
    let start = tokens.count
    tokens += new.tokens
    isTarget += new.isTarget
    if origin == nil, let last = passages.indices.last, passages[last].origin == nil {
      passages[last].tokens = passages[last].tokens.lowerBound..<tokens.count
    } else {
      passages.append(Passage(tokens: start..<tokens.count, origin: origin))
    }
  }
}

extension [UInt8] {
  fileprivate var isValidUTF8: Bool { String(validating: self, as: UTF8.self) != nil }

  /// The number of the first line with bytes that aren't UTF-8.
  fileprivate var firstLineNotUTF8: Int? {
    split(separator: 0x0A, omittingEmptySubsequences: false).firstIndexOfInvalid
  }
}

extension [ArraySlice<UInt8>] {
  fileprivate var firstIndexOfInvalid: Int? {
    firstIndex { String(validating: $0, as: UTF8.self) == nil }.map { $0 + 1 }
  }
}
