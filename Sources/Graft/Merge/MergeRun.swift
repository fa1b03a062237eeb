internal import GraftAdapters
internal import GraftCore
internal import GraftKernels
internal import Synchronization

/// The tiles of a plan, worked on by a few threads.
struct MergeRun {
  private let plan: MergePlan
  private let tiles: [MergeTile]
  private let threadCount: Int
  /// What happened to each tensor of the plan; zero for copied ones.
  private(set) var sums: [LowRankUpdate.Sums]

  init(_ plan: MergePlan, threadCount: Int) {
    self.plan = plan
    self.threadCount = threadCount
    tiles = MergeTile.all(of: plan)
    sums = Array(repeating: LowRankUpdate.Sums(), count: plan.tensors.count)
  }

  /// Computes and writes all tiles.
  mutating func write(to writer: any CheckpointWriter, _ progress: Progress) throws {
    let places = writer.positions
    let (plan, tiles) = (plan, tiles)
    let results = Mutex([LowRankUpdate.Sums](repeating: .init(), count: tiles.count))
    try forEachTile { index, worker in
      let tile = tiles[index]
      guard let place = places[plan.tensors[tile.tensor].info.name] else { return }
      if case .copy(let extent) = tile.work {
        try writer.copy(extent, to: place)
        progress.advance(extent.range.count)
        return
      }
      let result = try worker.result(of: tile)
      try writer.write(result.values.bytes, of: place, at: result.byteOffset)
      results.withLock { $0[index] = result.sums }
      progress.advance(result.values.byteCount)
    }
    // In the order of the tiles, so that the sums don't depend on the threads.
    results.withLock { results in
      for (tile, result) in zip(tiles, results) { sums[tile.tensor] += result }
    }
  }

  /// Checks that no finite value became NaN or infinite.
  ///
  /// - Throws: ``AdapterError/Reason/overflow(tensor:count:)``; where a tensor only changes its dtype,
  ///   ``StorageError/Reason/notRepresentable(what:inFormat:)``.
  func checkFinite() throws {
    for (planned, sums) in zip(plan.tensors, sums) where sums.notFiniteCount > 0 {
      guard planned.isUntouched else {
        throw AdapterError(.overflow(tensor: planned.info.name, count: sums.notFiniteCount))
      }
      throw StorageError(
        .notRepresentable(
          what: "\(sums.notFiniteCount) values of the base", inFormat: planned.info.dtype.rawValue),
        file: plan.base.path, tensor: planned.info.name, remedy: "choose another --dtype")
    }
  }

  /// Computes all touched tiles once more and compares them with what was written.
  ///
  /// - Returns: The bytes compared.
  /// - Throws: ``StorageError`` naming the tensor that differs.
  func compare(with written: OpenedCheckpoint) throws -> Int {
    let places = written.reader.positions
    let (plan, tiles) = (plan, tiles)
    let total = Atomic<Int>(0)
    try forEachTile { index, worker in
      let tile = tiles[index]
      let planned = plan.tensors[tile.tensor]
      if case .copy = tile.work { return }
      let result = try worker.result(of: tile)
      let stored = try MemorySlice(allocating: .u8, [result.values.byteCount])
      guard let place = places[planned.info.name] else {
        throw StorageError(.notFound, file: written.path, tensor: planned.info.name)
      }
      try written.reader.read(place, at: result.byteOffset, into: stored)
      guard stored.hasBytes(of: result.values) else {
        throw StorageError(
          .mismatch(
            subject: "what was written", expected: "base and adapters merged",
            found: "other values"),
          file: written.path, tensor: planned.info.name, offset: result.byteOffset)
      }
      total.add(stored.byteCount, ordering: .relaxed)
    }
    return total.load(ordering: .relaxed)
  }

  /// Gives every tile to some thread, in order; the first error stops them all.
  private func forEachTile(
    _ body: @Sendable (_ tile: Int, _ worker: inout MergeWorker) throws -> Void
  ) throws {
    let plan = plan
    try shareOut(
      tiles.count, threadCount: threadCount, worker: { try MergeWorker(plan) }, body)
  }
}

extension CheckpointWriter {
  /// The positions of the tensors by name.
  var positions: [TensorName: Int] {
    Dictionary(
      tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}

extension CheckpointReader {
  /// The positions of the tensors by name.
  var positions: [TensorName: Int] {
    Dictionary(
      tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}

extension MemorySlice {
  /// Whether two slices hold the same bytes.
  func hasBytes(of other: MemorySlice) -> Bool {
    let (left, right) = (bytes, other.bytes)
    guard left.byteCount == right.byteCount else { return false }
    // Safety: both spans are in bounds for the comparison of byteCount bytes.
    return unsafe left.withUnsafeBytes { left in
      unsafe right.withUnsafeBytes { right in unsafe left.elementsEqual(right) }
    }
  }
}
