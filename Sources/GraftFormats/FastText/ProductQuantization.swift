internal import GraftCore

/// A quantized matrix of a fastText model: a row is cut into parts, and each is the number of one of 256 centroids; perhaps
/// a row has a factor besides, by the same means.
struct ProductQuantization: Sendable {
  private let file: InputFile
  private let parts: Codebook
  /// Where the codes begin: a byte for each part of each row.
  private let codes: Int
  /// Where the codes of factors begin, and what they stand for.
  private let norms: (codes: Int, values: [Float])?

  /// The parts of rows and their centroids.
  private struct Codebook: Sendable {
    let count: Int
    let width: Int
    let lastWidth: Int
    let centroids: [Float]

    /// Where a centroid of a part begins.
    func place(part: Int, code: UInt8) -> Int {
      let isLast = part == count - 1
      return part * ProductQuantization.codeCount * width
        + Int(code) * (isLast ? lastWidth : width)
    }
  }

  private static let codeCount = 256

  /// Reads a matrix behind its extents.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  init(
    _ cursor: inout FastTextCursor, rows: Int, columns: Int, hasNorms: Bool, file: InputFile
  ) throws(StorageError) {
    let place = cursor.offset
    let codeCount = Int(try cursor.integer(Int32.self))
    guard codeCount >= 0 else {
      throw FastTextArguments.malformed("F-7", "codes", "\(codeCount)", file, place)
    }
    codes = try cursor.skip(codeCount)
    parts = try Self.codebook(&cursor, columns: columns)
    let (expected, overflow) = rows.multipliedReportingOverflow(by: parts.count)
    guard !overflow, codeCount == expected else {
      throw FastTextArguments.malformed(
        "F-7", "\(parts.count) codes a row", "\(codeCount) of \(rows) rows", file, place)
    }
    if hasNorms {
      let place = try cursor.skip(rows)
      norms = (place, try Self.codebook(&cursor, columns: 1).centroids)
    } else {
      norms = nil
    }
    self.file = file
  }

  private static func codebook(
    _ cursor: inout FastTextCursor, columns: Int
  ) throws(StorageError) -> Codebook {
    let place = cursor.offset
    let width = Int(try cursor.integer(Int32.self))
    let count = Int(try cursor.integer(Int32.self))
    let (part, last) = (try cursor.integer(Int32.self), try cursor.integer(Int32.self))
    guard width == columns, part > 0, count == (columns - 1) / Int(part) + 1,
      Int(last) == columns - (count - 1) * Int(part)
    else {
      throw FastTextArguments.malformed(
        "F-7", "parts that make up \(columns) columns",
        "\(count) parts of \(part), the last of \(last), for \(width)", cursor.file, place)
    }
    let byteCount = columns * Self.codeCount * 4
    let start = try cursor.skip(byteCount)
    let bytes = try cursor.file.bytes(at: start, count: byteCount)
    let centroids = (0..<columns * Self.codeCount).map {
      Float(bitPattern: bytes.littleEndian(at: $0 * 4, as: UInt32.self))
    }
    return Codebook(count: count, width: Int(part), lastWidth: Int(last), centroids: centroids)
  }

  /// Adds a row to a vector, in f32.
  func add(_ row: Int, to values: inout [Float]) throws(StorageError) {
    let row = (codes: codes + row * parts.count, norm: row)
    var factor: Float = 1
    if let norms {
      factor = norms.values[Int(try file.bytes(at: norms.codes + row.norm, count: 1)[0])]
    }
    let codes = try file.bytes(at: row.codes, count: parts.count)
    for (part, code) in codes.enumerated() {
      let place = parts.place(part: part, code: code)
      let width = part == parts.count - 1 ? parts.lastWidth : parts.width
      for column in 0..<width {
        values[part * parts.width + column] += factor * parts.centroids[place + column]
      }
    }
  }
}
