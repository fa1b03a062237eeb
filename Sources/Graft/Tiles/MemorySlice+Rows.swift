internal import GraftCore

extension MemorySlice {
  /// One row of a matrix: [1, columns].
  func row(_ row: Int) -> MemorySlice {
    MemorySlice(
      memory, at: byteOffset + row * shape.columns * dtype.layout.bytes, dtype: dtype,
      shape: [1, shape.columns])
  }

  /// The transpose of an f32 matrix, in memory of its own.
  func transposed() throws(StorageError) -> MemorySlice {
    let (rows, columns) = (shape.rows, shape.columns)
    let old = floats()
    var new = [Float](repeating: 0, count: old.count)
    for row in 0..<rows {
      for column in 0..<columns { new[column * rows + row] = old[row * columns + column] }
    }
    return try MemorySlice(copying: new, [columns, rows])
  }
}
