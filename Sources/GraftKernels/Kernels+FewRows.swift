internal import CKernels
package import GraftCore

/// Products with a few rows, as in generation: what counts is reading the right operand once, at the speed of memory.
extension Kernels {
  /// The rows up to which a product is bound by the reading of its right operand.
  package static let fewRows = 4

  /// A task reads so much at the least: memory is fetched ahead in order, and each task starts anew.
  private static let leastBytesOfTask = 512 << 10
  private static let mostTasksPerThread = 4

  /// c = a·bᵀ for each pair; with few rows of a, in one job.
  package func multiplySiblings(
    _ a: MemorySlice, _ pairs: [(b: MemorySlice, c: MemorySlice)]
  ) {
    if a.shape.rows <= Self.fewRows, pairs.allSatisfy({ [.f32, .bf16].contains($0.b.dtype) }) {
      multiplyFewRows(a, pairs)
    } else {
      for (b, c) in pairs { gemm(a, transposed: false, b, transposed: true, into: c) }
    }
  }

  /// c (+)= scale·a·bᵀ for each pair.
  ///
  /// Every row of a right operand is a sum of its own, so how they are shared changes no bit: all of them stand behind each
  /// other, and are cut evenly into few enough tasks.
  func multiplyFewRows(
    _ a: MemorySlice, _ pairs: [(b: MemorySlice, c: MemorySlice)], scale: Float = 1,
    accumulate: Bool = false
  ) {
    guard let (b, c) = pairs.first else { return }
    let (m, k) = (c.shape.rows, b.shape.columns)
    let (level, workers) = (level, workers)
    let rows = pairs.reduce(0) { $0 + $1.b.shape.rows }
    let share = pairs.reduce(0) { $0 + $1.b.byteCount } / pool.threadCount
    let tasks =
      pool.threadCount * min(Self.mostTasksPerThread, max(1, share / Self.leastBytesOfTask))
    let length = max(32, ((rows + tasks - 1) / tasks + 3) / 4 * 4)
    runs(of: rows, length: length) { range, worker in
      let worker = workers[worker]
      let x = unsafe Matrix(worker.floats(m * k, for: .left), .f32, rows: m, columns: k)
      unsafe Matrix(a.address, a.dtype, rows: m, columns: k).copy(to: x, level: level)
      var first = 0
      for (b, c) in pairs {
        let own = range.clamped(to: first..<first + b.shape.rows)
        if !own.isEmpty {
          unsafe worker.multiplyFewRows(
            x, b, into: Matrix(c), columns: own.lowerBound - first..<own.upperBound - first,
            scale: scale, accumulate: accumulate, level: level)
        }
        first += b.shape.rows
      }
    }
  }
}

extension Worker {
  /// Some columns of c (+)= scale·x·bᵀ; x is packed f32.
  fileprivate func multiplyFewRows(
    _ x: Matrix, _ b: MemorySlice, into c: Matrix, columns: Range<Int>, scale: Float,
    accumulate: Bool, level: Int32
  ) {
    let (m, k) = unsafe (x.rows, x.columns)
    let part = unsafe c[0..<m, columns]
    let y =
      unsafe c.dtype == .f32
      ? part
      : Matrix(floats(m * columns.count, for: .result), .f32, rows: m, columns: columns.count)
    if unsafe accumulate && c.dtype != .f32 { unsafe part.copy(to: y, level: level) }
    unsafe graft_few_rows(
      level, x.floats, Int64(m), b.address(element: columns.lowerBound * k),
      b.dtype == .bf16 ? 1 : 0, y.floats, Int64(y.rowStride), Int64(columns.count), Int64(k),
      scale, accumulate ? 1 : 0)
    if unsafe c.dtype != .f32 { unsafe y.copy(to: part, level: level) }
  }
}
