internal import GraftAdapters
internal import GraftCore

/// The factors that all rows of a tensor share, of the tensors that were asked for last.
struct MergeFactors: Sendable {
  private var held: [(tensor: Int, factors: [MemorySlice])] = []

  /// Threads work on two tensors at most where one ends and the next begins.
  private static let tensorCount = 2

  /// The factors A of a tensor's updates, or the transposes of B: [rank, columns] each.
  mutating func right(of tensor: Int, in plan: MergePlan) throws(StorageError) -> [MemorySlice] {
    if let known = held.first(where: { $0.tensor == tensor }) { return known.factors }
    if held.count == Self.tensorCount { held.removeFirst() }
    var factors: [MemorySlice] = []
    for update in plan.tensors[tensor].updates {
      factors.append(try plan.rightFactor(of: update))
    }
    held.append((tensor, factors))
    return factors
  }
}

extension MergePlan {
  /// Where a tensor's old values are read: in the base, or in the adapter that replaces it.
  func source(of planned: Planned) -> (reader: any CheckpointReader, tensor: Int, info: TensorInfo)
  {
    let reader = planned.replacement.map { adapters[$0.adapter] } ?? base.reader
    let tensor = planned.replacement?.tensor ?? planned.source
    return (reader, tensor, reader.tensors[tensor])
  }

  /// The factor that all rows of a tensor share: A, or the transpose of B.  [rank, columns]
  func rightFactor(of update: Update) throws(StorageError) -> MemorySlice {
    let reader = adapters[update.adapter]
    guard update.isTransposed else { return try reader.f32Contents(of: update.module.a) }
    return try reader.f32Contents(of: update.module.b).transposed()
  }

  /// The factor of some rows: rows of B, or the transpose of columns of A.  [rows, rank]
  func leftFactor(of update: Update, rows: Range<Int>) throws(StorageError) -> MemorySlice {
    let reader = adapters[update.adapter]
    let rank = update.module.rank
    guard update.isTransposed else {
      return try reader.f32Elements(
        of: update.module.b, from: rows.lowerBound * rank, shape: [rows.count, rank])
    }
    let part = try MemorySlice(allocating: .f32, [rank, rows.count])
    let columns = reader.tensors[update.module.a].shape.columns
    for row in 0..<rank {
      let piece = try reader.f32Elements(
        of: update.module.a, from: row * columns + rows.lowerBound, shape: [1, rows.count])
      part.row(row).replaceBytes(piece.bytes)
    }
    return try part.transposed()
  }
}
