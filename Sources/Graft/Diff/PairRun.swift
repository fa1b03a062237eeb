internal import GraftCore
internal import Synchronization

/// Compares pairs of tensors by tiles.
struct PairRun {
  let left: any CheckpointReader
  let right: any CheckpointReader
  let pairs: [TensorPairing.Pair]
  let threadCount: Int
  let progress: Progress

  /// What a pair was found to be.
  struct Result {
    var sums = DifferenceSums()
    /// Whether bytes that aren't numbers differ.
    var hasOtherBytes = false
  }

  /// A part of a pair, small enough for memory.
  private struct Part {
    let pair: Int
    let place: Place

    enum Place {
      case tile(Range<Int>)
      case block(MatrixBlock)
    }
  }

  /// What a part was found to be.
  private enum Finding {
    case sameBytes
    case otherBytes
    case values(DifferenceSums)
  }

  /// What each thread keeps.
  private struct Worker {
    let first: TileReader
    let second: TileReader
    let turned: Memory

    init() throws(StorageError) {
      first = try TileReader()
      second = try TileReader()
      turned = try Memory(byteCount: MatrixBlock.extent * MatrixBlock.extent * 8)
    }
  }

  /// The results of the pairs, in order.
  func results() throws -> [Result] {
    let parts = pairs.indices.flatMap(parts)
    var findings = try compare(parts, skippingSameBytes: true)
    // The norms of a tensor that differs need the parts that don't, too.
    var differing = Set<Int>()
    for (part, finding) in zip(parts, findings) {
      if case .values(let sums) = finding, sums.differingCount > 0 { differing.insert(part.pair) }
    }
    var again: [Int] = []
    for (index, finding) in findings.enumerated() where differing.contains(parts[index].pair) {
      if case .sameBytes = finding { again.append(index) }
    }
    let rest = try compare(again.map { parts[$0] }, skippingSameBytes: false)
    for (index, finding) in zip(again, rest) { findings[index] = finding }
    var results = [Result](repeating: Result(), count: pairs.count)
    // In the order of the parts, so that the sums don't depend on the threads.
    for (part, finding) in zip(parts, findings) {
      switch finding {
      case .sameBytes: break
      case .otherBytes: results[part.pair].hasOtherBytes = true
      case .values(let sums): results[part.pair].sums += sums
      }
    }
    return results
  }

  /// Whether a pair's values can be held against each other.
  func isComparable(_ pair: TensorPairing.Pair) -> Bool {
    let (a, b) = (left.tensors[pair.first], right.tensors[pair.second])
    let hasValues = a.dtype.hasValues && b.dtype.hasValues
    guard !pair.isTransposed else { return hasValues && a.shape.isReverse(of: b.shape) }
    return a.shape == b.shape && (a.dtype == b.dtype || hasValues)
  }

  private func parts(of index: Int) -> [Part] {
    let pair = pairs[index]
    guard isComparable(pair) else { return [] }
    let info = left.tensors[pair.first]
    guard pair.isTransposed else {
      return TensorTile.all(of: info, at: pair.first).map {
        Part(pair: index, place: .tile($0.elements))
      }
    }
    return MatrixBlock.all(of: info.shape).map { Part(pair: index, place: .block($0)) }
  }

  private func compare(_ parts: [Part], skippingSameBytes: Bool) throws -> [Finding] {
    let findings = Mutex([Finding](repeating: .sameBytes, count: parts.count))
    let (left, right, pairs, progress) = (left, right, pairs, progress)
    try shareOut(parts.count, threadCount: threadCount, worker: { try Worker() }) { item, worker in
      let pair = pairs[parts[item].pair]
      let (dtype, other) = (left.tensors[pair.first].dtype, right.tensors[pair.second].dtype)
      switch parts[item].place {
      case .block(let block):
        let a = try worker.first.values(of: block, in: pair.first, left)
        let b = try worker.second.values(of: block.transposed, in: pair.second, right)
        progress.advance(a.shape.elementCount / dtype.layout.elements * dtype.layout.bytes)
        let turned = MemorySlice(worker.turned, dtype: .f64, shape: a.shape)
        worker.turned.withMutableBytes { block.transposed.turn(b.bytes, into: &$0) }
        var sums = DifferenceSums(a.bytes, turned.bytes)
        if DifferenceSums.needRecount(dtype, other) {
          let one = try worker.first.bytes(of: block, in: pair.first, left)
          let two = try worker.second.bytes(of: block.transposed, in: pair.second, right)
          worker.turned.withMutableBytes { block.transposed.turn(two.bytes, into: &$0) }
          sums.recount(one.bytes, dtype, turned.bytes, other)
        }
        findings.withLock { [sums] in $0[item] = .values(sums) }
      case .tile(let elements):
        let a = TensorTile(tensor: pair.first, elements: elements)
        let b = TensorTile(tensor: pair.second, elements: elements)
        if skippingSameBytes { progress.advance(a.bytes(in: dtype).count) }
        if skippingSameBytes, dtype == other {
          let one = try worker.first.bytes(of: a, left)
          let two = try worker.second.bytes(of: b, right)
          if one.bytes.isSame(as: two.bytes) { return }
          guard dtype.hasValues else {
            findings.withLock { $0[item] = .otherBytes }
            return
          }
        }
        let one = try worker.first.values(of: a, left)
        let two = try worker.second.values(of: b, right)
        var sums = DifferenceSums(one.bytes, two.bytes)
        if DifferenceSums.needRecount(dtype, other) {
          let one = try worker.first.bytes(of: a, left)
          let two = try worker.second.bytes(of: b, right)
          sums.recount(one.bytes, dtype, two.bytes, other)
        }
        findings.withLock { [sums] in $0[item] = .values(sums) }
      }
    }
    return findings.withLock { $0 }
  }
}

extension Shape {
  /// Whether two matrices have each other's extents.
  func isReverse(of other: Shape) -> Bool {
    rank == 2 && other.rank == 2 && self[0] == other[1] && self[1] == other[0]
  }
}
