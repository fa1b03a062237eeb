public import GraftCore
internal import GraftFormats
internal import GraftHDF5
internal import Synchronization

/// Compares two checkpoints value by value, across formats, shardings and dtypes.
///
/// Tensors are paired by name; a GGUF model is shown under the names of the model directory that it was made from when the
/// other side is one. Quantized values are dequantized. Of two tables of vectors the words are compared too. Tensors are read by tiles.
/// - Parameters:
///   - tolerance: The largest absolute difference that passes.
///   - progress: Told of bytes read on the first side.
/// - Throws: ``StorageError`` when something can't be read.
public func diff(
  _ first: OpenedCheckpoint, _ second: OpenedCheckpoint, tolerance: Double = 0,
  threadCount: Int = 2, progress: Progress = .none
) throws -> Comparison {
  let isMixed = (first.reader.format == .gguf) != (second.reader.format == .gguf)
  let hasWords = try first.vocabulary() != nil && second.vocabulary() != nil
  let left = try isMixed ? first.modelReader() : hasWords ? first.readerWithWords() : first.reader
  let right =
    try isMixed ? second.modelReader() : hasWords ? second.readerWithWords() : second.reader
  let places = right.positions
  var pairs: [Pair] = []
  var onlyInFirst: [TensorInfo] = []
  for (position, tensor) in left.tensors.enumerated() {
    if let place = places[tensor.name] {
      pairs.append(Pair(first: position, second: place))
    } else {
      onlyInFirst.append(tensor)
    }
  }
  let names = Set(left.tensors.map(\.name))
  let run = PairRun(left, right, pairs, threadCount: threadCount, progress)
  return Comparison(
    tensors: try run.entries(), onlyInFirst: onlyInFirst,
    onlyInSecond: right.tensors.filter { !names.contains($0.name) },
    files: try isMixed ? [] : compareFiles(first, second), tolerance: tolerance)
}

extension OpenedCheckpoint {
  /// The tensors under a model directory's names, as f32 where they are quantized.
  fileprivate func modelReader() throws(StorageError) -> any CheckpointReader {
    guard let source = reader as? GGUFReader else { return reader }
    return try GGUFModel(source, as: .f32)
  }
}

/// The positions of one tensor on both sides.
private struct Pair {
  let first: Int
  let second: Int
}

/// Compares pairs of tensors by tiles.
private struct PairRun {
  let left: any CheckpointReader
  let right: any CheckpointReader
  let pairs: [Pair]
  let threadCount: Int
  let progress: Progress

  init(
    _ left: any CheckpointReader, _ right: any CheckpointReader, _ pairs: [Pair], threadCount: Int,
    _ progress: Progress
  ) {
    self.left = left
    self.right = right
    self.pairs = pairs
    self.threadCount = threadCount
    self.progress = progress
  }

  /// What a tile was found to be.
  private enum Finding {
    case sameBytes
    case otherBytes
    case values(DifferenceSums)
  }

  func entries() throws -> [Comparison.Entry] {
    let tiles = pairs.indices.flatMap { pair in
      isComparable(pairs[pair]) ? TensorTile.all(of: left.tensors[pairs[pair].first], at: pair) : []
    }
    var findings = try compare(tiles, skippingSameBytes: true)
    // The norms of a tensor that differs need the tiles that don't, too.
    var differing = Set<Int>()
    for (tile, finding) in zip(tiles, findings) {
      if case .values(let sums) = finding, sums.differingCount > 0 { differing.insert(tile.tensor) }
    }
    var again: [Int] = []
    for (index, finding) in findings.enumerated() where differing.contains(tiles[index].tensor) {
      if case .sameBytes = finding { again.append(index) }
    }
    let rest = try compare(again.map { tiles[$0] }, skippingSameBytes: false)
    for (index, finding) in zip(again, rest) { findings[index] = finding }
    var sums = [DifferenceSums](repeating: DifferenceSums(), count: pairs.count)
    var hasOtherBytes = Set<Int>()
    // In the order of the tiles, so that the sums don't depend on the threads.
    for (tile, finding) in zip(tiles, findings) {
      switch finding {
      case .sameBytes: break
      case .otherBytes: hasOtherBytes.insert(tile.tensor)
      case .values(let part): sums[tile.tensor] += part
      }
    }
    return pairs.indices.map { entry($0, sums[$0], hasOtherBytes: hasOtherBytes.contains($0)) }
  }

