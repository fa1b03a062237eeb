internal import GraftCore

/// A part of a matrix with few enough rows and columns for memory.
struct MatrixBlock: Sendable {
  let rows: Range<Int>
  let columns: Range<Int>
  /// The columns of the whole matrix.
  let width: Int
  /// The rows of the whole matrix.
  let height: Int

  /// The most rows and the most columns: whole blocks of every quantized dtype.
  static let extent = 512

  /// Cuts a matrix into blocks, in order.
  ///
  /// - Precondition: the shape has two extents.
  static func all(of shape: Shape) -> [MatrixBlock] {
    let (height, width) = (shape[0], shape[1])
    guard height > 0, width > 0 else { return [] }
    return stride(from: 0, to: height, by: extent).flatMap { row in
      stride(from: 0, to: width, by: extent).map { column in
        MatrixBlock(
          rows: row..<min(row + extent, height), columns: column..<min(column + extent, width),
          width: width, height: height)
      }
    }
  }

  /// The same elements of the transposed matrix.
  var transposed: MatrixBlock {
    MatrixBlock(rows: columns, columns: rows, width: height, height: width)
  }

  /// Writes the block's values, of eight bytes each, column by column.
  func turn(_ values: RawSpan, into target: inout MutableRawSpan) {
    let (rowCount, columnCount) = (rows.count, columns.count)
    for row in 0..<rowCount {
      for column in 0..<columnCount {
        // Safety: RawSpan checks the bounds, and every bit pattern is a number.
        let value = unsafe values.unsafeLoad(
          fromByteOffset: (row * columnCount + column) * 8, as: UInt64.self)
        target.storeBytes(
          of: value, toByteOffset: (column * rowCount + row) * 8, as: UInt64.self)
      }
    }
  }
}
