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
    if a.shape.rows <= Self.fewRows, pairs.allSatisfy({ Self.isReadable($0.b.dtype) }) {
      multiplyFewRows(a, pairs)
    } else {
      for (b, c) in pairs { gemm(a, transposed: false, b, transposed: true, into: c) }
    }
  }

  /// Whether the right operand of a product with few rows is read as it lies.
  static func isReadable(_ dtype: DType) -> Bool { dtype == .f32 || dtype == .bf16 }

  /// The scratch of ``multiplySiblings(_:_:)``.
  package func need(
    siblings a: MatrixLayout, _ pairs: [(b: MatrixLayout, c: MatrixLayout)]
  ) -> ScratchNeed {
    if a.rows <= Self.fewRows, pairs.allSatisfy({ Self.isReadable($0.b.dtype) }) {
      return needOfFewRows(pairs)
    }
    return pairs.reduce(into: ScratchNeed()) {
      $0.include(need(product: a, transposed: false, $1.b, transposed: true, into: $1.c))
    }
  }

  /// The scratch of ``multiplyFewRows(_:_:scale:accumulate:)``.
  func needOfFewRows(_ pairs: [(b: MatrixLayout, c: MatrixLayout)]) -> ScratchNeed {
    var need = ScratchNeed()
    guard let (b, c) = pairs.first else { return need }
    need.include(c.rows * b.columns * 4, for: .left)
    let rows = pairs.reduce(0) { $0 + $1.b.rows }
    let byteCount = pairs.reduce(0) { $0 + $1.b.rows * $1.b.columns * $1.b.dtype.layout.bytes }
    let length = lengthOfTask(rows: rows, byteCount: byteCount)
    for start in stride(from: 0, to: rows, by: length) {
      var first = 0
      for (b, c) in pairs {
        let own = (start..<min(rows, start + length)).clamped(to: first..<first + b.rows)
        need.include(c.part(rows: c.rows, columns: own.count).convertedByteCount, for: .result)
        first += b.rows
      }
    }
    return need
  }

  /// The rows of right operands that a task takes of so many with so many bytes.
  private func lengthOfTask(rows: Int, byteCount: Int) -> Int {
    let share = byteCount / pool.threadCount
    let tasks =
      pool.threadCount * min(Self.mostTasksPerThread, max(1, share / Self.leastBytesOfTask))
    return max(32, ((rows + tasks - 1) / tasks + 3) / 4 * 4)
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
    let length = lengthOfTask(rows: rows, byteCount: pairs.reduce(0) { $0 + $1.b.byteCount })
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
