internal import CKernels
internal import COneDNN
internal import COpenBLAS
internal import GraftCore

/// A matrix in memory as a product sees it: where it starts, its element type, and the strides of its rows and columns.
@unsafe struct Matrix {
  let start: UnsafeMutableRawPointer
  let dtype: DType
  let rows: Int
  let columns: Int
  /// Elements between rows; `columnStride` is 1, or the other way round when the matrix is read transposed.
  let rowStride: Int
  let columnStride: Int

  init(
    _ start: UnsafeMutableRawPointer, _ dtype: DType, rows: Int, columns: Int, stride: Int? = nil
  ) {
    unsafe self.start = unsafe start
    unsafe self.dtype = dtype
    unsafe self.rows = rows
    unsafe self.columns = columns
    unsafe self.rowStride = stride ?? columns
    unsafe self.columnStride = 1
  }

  private init(
    _ start: UnsafeMutableRawPointer, _ dtype: DType, _ rows: Int, _ columns: Int, _ rowStride: Int,
    _ columnStride: Int
  ) {
    unsafe self.start = unsafe start
    unsafe self.dtype = dtype
    unsafe self.rows = rows
    unsafe self.columns = columns
    unsafe self.rowStride = rowStride
    unsafe self.columnStride = columnStride
  }

  /// A slice as a matrix: all extents but the last are rows.
  init(_ slice: MemorySlice, transposed: Bool = false) {
    let matrix = unsafe Matrix(
      slice.address, slice.dtype, rows: slice.shape.rows, columns: slice.shape.columns)
    unsafe self = transposed ? matrix.transposed : matrix
  }

  var transposed: Matrix {
    unsafe Matrix(start, dtype, columns, rows, columnStride, rowStride)
  }

  var isTransposed: Bool { unsafe columnStride != 1 }

  /// The part with these rows and columns.
  subscript(rows: Range<Int>, columns: Range<Int>) -> Matrix {
    let first = unsafe rows.lowerBound * rowStride + columns.lowerBound * columnStride
    return unsafe Matrix(
      start + first * dtype.layout.bytes, dtype, rows.count, columns.count, rowStride, columnStride)
  }

  /// What BLAS calls the stride; at least the packed extent, even where only one row stands.
  fileprivate var leadingDimension: blasint {
    unsafe blasint(max(rowStride, columnStride, isTransposed ? rows : columns))
  }

  /// Whether its rows are whole registers of consecutive values.
  var isReadableInRegisters: Bool { unsafe !isTransposed && columns % 16 == 0 }

  var floats: UnsafeMutablePointer<Float> {
    unsafe start.assumingMemoryBound(to: Float.self)
  }

  /// The same values in f32 with rows (or columns, when transposed) packed; itself when it is f32 already.
  func converted(by worker: Worker, for purpose: Worker.Purpose, level: Int32) -> Matrix {
    if unsafe dtype == .f32 { return unsafe self }
    let memory = unsafe isTransposed ? transposed : self
    let copy = unsafe Matrix(
      worker.reserve(memory.rows * memory.columns * 4, for: purpose), .f32, rows: memory.rows,
      columns: memory.columns)
    unsafe memory.copy(to: copy, level: level)
    return unsafe isTransposed ? copy.transposed : copy
  }

  /// Converts row by row; neither is transposed.
  func copy(to target: Matrix, level: Int32) {
    for row in unsafe 0..<rows {
      unsafe graft_convert(
        level, start + row * rowStride * dtype.layout.bytes, dtype.code,
        target.start + row * target.rowStride * target.dtype.layout.bytes, target.dtype.code,
        Int64(columns))
    }
  }
}

extension Worker {
  /// c = scale·a·b (+ c) on this thread alone; c is not transposed.
  ///
  /// bf16 by bf16 goes to oneDNN when `bf16` says so; everything else is computed in f32.
  func multiply(
    _ a: Matrix, _ b: Matrix, into c: Matrix, scale: Float = 1, accumulate: Bool = false,
    bf16: Bool, level: Int32
  ) {
    unsafe precondition(
      a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes of a product")
    if unsafe bf16 && scale == 1 && a.dtype == .bf16 && b.dtype == .bf16
      && (c.dtype == .bf16 || c.dtype == .f32), let context = unsafe onednn
    {
      var product = unsafe graft_onednn_product(
        m: Int64(a.rows), n: Int64(b.columns), k: Int64(a.columns), a_row: Int64(a.rowStride),
        a_column: Int64(a.columnStride), b_row: Int64(b.rowStride),
        b_column: Int64(b.columnStride), c_row: Int64(c.rowStride),
        c_is_f32: c.dtype == .f32 ? 1 : 0, accumulate: accumulate ? 1 : 0)
      if unsafe graft_onednn_multiply(context, &product, a.start, b.start, c.start) != 0 { return }
    }
    let x = unsafe a.converted(by: self, for: .left, level: level)
    let y = unsafe b.converted(by: self, for: .right, level: level)
    let z =
      unsafe c.dtype == .f32
      ? c
      : Matrix(
        reserve(c.rows * c.columns * 4, for: .result), .f32, rows: c.rows, columns: c.columns)
    if unsafe accumulate && c.dtype != .f32 { unsafe c.copy(to: z, level: level) }
    let isNarrow = unsafe min(b.columns, a.columns) <= RowChain.skinny
    let isFlat = unsafe a.rows <= RowChain.skinny
    let isReadable = unsafe y.isReadableInRegisters
    if isNarrow || isFlat && isReadable {
      unsafe multiplySkinny(x, y, into: z, scale: scale, accumulate: accumulate, level: level)
    } else {
      unsafe cblas_sgemm(
        CblasRowMajor, x.isTransposed ? CblasTrans : CblasNoTrans,
        y.isTransposed ? CblasTrans : CblasNoTrans, blasint(a.rows), blasint(b.columns),
        blasint(a.columns), scale, x.floats, x.leadingDimension, y.floats,
        y.leadingDimension, accumulate ? 1 : 0, z.floats, blasint(z.rowStride))
    }
    if unsafe c.dtype != .f32 { unsafe z.copy(to: c, level: level) }
  }
}
