internal import GraftCore

/// Walks over the rows of a word-vector file in constant memory: finds each row, and reads its word and its numbers where they are wanted.
struct WordVectorRows {
  let format: WordVectorFormat
  let dimensions: Int
  private(set) var window: SlidingWindow
  /// Where the row that was found last begins in the file.
  private(set) var offset: Int
  /// The rows found so far, those before the walk began counted too.
  private(set) var count: Int
  /// The number of the line that is found next, from 1.
  private(set) var line: Int
  private let options: WordVectorOptions
  /// The row that errors name.
  private var number = 1
  /// The line of a text, or the numbers of a binary row, in the window.
  private var body = 0..<0
  /// The word of a binary row.
  private var binaryWord = 0..<0

  /// Begins before a row.
  init(
    _ start: WordVectorStart, at offset: Int, line: Int, count: Int, options: WordVectorOptions,
    windowByteCount: Int = 1 << 18
  ) {
    format = start.format
    dimensions = start.dimensions
    window = SlidingWindow(start.file, at: offset, byteCount: windowByteCount)
    self.offset = offset
    self.line = line
    self.count = count
    self.options = options
  }

  /// Finds the next row; false at the end of the file, or where no line begins before `end`.
  mutating func next(before end: Int = .max) throws(StorageError) -> Bool {
    number = count + 1
    let hasRow = format == .word2vecBinary ? try nextBinary() : try nextText(before: end)
    if hasRow { count += 1 }
    return hasRow
  }

  /// Passes over the rest of a line, which isn't counted.
  mutating func skipLine() throws(StorageError) {
    let start = window.offset
    if case .tooLong = try window.takeLine(limit: options.limits.wordVectorLineBytes) {
      throw endlessLine(at: start)
    }
  }

  private mutating func nextText(before end: Int) throws(StorageError) -> Bool {
    while window.offset < end {
      let start = window.offset
      let line: Range<Int>
      switch try window.takeLine(limit: options.limits.wordVectorLineBytes) {
      case .range(let range): line = range
      case .tooLong: throw endlessLine(at: start)
      case .end: return false
      }
      self.line += 1
      // Blank lines may end a file; a row after one is a row.
      if WordVectorRow.trimmed(window.bytes.span, line).isEmpty { continue }
      offset = start
      body = line
      return true
    }
    return false
  }

  private mutating func nextBinary() throws(StorageError) -> Bool {
    while try window.fill(1) > 0, window.bytes[window.position] == 0x0A { _ = window.take(1) }
    guard window.remaining > 0 else { return false }
    offset = window.offset
    let limit = options.limits.wordBytes
    _ = try window.fill(256 + dimensions * 4)
    guard let length = try window.distance(to: 0x20, limit: limit) else {
      guard window.remaining > limit else {
        throw error(
          .truncated(
            part: "word (word-vectors W-8)", expectedBytes: window.remaining + 1,
            foundBytes: window.remaining), at: offset)
      }
      throw tooLong("word", limit, "", at: offset)
    }
    let byteCount = dimensions * 4
    let held = try window.fill(length + 1 + byteCount)
    try check(word: window.position..<window.position + length)
    guard held > length + byteCount else {
      throw error(
        .truncated(
          part: "vector (word-vectors W-8)", expectedBytes: byteCount,
          foundBytes: held - length - 1), at: offset + length + 1)
    }
    binaryWord = window.take(length)
    _ = window.take(1)
    body = window.take(byteCount)
    return true
  }

  // MARK: - The row

  /// The word of the row, in the window.
  ///
  /// - Throws: ``StorageError`` for a row without as many fields, or a word that isn't allowed.
  func word() throws(StorageError) -> Range<Int> {
    guard format != .word2vecBinary else { return binaryWord }
    let bytes = window.bytes.span
    let usual = WordVectorRow.wordBeforeNumbers(bytes, body, dimensions: dimensions)
    let word: Range<Int>
    if let usual { word = usual } else { word = try split(bytes).word }
    try check(word: word)
    return word
  }

