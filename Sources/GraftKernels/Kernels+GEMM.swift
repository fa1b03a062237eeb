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
    if m <= Self.fewRows, !aTransposed || m == 1, bTransposed, [.f32, .bf16].contains(b.dtype) {
      return multiplyFewRows(a, [(b, c)], scale: scale, accumulate: accumulate)
    }
    if aTransposed, !bTransposed, scale == 1, !accumulate,
      RowChain.sumsProducts(m: m, n: n, rows: k)
    {
      return sumProducts(a, b, into: c)
    }
    let panels = Panels(m: m, n: n, k: k)
    let (level, bf16, workers) = (level, hasBF16DotProduct, workers)
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
  /// c = aᵀ·b, a sum over many rows with few results, by lanes of rows.
  private func sumProducts(_ a: MemorySlice, _ b: MemorySlice, into c: MemorySlice) {
    let (m, n) = (c.shape.rows, c.shape.columns)
    let lanes = RowLanes(rows: a.shape.rows)
    let sums = LaneSums(count: lanes.count, width: m * n)
    let (level, bf16, workers) = (level, hasBF16DotProduct, workers)
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

  var columnPanels: Int { (n + columnsPerPanel - 1) / columnsPerPanel }
  var count: Int { (m + rowsPerPanel - 1) / rowsPerPanel * columnPanels }

  subscript(task: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let row = task / columnPanels * rowsPerPanel
    let column = task % columnPanels * columnsPerPanel
    return (row..<min(m, row + rowsPerPanel), column..<min(n, column + columnsPerPanel))
  }
}
