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
  public var count: Int { rows.count }

  private var rows: WordVectorRows

  /// Opens a file, recognizing its format unless it is given.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  public init(
    path: String, format: WordVectorFormat? = nil, options: WordVectorOptions = WordVectorOptions()
  ) throws(StorageError) {
    let start = try WordVectorStart(InputFile(path: path), format: format, options: options)
    self.format = start.format
    self.dimensions = start.dimensions
    self.declaredCount = start.declaredCount
    self.row = [Float](repeating: 0, count: start.dimensions)
    self.rows = WordVectorRows(
      start, at: start.firstRow, line: start.firstLine, count: 0, options: options)
  }

  /// The file's path.
  public var path: String { rows.window.file.path }

  /// Reads the next row into ``word`` and ``row``; false at the end.
  /// - Throws: ``StorageError`` with the broken rule, the line of a text and the byte.
  public mutating func next() throws(StorageError) -> Bool {
    guard try rows.next() else {
      if let declaredCount, count < declaredCount {
        throw .missingRows(
          declared: declaredCount, found: count, file: path, offset: rows.window.offset)
      }
      return false
    }
    try rows.checkRoom(declaredCount: declaredCount)
    let range = try row.withMutableRawBytes {
      (bytes: inout MutableRawSpan) throws(StorageError) in
      try rows.read(into: &bytes, at: 0)
    }
    try rows.check(word: range)
    word.removeAll(keepingCapacity: true)
    word.append(contentsOf: rows.window.bytes[range])
    return true
  }
}
