internal import CKernels
internal import GraftCore

extension Worker {
  /// z = scale·x·y (+ z) in f32 where one extent is small.
  func multiplySkinny(
    _ form: ProductForm, _ x: Matrix, _ y: Matrix, into z: Matrix, scale: Float, level: Int32
  ) {
    let (k, n) = unsafe (y.rows, y.columns)
    var right = unsafe y.floats
    var stride = unsafe y.rowStride
    if form.packedCount > 0 {
      unsafe right = unsafe floats(form.packedCount, for: .packed)
      stride = form.packedWidth
      unsafe pack(y, at: right, width: stride, filled: stride, level: level)
    }
    unsafe graft_skinny(
      level, x.floats, Int64(x.rowStride), Int64(x.columnStride), right, Int64(stride), z.floats,
      Int64(z.rowStride), Int64(x.rows), Int64(n), Int64(k), scale, form.accumulates ? 1 : 0)
  }

  /// c = a·b for each pair of matrices with few columns, with the bits of each product alone.
  ///
  /// The right operands are packed side by side, so that `a` is converted and read once for all of them.
  func multiplySiblings(
    _ a: Matrix, _ pairs: [(b: Matrix, c: Matrix)], bf16: Bool, level: Int32
  ) {
    let areWide = unsafe pairs.allSatisfy { unsafe $0.b.dtype != .bf16 }
    guard unsafe Self.joins(a.dtype, areWide: areWide, bf16: bf16) else {
      for index in unsafe pairs.indices {
        unsafe multiply(a, pairs[index].b, into: pairs[index].c, bf16: bf16, level: level)
      }
      return
    }
    let (rows, k) = unsafe (a.rows, a.columns)
    let n = unsafe pairs.reduce(0) { unsafe $0 + $1.b.columns }
    let width = ProductForm.packedWidth(n)
    let x = unsafe a.converted(by: self, for: .left, level: level)
    let right = unsafe floats(k * width, for: .packed)
    var first = 0
    for index in unsafe pairs.indices {
      let y = unsafe pairs[index].b.converted(by: self, for: .right, level: level)
      let filled = unsafe index == pairs.count - 1 ? width - first : y.columns
      unsafe pack(y, at: right + first, width: width, filled: filled, level: level)
      unsafe first += y.columns
    }
    let result = unsafe Matrix(
      floats(rows * width, for: .result), .f32, rows: rows, columns: width)
    unsafe graft_skinny(
      level, x.floats, Int64(x.rowStride), Int64(x.columnStride), right, Int64(width),
      result.floats, Int64(width), Int64(rows), Int64(n), Int64(k), 1, 0)
    first = 0
    for index in unsafe pairs.indices {
      let c = unsafe pairs[index].c
      unsafe result[0..<rows, first..<first + c.columns].copy(to: c, level: level)
      unsafe first += c.columns
    }
  }

  private func pack(
    _ y: Matrix, at right: UnsafeMutablePointer<Float>, width: Int, filled: Int, level: Int32
  ) {
    unsafe graft_pack(
      level, y.floats, Int64(y.rowStride), Int64(y.columnStride), right, Int64(width),
      Int64(y.rows), Int64(y.columns), Int64(filled))
  }
}

extension Worker {
  /// Whether products of one operand are made as one: those of bf16 values have a kernel of their own.
  ///
  /// - Parameter areWide: Whether no right operand is bf16.
  fileprivate static func joins(_ a: DType, areWide: Bool, bf16: Bool) -> Bool {
    !bf16 || a != .bf16 || areWide
  }
}

extension ScratchNeed {
  /// Adds products c = a·b of one operand on one thread.
  mutating func include(
    siblings a: MatrixLayout, _ pairs: [(b: MatrixLayout, c: MatrixLayout)], bf16: Bool
  ) {
    let areWide = pairs.allSatisfy { $0.b.dtype != .bf16 }
    guard Worker.joins(a.dtype, areWide: areWide, bf16: bf16) else {
      for (b, c) in pairs { include(ProductForm(a: a, b: b, c: c), bf16: bf16) }
      return
    }
    let width = ProductForm.packedWidth(pairs.reduce(0) { $0 + $1.b.columns })
    include(a.convertedByteCount, for: .left)
    for (b, _) in pairs { include(b.convertedByteCount, for: .right) }
    include(a.columns * width * 4, for: .packed)
    include(a.rows * width * 4, for: .result)
  }
}
