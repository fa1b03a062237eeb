internal import GraftCore

/// What is known of a word-vector file before its first row: format, dimensions and, with a header, the rows.
struct WordVectorStart {
  let format: WordVectorFormat
  let dimensions: Int
  let declaredCount: Int?
  let file: InputFile
  /// Where the first row begins.
  let firstRow: Int
  /// The line of the first row, from 1.
  let firstLine: Int

  /// How much of a file is looked at to tell the number of fields.
  private static let sampleBytes = 1 << 20

  init(
    _ file: InputFile, format: WordVectorFormat?, options: WordVectorOptions
  ) throws(StorageError) {
    let limits = options.limits
    var input = SlidingWindow(file, at: 0, byteCount: Self.sampleBytes)
    let sample = try input.fill(Self.sampleBytes)
    if input.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { _ = input.take(3) }
    let window = input.bytes
    let bytes = window.span.extracting(first: sample)
    guard
      let shape = WordVectorShape(bytes, from: input.position, isWhole: sample == file.byteCount)
    else {
      throw StorageError(
        .malformed(
          rule: "word-vectors W-9", expected: "a header or rows of words and numbers",
          found: "neither"),
        file: file.path, offset: input.offset)
    }
    self.format = format ?? shape.format
    guard shape.header != nil || self.format == .glove else {
      throw StorageError(
        .malformed(
          rule: "word-vectors W-1", expected: "a line of two whole numbers, words and dimensions",
          found: "something else"),
        file: file.path, offset: input.offset)
    }
    dimensions = shape.dimensions
    declaredCount = shape.header?.words
    firstLine = shape.header == nil ? 1 : 2
    guard dimensions > 0 else {
      throw StorageError(
        .malformed(rule: "word-vectors W-1", expected: "1 dimension or more", found: "0"),
        file: file.path, offset: input.offset)
    }
    guard dimensions <= limits.wordVectorDimensions else {
      throw StorageError(
        .limitExceeded(
          limit: "dimensions (word-vectors W-1)", maximum: limits.wordVectorDimensions,
          found: "\(dimensions)"),
        file: file.path, offset: input.offset)
    }
    if let header = shape.header {
      guard case .range = try input.takeLine(limit: limits.wordVectorLineBytes) else {
        throw Self.endlessHeader(file)
      }
      guard header.words <= limits.words else {
        throw StorageError(
          .limitExceeded(
            limit: "words (word-vectors W-1)", maximum: limits.words, found: "\(header.words)"),
          file: file.path, offset: 0)
      }
      // A binary row has a space and four bytes a number, a text row a blank and a digit a number.
      let rowByteCount = self.format == .word2vecBinary ? 1 + dimensions * 4 : dimensions * 2
      guard header.words <= input.remaining / rowByteCount + 1 else {
        throw StorageError(
          .truncated(
            part: "rows (word-vectors W-2)", expectedBytes: header.words * rowByteCount,
            foundBytes: input.remaining),
          file: file.path, offset: input.offset)
      }
    }
    self.file = file
    firstRow = input.offset
  }

  private static func endlessHeader(_ file: InputFile) -> StorageError {
    StorageError(
      .malformed(
        rule: "word-vectors W-1", expected: "a line of two whole numbers, words and dimensions",
        found: "a longer one"),
      file: file.path, offset: 0)
  }
}
