internal import CKernels
package import GraftCore

extension Kernels {
  /// Copies rows: target[i, :] = table[ids[i], :].
  ///
  /// table: [rows, columns]  ids: [count] i32  target: [count, columns], of any float types
  package func gatherRows(_ table: MemorySlice, ids: MemorySlice, into target: MemorySlice) {
    let columns = table.shape.columns
    let rows = table.shape.rows
    let level = level
    runs(of: ids.shape.elementCount, length: 64) { range, _ in
      for i in range {
        let id = ids.int32(i)
        precondition(id >= 0 && id < rows, "an id names a row of the table")
        unsafe graft_convert(
          level, table.address(element: id * columns), table.code,
          target.address(element: i * columns), target.code, Int64(columns))
      }
    }
  }

  /// Adds rows: table[ids[i], :] += gradient[i, :], in the order of `i`.
  ///
  /// gradient: [count, columns]  ids: [count] i32  table: [rows, columns] f32
  package func scatterAddRows(_ gradient: MemorySlice, ids: MemorySlice, into table: MemorySlice) {
    precondition(table.dtype == .f32, "gradients are summed in f32")
    let columns = table.shape.columns
    let rows = table.shape.rows
    let (level, workers) = (level, workers)
    // Tasks own columns, so that rows may repeat.
    runs(of: columns, length: Self.columnsOfTask) { range, worker in
      let row = unsafe workers[worker].floats(range.count)
      for i in 0..<ids.shape.elementCount {
        let id = ids.int32(i)
        precondition(id >= 0 && id < rows, "an id names a row of the table")
        unsafe graft_convert(
          level, gradient.address(element: i * columns + range.lowerBound), gradient.code, row, 0,
          Int64(range.count))
        unsafe graft_add_scaled(
          level, row, 1,
          table.floats(element: id * columns + range.lowerBound), Int64(range.count))
      }
    }
  }
  private static let columnsOfTask = 128

  /// The scratch of ``scatterAddRows(_:ids:into:)`` for rows of so many columns.
  package func need(scatterAddOfColumns columns: Int) -> ScratchNeed {
    var need = ScratchNeed()
    need.include(min(columns, Self.columnsOfTask) * 4, for: .task)
    return need
  }
}
