internal import GraftAdapters
internal import GraftCore
internal import GraftKernels

/// One thread of a merge: its buffers, and the factors of the tensor that it works on.
struct MergeWorker {
  private let plan: MergePlan
  private var input: Memory
  private var output: Memory
  private var tensor: Int?
  private var rightFactors: [MemorySlice] = []

  init(_ plan: MergePlan) throws(StorageError) {
    self.plan = plan
    input = try Memory(byteCount: MergeTile.byteCount)
    output = try Memory(byteCount: MergeTile.byteCount)
  }

  /// The new values of a tile, where they go in their tensor, and what happened to them.
  ///
  /// - Precondition: the tile isn't a copy.
  mutating func result(of tile: MergeTile) throws -> TileResult {
    let planned = plan.tensors[tile.tensor]
    let source = plan.source(of: planned)
    var (from, to) = (source.info.dtype, planned.info.dtype)
    let first: Int
    let shape: Shape
    switch tile.work {
    case .copy: preconditionFailure("a copy has no values in memory")
    case .transfer(let bytes):
      (from, to) = (.u8, .u8)
      first = bytes.lowerBound
      shape = [1, bytes.count]
    case .convert(let elements):
      first = elements.lowerBound
      shape = [1, elements.count]
    case .update(let rows):
      first = rows.lowerBound * planned.info.shape.columns
      shape = [rows.count, planned.info.shape.columns]
    }
    let old = try slice(&input, from, shape)
    try source.reader.read(source.tensor, at: first * from.layout.bytes, into: old)
    var result = TileResult(values: old, byteOffset: first * to.layout.bytes)
    if case .transfer = tile.work { return result }
    result.values = try slice(&output, to, shape)
    result.sums = LowRankUpdate.add(try factors(of: tile), to: old, into: result.values)
    return result
  }

  /// A slice of a buffer, which grows for rows that are longer than a tile.
  private func slice(_ memory: inout Memory, _ dtype: DType, _ shape: Shape)
    throws(StorageError) -> MemorySlice
  {
    let byteCount = shape.elementCount * dtype.layout.bytes
    if byteCount > memory.byteCount { memory = try Memory(byteCount: byteCount) }
    return MemorySlice(memory, dtype: dtype, shape: shape)
  }

  private mutating func factors(of tile: MergeTile) throws -> [LowRankUpdate.Factor] {
    guard case .update(let rows) = tile.work else { return [] }
    let updates = plan.tensors[tile.tensor].updates
    if tensor != tile.tensor {
      rightFactors = []
      rightFactors = try updates.map { try plan.rightFactor(of: $0) }
      tensor = tile.tensor
    }
    return try zip(updates, rightFactors).map { update, right in
      LowRankUpdate.Factor(
        b: try plan.leftFactor(of: update, rows: rows), a: right, scale: update.scale)
    }
  }
}

/// What became of a tile.
struct TileResult {
  /// The new values; good until the worker's next tile.
  var values: MemorySlice
  /// Where they go in their tensor.
  let byteOffset: Int
  /// What happened to the elements.
  var sums = LowRankUpdate.Sums()
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
