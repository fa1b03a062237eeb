public import GraftCore

/// Pulls the rows of a word-vector file one by one, in constant memory.
///
/// The formats and their numbered rules are in `Formats/word-vectors/SPEC.md`.
public struct WordVectorReader: Sendable {
  /// How the file is written.
  public let format: WordVectorFormat
  /// The numbers in each row.
  public let dimensions: Int
  /// The rows that the header declares; nil without a header.
  public let declaredCount: Int?
  /// The word of the row that was read last.
  public private(set) var word: [UInt8] = []
  /// The vector of the row that was read last.
  public private(set) var row: [Float]
  /// How many rows have been read.
  public private(set) var count = 0

  private var input: BufferedInput
  private let options: WordVectorOptions
  /// The line, counted from 1, that is read next.
  private var line = 1

  /// Opens a file, recognizing its format unless it is given.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  public init(
    path: String, format: WordVectorFormat? = nil, options: WordVectorOptions = WordVectorOptions()
  ) throws(StorageError) {
    let start = try WordVectorStart(InputFile(path: path), format: format, options: options)
    self.format = start.format
    self.dimensions = start.dimensions
    self.declaredCount = start.declaredCount
    self.options = options
    self.row = [Float](repeating: 0, count: start.dimensions)
    self.input = start.input
    self.line = start.hasHeader ? 2 : 1
  }

  /// The file's path.
  public var path: String { input.file.path }

  /// Reads the next row into ``word`` and ``row``; false at the end.
  /// - Throws: ``StorageError`` with the broken rule, the line of a text and the byte.
  public mutating func next() throws(StorageError) -> Bool {
    let hasRow = format == .word2vecBinary ? try nextBinary() : try nextText()
    guard hasRow else {
      if let declaredCount, count < declaredCount {
        throw error(
          .truncated(
            part: "rows (word-vectors W-3)", expectedBytes: declaredCount, foundBytes: count))
      }
      return false
    }
    count += 1
    return true
  }

  // MARK: - Text

  private mutating func nextText() throws(StorageError) -> Bool {
    while input.remaining > 0 {
      let start = input.offset
      let line = try input.takeLine(limit: options.limits.wordVectorLineBytes, number: self.line)
      self.line += 1
      if WordVectorRow.trimmed(input.window.span, line).isEmpty {
        // Blank lines may end a file; a row after one is reported by what it lacks.
        continue
      }
      try checkRoom(at: start)
      try parse(line, at: start)
      return true
    }
    return false
  }

  private mutating func parse(_ line: Range<Int>, at start: Int) throws(StorageError) {
    let window = input.window
    let bytes = window.span
    let split = WordVectorRow.split(bytes, line, dimensions: dimensions)
    guard let split, format == .glove || WordVectorRow.isOneField(bytes, split.word) else {
      let fields = WordVectorRow.fieldCount(bytes, line)
      throw malformed(
        "W-4", "a word and \(dimensions) numbers", "\(fields) fields", at: start)
    }
    if let field = WordVectorRow.parse(bytes, split.numbers, into: &row) {
      let text = String(decoding: window[field].prefix(32), as: UTF8.self)
      throw malformed(
        "W-5", "a finite decimal number", "'\(text)'",
        at: start + field.lowerBound - line.lowerBound)
    }
    try take(word: split.word, at: start)
  }

  // MARK: - Binary

  private mutating func nextBinary() throws(StorageError) -> Bool {
    while try input.fill(1) > 0, input.window[input.position] == 0x0A { _ = input.take(1) }
    guard input.remaining > 0 else { return false }
    let start = input.offset
    try checkRoom(at: start)
    guard let word = try input.take(until: 0x20, limit: options.limits.wordBytes) else {
      guard input.remaining > options.limits.wordBytes else {
        throw error(
          .truncated(
            part: "word (word-vectors W-8)", expectedBytes: input.remaining + 1,
            foundBytes: input.remaining), at: start)
      }
      throw tooLong("word", options.limits.wordBytes, at: start)
    }
    try take(word: word, at: start)
    let byteCount = dimensions * 4
    let vector = input.offset
    guard try input.fill(byteCount) >= byteCount else {
      throw error(
        .truncated(
          part: "vector (word-vectors W-8)", expectedBytes: byteCount,
          foundBytes: input.remaining), at: vector)
    }
    let taken = input.take(byteCount)
    guard input.window.decodeFloats(taken.lowerBound, into: &row) else {
      throw malformed("W-5", "finite numbers", "NaN or infinity", at: vector)
    }
    return true
  }

  // MARK: - Checks

  private mutating func take(word: Range<Int>, at offset: Int) throws(StorageError) {
    guard word.count <= options.limits.wordBytes else {
      throw tooLong("word", options.limits.wordBytes, at: offset)
    }
    self.word.removeAll(keepingCapacity: true)
    self.word.append(contentsOf: input.window[word])
    guard options.allowsInvalidUTF8 || String(validating: self.word, as: UTF8.self) != nil else {
      throw malformed(
        "W-6", "a word in UTF-8", String(decoding: self.word.prefix(32), as: UTF8.self),
        at: offset)
    }
  }

  private func checkRoom(at offset: Int) throws(StorageError) {
    if let declaredCount, count == declaredCount {
      throw malformed("W-3", "the end after \(declaredCount) rows", "more", at: offset)
    }
    guard count < options.limits.words else {
      throw error(
        .limitExceeded(
          limit: "words (word-vectors W-7)", maximum: options.limits.words, found: "another one"),
        at: offset)
    }
  }

  private func malformed(
    _ rule: String, _ expected: String, _ found: String, at offset: Int
  ) -> StorageError {
    let place = format == .word2vecBinary ? "in row \(count + 1)" : "on line \(line - 1)"
    return error(
      .malformed(rule: "word-vectors " + rule, expected: expected, found: "\(found) \(place)"),
      at: offset)
  }

  private func tooLong(_ what: String, _ limit: Int, at offset: Int) -> StorageError {
    error(
      .limitExceeded(
        limit: "bytes of a \(what) (word-vectors W-7)", maximum: limit, found: "more"), at: offset)
  }

  private func error(_ reason: StorageError.Reason, at offset: Int? = nil) -> StorageError {
    StorageError(reason, file: path, offset: offset ?? input.offset)
  }
}

extension BufferedInput {
  /// The next line without its line feed; the last one may lack it.
  mutating func takeLine(limit: Int, number: Int) throws(StorageError) -> Range<Int> {
    let start = offset
    if let line = try take(until: 0x0A, limit: limit) { return line }
    let rest = remaining
    guard rest <= limit, try fill(rest) == rest else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a line (word-vectors W-7)", maximum: limit,
          found: "more on line \(number)"),
        file: file.path, offset: start)
    }
    return take(rest)
  }
}

extension [UInt8] {
  /// Fills `row` with little-endian floats from a byte on; false where one isn't finite.
  func decodeFloats(_ start: Int, into row: inout [Float]) -> Bool {
    let bytes = rawBytes
    var isFinite = true
    for position in row.indices {
      let bits = unsafe bytes.unsafeLoadUnaligned(
        fromByteOffset: start + position * 4, as: UInt32.self)
      row[position] = Float(bitPattern: UInt32(littleEndian: bits))
      isFinite = isFinite && bits & 0x7F80_0000 != 0x7F80_0000
    }
    return isFinite
  }
}
