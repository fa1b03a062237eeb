internal import CKernels
package import GraftCore

extension Kernels {
  /// c = scale·op(a)·op(b), or added to c when accumulating; sums are in f32.
  ///
  /// op(a): [M, K]  op(b): [K, N]  c: [M, N], of f32, bf16 or f16 in any mixture; the leading extents of an operand
  /// count as rows. Between bf16 operands the products are those of bf16; an f32 operand is never rounded.
  package func gemm(
    _ a: MemorySlice, transposed aTransposed: Bool = false, _ b: MemorySlice,
    transposed bTransposed: Bool = false, into c: MemorySlice, scale: Float = 1,
    accumulate: Bool = false
  ) {
    let (m, n) = (c.shape.rows, c.shape.columns)
    let k = aTransposed ? a.shape.rows : a.shape.columns
    precondition(
      (aTransposed ? a.shape.columns : a.shape.rows) == m
        && (bTransposed ? b.shape.columns : b.shape.rows) == k
        && (bTransposed ? b.shape.rows : b.shape.columns) == n,
      "the shapes \(a.shape), \(b.shape), \(c.shape) make a product")
    guard m > 0, n > 0 else { return }
    let (level, bf16, workers) = (level, hasBF16DotProduct, workers)
    let panels: Panels
    switch cut(
      m: m, n: n, k: k, aTransposed, b.dtype, bTransposed, isSum: scale == 1 && !accumulate)
    {
    case .fewRows: return multiplyFewRows(a, [(b, c)], scale: scale, accumulate: accumulate)
    case .lanes(let lanes): return sumProducts(a, b, into: c, lanes)
    case .panels(let cut): panels = cut
    }
    pool.run(count: panels.count) { task, worker in
      let (rows, columns) = panels[task]
      unsafe workers[worker].multiply(
        Matrix(a, transposed: aTransposed)[rows, 0..<k],
        Matrix(b, transposed: bTransposed)[0..<k, columns],
        into: Matrix(c)[rows, columns], scale: scale, accumulate: accumulate, bf16: bf16,
        level: level)
    }
  }
}

extension Kernels {
  /// How a product of whole matrices is cut into tasks.
  private enum Cut {
    /// Runs of columns of a result with few rows.
    case fewRows
    /// Lanes of the rows that are summed over.
    case lanes(RowLanes)
    /// Panels of the result.
    case panels(Panels)
  }

  private func cut(
    m: Int, n: Int, k: Int, _ aTransposed: Bool, _ b: DType, _ bTransposed: Bool, isSum: Bool
  ) -> Cut {
    if m <= Self.fewRows, !aTransposed || m == 1, bTransposed, Self.isReadable(b) {
      return .fewRows
    }
    if aTransposed, !bTransposed, isSum, RowChain.sumsProducts(m: m, n: n, rows: k) {
      return .lanes(RowLanes(rows: k))
    }
    return .panels(Panels(m: m, n: n, k: k))
  }

  /// The scratch of ``gemm(_:transposed:_:transposed:into:scale:accumulate:)`` without scale and accumulation.
  package func need(
    product a: MatrixLayout, transposed aTransposed: Bool, _ b: MatrixLayout,
    transposed bTransposed: Bool, into c: MatrixLayout
  ) -> ScratchNeed {
    let (m, n) = (c.rows, c.columns)
    let k = aTransposed ? a.rows : a.columns
    var need = ScratchNeed()
    guard m > 0, n > 0 else { return need }
    switch cut(m: m, n: n, k: k, aTransposed, b.dtype, bTransposed, isSum: true) {
    case .fewRows: need.include(needOfFewRows([(b, c)]))
    case .lanes(let lanes):
      need.includeShared(LaneSums.byteCount(count: lanes.count, width: m * n))
      need.include(lanes, sumOf: a, b, bf16: hasBF16DotProduct)
    case .panels(let panels):
      let (left, right) = (
        a.transposed(if: aTransposed), b.transposed(if: bTransposed)
      )
      for rows in panels.rowExtents {
        for columns in panels.columnExtents {
          need.include(
            ProductForm(
              a: left.part(rows: rows, columns: k), b: right.part(rows: k, columns: columns),
              c: c.part(rows: rows, columns: columns)), bf16: hasBF16DotProduct)
        }
      }
    }
    return need
  }
}

extension Kernels {
  /// c = aᵀ·b, a sum over many rows with few results, by lanes of rows.
  private func sumProducts(
    _ a: MemorySlice, _ b: MemorySlice, into c: MemorySlice, _ lanes: RowLanes
  ) {
    let (m, n) = (c.shape.rows, c.shape.columns)
    let (level, bf16, workers) = (level, hasBF16DotProduct, workers)
    shared.lend(LaneSums.byteCount(count: lanes.count, width: m * n)) { memory in
      let sums = LaneSums(in: memory, count: lanes.count, width: m * n)
      pool.run(count: lanes.count) { lane, worker in
        let sum = unsafe Matrix(sums.floats(lane: lane), .f32, rows: m, columns: n)
        lanes.forEachTile(of: lane) { rows, isFirst in
          unsafe workers[worker].multiply(
            Matrix(a)[rows, 0..<m].transposed, Matrix(b)[rows, 0..<n], into: sum,
            accumulate: !isFirst, bf16: bf16, level: level)
        }
      }
      sums.add(level: level, [(0, c)])
    }
  }
}

extension ScratchNeed {
  /// Adds the products of lanes that sum aᵀ·b over their rows.
  mutating func include(
    _ lanes: RowLanes, sumOf a: MatrixLayout, _ b: MatrixLayout, bf16: Bool
  ) {
    let result = MatrixLayout(.f32, rows: a.columns, columns: b.columns)
    for rows in lanes.tileExtents {
      for accumulates in [false, true] {
        include(
          ProductForm(
            a: a.part(rows: rows, columns: a.columns).transposed,
            b: b.part(rows: rows, columns: b.columns), c: result, accumulates: accumulates),
          bf16: bf16)
      }
    }
  }
}

/// How a product is cut into tasks: a function of its shape alone.
struct Panels: Sendable {
  let m: Int
  let n: Int
  let rowsPerPanel: Int
  let columnsPerPanel: Int

  init(m: Int, n: Int, k: Int) {
    self.m = m
    self.n = n
    rowsPerPanel = min(m, RowChain.rowsPerTile)
    let rowPanels = (m + rowsPerPanel - 1) / rowsPerPanel
    // Enough tasks for a few threads, and operands that fit a worker's scratch after conversion.
    let wished = rowPanels >= 12 ? n : max(128, (n * rowPanels / 12 + 63) / 64 * 64)
    columnsPerPanel = min(n, wished, max(64, (1 << 21) / max(k, 1) / 64 * 64))
  }

  /// The rows that panels have: of whole ones, and of the last.
  var rowExtents: [Int] { extents(of: m, by: rowsPerPanel) }
  /// The columns that panels have: of whole ones, and of the last.
  var columnExtents: [Int] { extents(of: n, by: columnsPerPanel) }

  var columnPanels: Int { (n + columnsPerPanel - 1) / columnsPerPanel }
  var count: Int { (m + rowsPerPanel - 1) / rowsPerPanel * columnPanels }

  subscript(task: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let row = task / columnPanels * rowsPerPanel
    let column = task % columnPanels * columnsPerPanel
    return (row..<min(m, row + rowsPerPanel), column..<min(n, column + columnsPerPanel))
  }
}

/// The lengths of the parts that a count is cut into.
func extents(of count: Int, by length: Int) -> [Int] {
  (count >= length ? [length] : []) + (count % length > 0 ? [count % length] : [])
}