  private func isComparable(_ pair: Pair) -> Bool {
    let (a, b) = (left.tensors[pair.first], right.tensors[pair.second])
    return a.shape == b.shape && (a.dtype == b.dtype || (a.dtype.hasValues && b.dtype.hasValues))
  }

  private func compare(_ tiles: [TensorTile], skippingSameBytes: Bool) throws -> [Finding] {
    let findings = Mutex([Finding](repeating: .sameBytes, count: tiles.count))
    let (left, right, pairs, progress) = (left, right, pairs, progress)
    try shareOut(
      tiles.count, threadCount: threadCount,
      worker: { (first: try TileReader(), second: try TileReader()) }
    ) { item, worker in
      let pair = pairs[tiles[item].tensor]
      let a = TensorTile(tensor: pair.first, elements: tiles[item].elements)
      let b = TensorTile(tensor: pair.second, elements: tiles[item].elements)
      let dtype = left.tensors[pair.first].dtype
      if skippingSameBytes { progress.advance(a.bytes(in: dtype).count) }
      if skippingSameBytes, dtype == right.tensors[pair.second].dtype {
        let (one, other) = (
          try worker.first.bytes(of: a, left), try worker.second.bytes(of: b, right)
        )
        if one.bytes.isSame(as: other.bytes) { return }
        guard dtype.hasValues else {
          findings.withLock { $0[item] = .otherBytes }
          return
        }
      }
      let (one, other) = (
        try worker.first.values(of: a, left), try worker.second.values(of: b, right)
      )
      let sums = DifferenceSums(one.bytes, other.bytes)
      findings.withLock { $0[item] = .values(sums) }
    }
    return findings.withLock { $0 }
  }

  private func entry(_ index: Int, _ sums: DifferenceSums, hasOtherBytes: Bool)
    -> Comparison.Entry
  {
    let (first, second) = (left.tensors[pairs[index].first], right.tensors[pairs[index].second])
    guard isComparable(pairs[index]), !hasOtherBytes else {
      return Comparison.Entry(first: first, second: second, values: nil, isEqual: false)
    }
    let isEqual = sums.differingCount == 0
    let norms = (sums.leftSquared.squareRoot(), sums.rightSquared.squareRoot())
    let error = sums.errorSquared.squareRoot()
    return Comparison.Entry(
      first: first, second: second,
      values: Comparison.Values(
        maximumError: sums.maximum,
        relativeError: error == 0 ? 0 : error / norms.0,
        cosine: isEqual || (norms.0 == 0 && norms.1 == 0)
          ? 1 : norms.0 == 0 || norms.1 == 0 ? 0 : sums.product / (norms.0 * norms.1),
        differingCount: sums.differingCount, incomparableCount: sums.incomparableCount),
      isEqual: isEqual)
  }
}

// MARK: - Other files

/// Compares what lies beside the tensors, byte by byte.
private func compareFiles(_ first: OpenedCheckpoint, _ second: OpenedCheckpoint) throws
  -> [Comparison.File]
{
  guard !first.files.isEmpty, !second.files.isEmpty else { return [] }
  var files = try first.files.map { file in
    guard let other = second.file(file.name) else {
      return Comparison.File(name: file.name, finding: .onlyInFirst)
    }
    let isEqual = try file.hasContent(of: other) || isSameConfiguration(first, second, file.name)
    return Comparison.File(name: file.name, finding: isEqual ? .equal : .different)
  }
  for file in second.files where first.file(file.name) == nil {
    files.append(Comparison.File(name: file.name, finding: .onlyInSecond))
  }
  return files
}

/// Whether two model configurations say the same but for the dtype, which the tensors themselves tell.
private func isSameConfiguration(
  _ first: OpenedCheckpoint, _ second: OpenedCheckpoint, _ name: String
) throws -> Bool {
  guard name == "config.json" else { return false }
  let (one, other) = (try first.json(name), try second.json(name))
  return one.withoutDType == other.withoutDType
}

extension JSONValue {
  fileprivate var withoutDType: JSONValue {
    guard let object else { return self }
    let kept = object.members.filter { !OpenedCheckpoint.dtypeKeys.contains($0.key) }
    return .object(JSONObject(members: kept))
  }
}

extension CompanionFile {
  private static var pieceBytes: Int { 1 << 20 }

  /// Whether two files hold the same bytes.
  fileprivate func hasContent(of other: CompanionFile) throws(StorageError) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for start in stride(from: 0, to: byteCount, by: Self.pieceBytes) {
      let range = start..<min(start + Self.pieceBytes, byteCount)
      if try content.bytes(in: range) != other.content.bytes(in: range) { return false }
    }
    return true
  }
}