  /// Reads the numbers of the row, and returns the word's range in the window.
  ///
  /// - Parameter row: Takes the floats from `offset` on.
  /// - Throws: ``StorageError`` for a field that is no finite number, or too few of them.
  func read(
    into row: inout MutableRawSpan, at offset: Int
  ) throws(StorageError) -> Range<Int> {
    let bytes = window.bytes.span
    guard format != .word2vecBinary else {
      guard Self.copyFloats(bytes.extracting(body), into: &row, at: offset) else {
        throw malformed(
          "W-5", "finite numbers", "NaN or infinity",
          at: self.offset + body.lowerBound - binaryWord.lowerBound)
      }
      return binaryWord
    }
    let quick = WordVectorRow.parseInOrder(
      bytes, body, dimensions: dimensions, into: &row, at: offset)
    if let quick { return quick }
    let (word, numbers) = try split(bytes)
    var values = [Float](repeating: 0, count: dimensions)
    if let field = WordVectorRow.parse(bytes, numbers, into: &values) {
      let text = String(decoding: window.bytes[field].prefix(32), as: UTF8.self)
      throw malformed(
        "W-5", "a finite decimal number", "'\(text)'",
        at: self.offset + field.lowerBound - body.lowerBound)
    }
    for (position, value) in values.enumerated() {
      row.storeBytes(of: value, toByteOffset: offset + position * 4, as: Float.self)
    }
    return word
  }

  private func split(
    _ bytes: Span<UInt8>
  ) throws(StorageError) -> (word: Range<Int>, numbers: Range<Int>) {
    let split = WordVectorRow.split(bytes, body, dimensions: dimensions)
    guard let split, format == .glove || WordVectorRow.isOneField(bytes, split.word) else {
      let fields = WordVectorRow.fieldCount(bytes, body)
      throw malformed("W-4", "a word and \(dimensions) numbers", "\(fields) fields", at: offset)
    }
    return split
  }

  /// Copies little-endian floats; false where one isn't finite.
  private static func copyFloats(
    _ bytes: Span<UInt8>, into row: inout MutableRawSpan, at offset: Int
  ) -> Bool {
    let raw = unsafe bytes.bytes
    var isFinite = true
    for place in stride(from: 0, to: raw.byteCount, by: 4) {
      // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
      let bits = unsafe raw.unsafeLoadUnaligned(fromByteOffset: place, as: UInt32.self)
      row.storeBytes(of: UInt32(littleEndian: bits), toByteOffset: offset + place, as: UInt32.self)
      isFinite = isFinite && UInt32(littleEndian: bits) & 0x7F80_0000 != 0x7F80_0000
    }
    return isFinite
  }

  // MARK: - Checks

  /// Checks the length and the encoding of a word.
  func check(word: Range<Int>) throws(StorageError) {
    guard word.count <= options.limits.wordBytes else {
      throw tooLong("word", options.limits.wordBytes, "", at: offset)
    }
    let bytes = window.bytes.span.extracting(word)
    guard !options.allowsInvalidUTF8, !bytes.isASCII else { return }
    guard String(validating: window.bytes[word], as: UTF8.self) != nil else {
      throw malformed(
        "W-6", "a word in UTF-8", String(decoding: window.bytes[word].prefix(32), as: UTF8.self),
        at: offset)
    }
  }

  /// Checks that the row is one of `declaredCount`, and that there may be as many.
  func checkRoom(declaredCount: Int?) throws(StorageError) {
    if let declaredCount, count > declaredCount {
      throw malformed("W-3", "the end after \(declaredCount) rows", "more", at: offset)
    }
    guard count <= options.limits.words else {
      throw error(
        .limitExceeded(
          limit: "words (word-vectors W-7)", maximum: options.limits.words, found: "another one"),
        at: offset)
    }
  }

  private func malformed(
    _ rule: String, _ expected: String, _ found: String, at offset: Int
  ) -> StorageError {
    let place = format == .word2vecBinary ? "in row \(number)" : "on line \(line - 1)"
    return error(
      .malformed(rule: "word-vectors " + rule, expected: expected, found: "\(found) \(place)"),
      at: offset)
  }

  private func tooLong(
    _ what: String, _ limit: Int, _ place: String, at offset: Int
  ) -> StorageError {
    error(
      .limitExceeded(
        limit: "bytes of a \(what) (word-vectors W-7)", maximum: limit, found: "more" + place),
      at: offset)
  }

  private func endlessLine(at offset: Int) -> StorageError {
    tooLong("line", options.limits.wordVectorLineBytes, " on line \(line)", at: offset)
  }

  private func error(_ reason: StorageError.Reason, at offset: Int) -> StorageError {
    StorageError(reason, file: window.file.path, offset: offset)
  }
}

extension Span<UInt8> {
  /// Whether all bytes are ASCII.
  var isASCII: Bool {
    for index in indices where self[index] >= 0x80 { return false }
    return true
  }
}
