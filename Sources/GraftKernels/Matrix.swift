internal import CKernels
internal import COpenBLAS
internal import GraftCore

/// A matrix in memory as a product sees it.
@unsafe struct Matrix {
  let start: UnsafeMutableRawPointer
  let layout: MatrixLayout

  private init(_ start: UnsafeMutableRawPointer, _ layout: MatrixLayout) {
    unsafe self.start = unsafe start
    unsafe self.layout = layout
  }

  init(
    _ start: UnsafeMutableRawPointer, _ dtype: DType, rows: Int, columns: Int, stride: Int? = nil
  ) {
    unsafe self.init(start, MatrixLayout(dtype, rows: rows, columns: columns, stride: stride))
  }

  /// A slice as a matrix: all extents but the last are rows.
  init(_ slice: MemorySlice, transposed: Bool = false) {
    unsafe self.init(
      slice.address, MatrixLayout(slice.dtype, slice.shape).transposed(if: transposed))
  }

  var dtype: DType { unsafe layout.dtype }
  var rows: Int { unsafe layout.rows }
  var columns: Int { unsafe layout.columns }
  var rowStride: Int { unsafe layout.rowStride }
  var columnStride: Int { unsafe layout.columnStride }
  var isTransposed: Bool { unsafe layout.isTransposed }

  var transposed: Matrix { unsafe Matrix(start, layout.transposed) }

  /// The part with these rows and columns.
  subscript(rows: Range<Int>, columns: Range<Int>) -> Matrix {
    let first = unsafe rows.lowerBound * rowStride + columns.lowerBound * columnStride
    return unsafe Matrix(
      start + first * dtype.layout.bytes, layout.part(rows: rows.count, columns: columns.count))
  }

  /// What BLAS calls the stride; at least the packed extent, even where only one row stands.
  fileprivate var leadingDimension: blasint {
    unsafe blasint(max(rowStride, columnStride, isTransposed ? rows : columns))
  }

  var floats: UnsafeMutablePointer<Float> {
    unsafe start.assumingMemoryBound(to: Float.self)
  }

  /// The same values as ``MatrixLayout/converted`` lays them out; itself when it is f32 already.
  func converted(by worker: Worker, for purpose: Worker.Purpose, level: Int32) -> Matrix {
    if unsafe dtype == .f32 { return unsafe self }
    let copy = unsafe Matrix(
      worker.reserve(layout.convertedByteCount, for: purpose), layout.converted)
    unsafe (isTransposed ? transposed : self).copy(
      to: isTransposed ? copy.transposed : copy, level: level)
    return unsafe copy
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
  /// bf16 by bf16 is multiplied so when `bf16` says it; everything else is computed in f32.
  func multiply(
    _ a: Matrix, _ b: Matrix, into c: Matrix, scale: Float = 1, accumulate: Bool = false,
    bf16: Bool, level: Int32
  ) {
    unsafe precondition(
      a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes of a product")
    let form = unsafe ProductForm(
      a: a.layout, b: b.layout, c: c.layout, isScaled: scale != 1, accumulates: accumulate)
    let isNarrow = bf16 && form.isNarrow
    if isNarrow, unsafe multiply(form, a, b, into: c) { return }
    let x = unsafe a.converted(by: self, for: .left, level: level)
    let y = unsafe b.converted(by: self, for: .right, level: level)
    let z =
      unsafe c.dtype == .f32
      ? c
      : Matrix(
        reserve(c.layout.convertedByteCount, for: .result), .f32, rows: c.rows, columns: c.columns)
    if unsafe accumulate && c.dtype != .f32 { unsafe c.copy(to: z, level: level) }
    if form.isSkinny {
      unsafe multiplySkinny(form, x, y, into: z, scale: scale, level: level)
    } else if unsafe isNarrow || !form.isWide || !multiply(form.wide, x, y, into: z) {
      unsafe cblas_sgemm(
        CblasRowMajor, x.isTransposed ? CblasTrans : CblasNoTrans,
        y.isTransposed ? CblasTrans : CblasNoTrans, blasint(a.rows), blasint(b.columns),
        blasint(a.columns), scale, x.floats, x.leadingDimension, y.floats,
        y.leadingDimension, accumulate ? 1 : 0, z.floats, blasint(z.rowStride))
    }
    if unsafe c.dtype != .f32 { unsafe z.copy(to: c, level: level) }
  }

  /// Lets oneDNN multiply; false when it can't.
  private func multiply(_ form: ProductForm, _ a: Matrix, _ b: Matrix, into c: Matrix) -> Bool {
    guard let oneDNN, let count = (try? oneDNN.prepare(form)) ?? nil else { return false }
    return unsafe oneDNN.run(
      a, b, into: c, scratch: count > 0 ? reserve(count, for: .library) : nil)
  }
}
