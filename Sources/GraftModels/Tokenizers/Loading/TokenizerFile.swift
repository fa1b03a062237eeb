import GraftCore

/// The parts of a `tokenizer.json`: the big tables read straight from the text, the rest as trees.
struct TokenizerFile {
  /// The members of the file and of its `model`, but for the vocabulary and the merges.
  private(set) var parts: [String: JSONValue] = [:]
  private(set) var model: [String: JSONValue] = [:]
  private(set) var vocabulary = TokenTable()
  /// The left and right token of every merge, one after the other, by rank.
  private(set) var merges: [Range<Int>] = []
  /// What the ranges of ``merges`` refer to.
  private(set) var mergeText: [UInt8] = []

  private var scanner: JSONScanner
  private let reader: TokenizerReader

  init(_ bytes: [UInt8], _ reader: TokenizerReader) throws(ModelError) {
    self.reader = reader
    scanner = JSONScanner(bytes, file: reader.file)
    do throws(TokenizerFileError) {
      try read()
    } catch {
      switch error {
      case .storage(let error):
        throw ModelError(.storage(error), file: reader.file)
      case .model(let error): throw error
      }
    }
  }

  private enum TokenizerFileError: Error {
    case storage(StorageError)
    case model(ModelError)
  }

  // MARK: - Members

  private mutating func read() throws(TokenizerFileError) {
    try open(.objectStart, "the file", "an object")
    while let key = try nextKey() {
      if key == "model" { try readModel() } else { parts[key] = try tree() }
    }
    _ = try next()
  }

  private mutating func readModel() throws(TokenizerFileError) {
    try open(.objectStart, "model", "an object")
    while let key = try nextKey() {
      switch key {
      case "vocab":
        let start = scanner
        if try next().kind == .objectStart {
          try readVocabulary()
        } else {
          // Unigram's list of pairs; the model's type tells that it isn't supported.
          scanner = start
          model[key] = try tree()
        }
      case "merges": try readMerges()
      default: model[key] = try tree()
      }
    }
  }

  private mutating func readVocabulary() throws(TokenizerFileError) {
    var table = TokenTable(capacity: scanner.bytes.count / 40)
    let bytes = scanner.bytes
    while true {
      let key = try next()
      guard key.kind == .key else { break }
      let number = try next()
      let text = String(decoding: bytes[number.range], as: UTF8.self)
      guard number.kind == .number, let id = Int(text), id >= 0, id < TokenTable.maximumCount
      else { throw invalid("model.vocab", "ids below \(TokenTable.maximumCount)", text) }
      if key.hasEscapes {
        table.insert(scanner.contents(of: key).span, id: id)
      } else {
        table.insert(bytes.span.extracting(key.range), id: id)
      }
    }
    vocabulary = table
  }

  private mutating func readMerges() throws(TokenizerFileError) {
    try open(.arrayStart, "model.merges", "an array")
    merges.reserveCapacity(scanner.bytes.count / 16)
    mergeText.reserveCapacity(scanner.bytes.count / 2)
    while true {
      let token = try next()
      switch token.kind {
      case .arrayEnd: return
      case .string:
        let pair = append(token)
        guard let space = mergeText[pair].dropFirst().firstIndex(of: 0x20),
          space + 1 < pair.upperBound
        else { throw invalid("model.merges", "two tokens", "'\(scanner.text(of: token))'") }
        merges += [pair.lowerBound..<space, space + 1..<pair.upperBound]
      case .arrayStart:
        for _ in 0..<2 {
          let part = try next()
          guard part.kind == .string else { throw invalid("model.merges", "two tokens", "none") }
          merges.append(append(part))
        }
        guard try next().kind == .arrayEnd else {
          throw invalid("model.merges", "two tokens", "more")
        }
      default: throw invalid("model.merges", "pairs of tokens", "something else")
      }
    }
  }

  private mutating func append(_ token: JSONToken) -> Range<Int> {
    let start = mergeText.count
    if token.hasEscapes {
      mergeText += scanner.contents(of: token)
    } else {
      mergeText += scanner.bytes[token.range]
    }
    return start..<mergeText.count
  }

  // MARK: - Scanning

  private mutating func next() throws(TokenizerFileError) -> JSONToken {
    do throws(StorageError) { return try scanner.next() } catch { throw .storage(error) }
  }

  private mutating func open(
    _ kind: JSONToken.Kind, _ key: String, _ expected: String
  ) throws(TokenizerFileError) {
    guard try next().kind == kind else { throw invalid(key, expected, "something else") }
  }

  private mutating func nextKey() throws(TokenizerFileError) -> String? {
    let token = try next()
    return token.kind == .key ? scanner.text(of: token) : nil
  }

  /// The next value as a tree.
  private mutating func tree() throws(TokenizerFileError) -> JSONValue {
    let first = try next()
    do throws(StorageError) {
      try scanner.skip(first)
      let quote = first.kind == .string ? 1 : 0
      let text = scanner.bytes[first.range.lowerBound - quote..<scanner.position]
      return try JSONValue.parse(Array(text), file: reader.file)
    } catch { throw .storage(error) }
  }

  private func invalid(
    _ key: String, _ expected: String, _ found: String
  ) -> TokenizerFileError {
    .model(reader.invalid(key, expected, found))
  }
}
