internal import GraftAdapters
internal import GraftCore
internal import GraftKernels
internal import Synchronization

/// A base with adapters merged into it, read as one checkpoint: what changes is made by bands of rows where it is read.
final class MergedCheckpoint: CheckpointReader {
  let plan: MergePlan
  let tensors: [TensorInfo]
  /// How each tensor is cut; nil for what comes from a file as it is.
  private let bands: [MergeBands?]
  private let desks: [MergeDesk]
  private let factors = Mutex(MergeFactors())
  /// What happened in each band, once it was made; made again it is the same.
  private let sums: Mutex<[[LowRankUpdate.Sums]]>

  init(_ plan: MergePlan, threadCount: Int) {
    self.plan = plan
    tensors = plan.tensors.map(\.info)
    let bands = plan.tensors.map { MergeBands($0, source: plan.source(of: $0).info) }
    self.bands = bands
    sums = Mutex(bands.map { Array(repeating: LowRankUpdate.Sums(), count: $0?.count ?? 0) })
    // More than there are threads: neighbouring bands of one reader seldom meet at a desk.
    desks = (0..<threadCount + 6).map { _ in MergeDesk() }
  }

  var format: CheckpointFormat { plan.base.reader.format }
  var path: String { plan.base.reader.path }
  var inputs: [InputFile] { plan.base.reader.inputs + plan.adapters.flatMap(\.inputs) }
  var unreadable: [UnreadableTensor] { plan.base.reader.unreadable }

  /// The base's ties between tensors that nothing was merged into.
  var ties: [[Int]] {
    plan.base.reader.ties.filter { $0.allSatisfy { plan.tensors[$0].isUntouched } }
  }

  /// The base's metadata, but for what it says of names that now are tensors; transformers wants to be told the framework.
  var metadata: [MetadataEntry] {
    let reader = plan.base.reader
    let kept = reader.format == .gguf ? [] : plan.base.ownMetadata
    let own = plan.untiesHead ? kept.filter { TensorName($0.key) != MergePlan.headName } : kept
    return own.contains { $0.key == "format" }
      ? own : own + [MetadataEntry(key: "format", value: "pt")]
  }

  func extent(of tensor: Int) -> FileExtent? {
    guard bands[tensor] == nil else { return nil }
    let source = plan.source(of: plan.tensors[tensor])
    return source.reader.extent(of: source.tensor)
  }

  func grain(of tensor: Int) -> Int { bands[tensor]?.elementCount ?? 1 }

  func checkStoredBytes(of tensor: Int) throws(StorageError) {
    let source = plan.source(of: plan.tensors[tensor])
    try source.reader.checkStoredBytes(of: source.tensor)
  }

  func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    guard let bands = bands[tensor] else {
      let source = plan.source(of: plan.tensors[tensor])
      return try source.reader.read(source.tensor, at: byteOffset, into: &buffer)
    }
    let width = tensors[tensor].dtype.layout.bytes
    var done = 0
    while done < buffer.byteCount {
      let number = (byteOffset + done) / (bands.elementCount * width)
      let start = byteOffset + done - number * bands.elementCount * width
      let count = min(buffer.byteCount - done, bands[number].count * width - start)
      var part = buffer._mutatingExtracting(done..<done + count)
      try read(bands, number, of: tensor, from: start, into: &part)
      done += count
    }
  }

  /// Fills a buffer from a byte of a band on; whoever comes first makes the band.
  private func read(
    _ bands: MergeBands, _ number: Int, of tensor: Int, from start: Int,
    into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    // A large prime spreads the bands of all tensors over the desks.
    let desk = desks[(tensor &* 7919 &+ number) % desks.count]
    try desk.room.withLock { room throws(StorageError) in
      if !room.holds(number, of: tensor) {
        let right = try factors.withLock { factors throws(StorageError) in
          try factors.right(of: tensor, in: plan)
        }
        let made = try room.make(bands, number, of: tensor, in: plan, right: right)
        sums.withLock { $0[tensor][number] = made }
      }
      guard let values = room.values else { return }
      buffer.overwrite(at: 0, with: values.bytes.extracting(start..<start + buffer.byteCount))
    }
  }

  // MARK: - What happened

  /// What happened to each tensor that was read; zero for what came as it is.
  var totals: [LowRankUpdate.Sums] {
    // In the order of the bands, so that sums don't depend on the threads.
    sums.withLock { tensors in
      tensors.map { bands in bands.reduce(into: LowRankUpdate.Sums()) { $0 += $1 } }
    }
  }

  /// Checks that no finite value became NaN or infinite.
  ///
  /// - Throws: ``AdapterError/Reason/overflow(tensor:count:)``; where a tensor only changes its dtype,
  ///   ``StorageError/Reason/notRepresentable(what:inFormat:)``.
  func checkFinite() throws {
    for (planned, sums) in zip(plan.tensors, totals) where sums.notFiniteCount > 0 {
      guard planned.isUntouched else {
        throw AdapterError(.overflow(tensor: planned.info.name, count: sums.notFiniteCount))
      }
      throw StorageError(
        .notRepresentable(
          what: "\(sums.notFiniteCount) values of the base", inFormat: planned.info.dtype.rawValue),
        file: plan.base.path, tensor: planned.info.name, remedy: "choose another --dtype")
    }
  }

  // MARK: - Memory

  /// The most bytes that bands and factors take while the checkpoint is read, but for what the allocator adds.
  var bufferByteCount: Int {
    var (old, new, left, right) = (0, 0, 0, 0)
    for (planned, bands) in zip(plan.tensors, bands) {
      guard let bands else { continue }
      let elements = min(bands.elementCount, planned.info.shape.elementCount)
      let columns = max(planned.info.shape.columns, 1)
      let rank = planned.ranks.reduce(0, +)
      old = max(old, elements * plan.source(of: planned).info.dtype.layout.bytes)
      new = max(new, elements * planned.info.dtype.layout.bytes)
      // As read and, of a transposed update, once more.
      left = max(left, 2 * elements / columns * rank * MemoryLayout<Float>.size)
      right = max(right, columns * rank * MemoryLayout<Float>.size)
    }
    let rooms = min(desks.count, bands.reduce(0) { $0 + ($1?.count ?? 0) })
    // Factors of two tensors are kept, while another's are read and turned.
    return rooms * (old + new + left) + 4 * right
  }
}
