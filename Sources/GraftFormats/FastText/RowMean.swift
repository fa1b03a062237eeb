internal import GraftCore

/// The mean of some rows of a matrix of f32, added up in their order in f32 as fastText does.
struct RowMean {
  /// The mean, after ``take(_:add:)``.
  private(set) var values: [Float]
  private var buffer: [Float]

  init(dimensions: Int) {
    values = [Float](repeating: 0, count: dimensions)
    buffer = values
  }

  /// Takes the mean of rows; zero without any.
  ///
  /// - Parameter add: Adds a row to a vector; the last argument is room for a row.
  mutating func take(
    _ rows: [Int],
    add: (_ row: Int, _ values: inout [Float], _ buffer: inout [Float]) throws(StorageError) -> Void
  ) throws(StorageError) {
    for column in values.indices { values[column] = 0 }
    for row in rows { try add(row, &values, &buffer) }
    guard !rows.isEmpty else { return }
    let share = Float(1.0 / Double(rows.count))
    for column in values.indices { values[column] *= share }
  }

  /// Copies the part of the mean that falls into a buffer in which it would begin at `offset`.
  func copy(into buffer: inout MutableRawSpan, at offset: Int) {
    values.withRawBytes { bytes in
      let part = max(offset, 0)..<min(offset + bytes.byteCount, buffer.byteCount)
      for place in part {
        // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
        let byte = unsafe bytes.unsafeLoad(fromByteOffset: place - offset, as: UInt8.self)
        buffer.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
      }
    }
  }
}
