public import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// How checkpoints are compared.
public struct DiffOptions: Sendable {
  /// The largest absolute difference that passes.
  public var tolerance = 0.0
  /// Whether matrices of reversed shapes are compared as transposes, and square ones both ways.
  public var comparesTransposes = false
  /// The threads to use.
  public var threadCount = 2

  /// The standard options, to be changed.
  public init(tolerance: Double = 0, comparesTransposes: Bool = false, threadCount: Int = 2) {
    self.tolerance = tolerance
    self.comparesTransposes = comparesTransposes
    self.threadCount = threadCount
  }
}

/// Compares two checkpoints value by value, across formats, shardings, dtypes and orders of extents.
///
/// Tensors are paired by name; a GGUF model of a known architecture is shown under the names of the model directory that it was made
/// from when the other side isn't GGUF, names that an architecture has for one tensor are one, and a copy of a tied
/// tensor that one side leaves out is compared with the tensor itself. Quantized values are dequantized. Of two tables
/// of vectors the words are compared too.
/// Matrices are read as transposes where one side's configuration says that it stores them as [in, out] and the other doesn't,
/// or where the options ask for it. Tensors are read by tiles.
/// - Parameters:
///   - progress: Told of bytes read on the first side.
/// - Throws: ``StorageError`` when something can't be read, or changes meanwhile.
public func diff(
  _ first: OpenedCheckpoint, _ second: OpenedCheckpoint, options: DiffOptions = DiffOptions(),
  progress: Progress = .none
) throws -> Comparison {
  let isMixed = (first.reader.format == .gguf) != (second.reader.format == .gguf)
  let hasWords = try first.vocabulary() != nil && second.vocabulary() != nil
  func reader(of side: OpenedCheckpoint) throws -> any CheckpointReader {
    try isMixed ? side.modelReader() : hasWords ? side.readerWithWords() : side.reader
  }
  let left = try TensorPairing.Side(first, reader(of: first))
  let right = try TensorPairing.Side(second, reader(of: second))
  let pairing = TensorPairing(left, right)
  let comparing = PairComparing(left: left, right: right, options: options, progress: progress)
  let entries = try comparing.entries(pairing.pairs)
  let files = try isMixed ? [] : compareFiles(first, second)
  for checkpoint in [first, second] { try checkpoint.checkUnchanged() }
  return Comparison(
    tensors: entries, onlyInFirst: pairing.onlyInFirst.map { left.reader.tensors[$0] },
    onlyInSecond: pairing.onlyInSecond.map { right.reader.tensors[$0] },
    files: files, tolerance: options.tolerance)
}

extension OpenedCheckpoint {
  /// The tensors under a model directory's names, as f32 where they are quantized; of GGUF that is no model of a known architecture
  /// under the file's own.
  fileprivate func modelReader() throws(StorageError) -> any CheckpointReader {
    guard let source = reader as? GGUFReader, GGUFModel.knows(source) else { return reader }
    return try GGUFModel(source, as: .f32)
  }
}

/// Compares pairs, those of reversed shapes as transposes where that is meant.
private struct PairComparing {
  let left: TensorPairing.Side
  let right: TensorPairing.Side
  let options: DiffOptions
  let progress: Progress

  func entries(_ pairs: [TensorPairing.Pair]) throws -> [Comparison.Entry] {
    let turned = (left.transposedWeights, right.transposedWeights)
    let pairs = pairs.map { pair in
      var pair = pair
      let (a, b) = (left.reader.tensors[pair.first], right.reader.tensors[pair.second])
      let isTold = turned.0.contains(a.name) != turned.1.contains(b.name)
      pair.isTransposed =
        a.shape.isReverse(of: b.shape) && a.shape != b.shape
        && (isTold || options.comparesTransposes)
      return pair
    }
    var entries = try compare(pairs)
    guard options.comparesTransposes else { return entries }
    // A square matrix doesn't show which way it is meant: the nearer one counts.
    let squares = entries.indices.filter {
      !entries[$0].isEqual && entries[$0].first.shape.isReverse(of: entries[$0].first.shape)
        && entries[$0].first.shape == entries[$0].second.shape
    }
    let again = try compare(
      squares.map { index in
        var pair = pairs[index]
        pair.isTransposed = true
        return pair
      })
    for (index, entry) in zip(squares, again) {
      guard let new = entry.values, let old = entries[index].values,
        (new.incomparableCount, new.relativeError) < (old.incomparableCount, old.relativeError)
      else { continue }
      entries[index] = entry
    }
    return entries
  }

  private func compare(_ pairs: [TensorPairing.Pair]) throws -> [Comparison.Entry] {
    let run = PairRun(
      left: left.reader, right: right.reader, pairs: pairs, threadCount: options.threadCount,
      progress: progress)
    return zip(pairs, try run.results()).map { pair, result in
      Comparison.Entry(
        name: pair.name, first: left.reader.tensors[pair.first],
        second: right.reader.tensors[pair.second],
        dtypes: (
          left.reader.storedDType(of: pair.first), right.reader.storedDType(of: pair.second)
        ), isTransposed: pair.isTransposed,
        result.hasOtherBytes || !run.isComparable(pair) ? nil : result.sums)
    }
  }
}

extension CheckpointReader {
  /// The dtype in the file, where a tensor is shown in another one.
  fileprivate func storedDType(of tensor: Int) -> DType {
    guard let model = self as? GGUFModel else { return tensors[tensor].dtype }
    return model.source.tensors[model.places[tensor].source].dtype
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
