package import GraftCore

/// What a product knows of a matrix but for where it lies: element type, extents, and the strides of rows and columns.
package struct MatrixLayout: Sendable, Hashable {
  package let dtype: DType
  let rows: Int
  package let columns: Int
  /// Elements between rows; `columnStride` is 1, or the other way round when the matrix is read transposed.
  let rowStride: Int
  let columnStride: Int

  private init(
    _ dtype: DType, _ rows: Int, _ columns: Int, rowStride: Int, columnStride: Int
  ) {
    self.dtype = dtype
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
    self.columnStride = columnStride
  }

  init(_ dtype: DType, rows: Int, columns: Int, stride: Int? = nil) {
    self.init(dtype, rows, columns, rowStride: stride ?? columns, columnStride: 1)
  }

  /// A tensor as a matrix: all extents but the last are rows.
  package init(_ dtype: DType, _ shape: Shape) {
    self.init(dtype, rows: shape.rows, columns: shape.columns)
  }

  var transposed: MatrixLayout {
    MatrixLayout(dtype, columns, rows, rowStride: columnStride, columnStride: rowStride)
  }

  func transposed(if condition: Bool) -> MatrixLayout { condition ? transposed : self }

  var isTransposed: Bool { columnStride != 1 }

  /// A part with so many rows and columns.
  func part(rows: Int, columns: Int) -> MatrixLayout {
    MatrixLayout(dtype, rows, columns, rowStride: rowStride, columnStride: columnStride)
  }

  /// The same values in f32 with rows (or columns, when transposed) packed; itself when it is f32 already.
  var converted: MatrixLayout {
    guard dtype != .f32 else { return self }
    let memory = isTransposed ? transposed : self
    let packed = MatrixLayout(.f32, rows: memory.rows, columns: memory.columns)
    return isTransposed ? packed.transposed : packed
  }

  /// The bytes that a copy in f32 takes, if one is needed.
  var convertedByteCount: Int { dtype == .f32 ? 0 : rows * columns * 4 }

  /// Whether its rows are whole registers of consecutive values.
  var isReadableInRegisters: Bool { !isTransposed && columns % 16 == 0 }
}
