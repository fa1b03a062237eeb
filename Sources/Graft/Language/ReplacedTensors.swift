internal import GraftKernels

/// The tensors that adapters replace whole, fitted to a base.
struct ReplacedTensors {
  /// The new tensors under the base's names, as the files hold them.
  private(set) var values: [TensorName: MemorySlice] = [:]
  /// Whether a model that shares embedding and head gets a head of its own.
  private(set) var untiesHead = false

  /// Collects what adapters replace.
  ///
  /// PEFT trains a copy of the one module that `modules_to_save` names, so that an adapter may hold another head than
  /// embedding although the base shares them, or an embedding beside which the base's head stays.
  /// - Throws: ``AdapterError`` for a tensor that the base lacks, another shape, no float, or one that two adapters replace.
  init(_ adapters: [Adapter], base: LanguageModel) throws {
    let shapes = Dictionary(
      base.configuration.tensors.map { ($0.name, $0.shape) },
      uniquingKeysWith: { first, _ in first })
    let (embedding, head) = (base.configuration.embeddingName, base.configuration.headName)
    let isTied = base.configuration.tiesEmbeddings
    for adapter in adapters {
      let others = Set(values.keys)
      for saved in adapter.savedTensors {
        guard let shape = shapes[isTied && saved.name == head ? embedding : saved.name] else {
          throw AdapterError(
            .moduleNotInBase(
              module: saved.name.text,
              nearest: nearestNames(to: saved.name.text, among: shapes.keys.map(\.text))),
            file: adapter.file)
        }
        guard saved.value.shape == shape else {
          throw AdapterError(
            .shapeMismatch(tensor: saved.name, expected: shape, found: saved.value.shape),
            file: adapter.file)
        }
        guard saved.value.dtype.isComputableFloat else {
          throw AdapterError(
            .notFloat(tensor: saved.name, dtype: saved.value.dtype), file: adapter.file)
        }
        guard values.updateValue(saved.value, forKey: saved.name) == nil else {
          throw AdapterError(
            others.contains(saved.name)
              ? .savedTwice(name: saved.name) : .duplicateTensor(name: saved.name),
            file: adapter.file)
        }
      }
    }
    guard isTied else { return }
    switch (values[embedding], values[head]) {
    case (nil, nil): break
    case (nil, .some): untiesHead = true
    case (.some, nil):
      guard !adapters.contains(where: \.configuration.tiesSavedModules) else { return }
      untiesHead = true
      values[head] = try base.weights[embedding]
    case (.some(let table), .some(let own)):
      untiesHead = table.dtype != own.dtype || !table.bytes.isSame(as: own.bytes)
      if !untiesHead { values[head] = nil }
    }
  }
}

extension ReplacedTensors {
  /// Adds updates to a matrix, in the dtype that the model computes with; a merge into a base of that dtype does the same.
  mutating func add(
    _ updates: [AdapterModule], to name: TensorName, of base: LanguageModel
  ) throws(StorageError) {
    let old = if let value = values[name] { value } else { try base.weights[name] }
    let sum = try MemorySlice(allocating: base.precision.dtype, old.shape)
    _ = LowRankUpdate.add(
      updates.map { LowRankUpdate.Factor(b: $0.b, a: $0.a, scale: Float($0.scaling)) }, to: old,
      into: sum)
    values[name] = sum
  }
}

extension LanguageModel {
  /// The graph builder for this model with adapters attached.
  ///
  /// - Parameter values: Parameters that lie in memory: trained tensors in f32, which take the place of the base's, and pairs
  ///   that stay as they are.
  /// - Throws: ``StorageError`` when memory runs out.
  package func graph(
    _ adapters: AttachedAdapters, inMemory values: [TensorName: MemorySlice] = [:]
  ) throws -> DecoderGraph {
    var values = values
    for (name, value) in adapters.replacements where values[name] == nil {
      values[name] = try computable(value)
    }
    return DecoderGraph(
      architecture, weights: weights.replacing(values), precision: precision,
      adapters: adapters.pairs, untiesHead: adapters.untiesHead)
  }

  /// A tensor in the dtype that the model computes with.
  private func computable(_ value: MemorySlice) throws(StorageError) -> MemorySlice {
    let dtype = ModelWeights.dtype(
      of: value.shape, stored: value.dtype, precision: precision)
    guard dtype != value.dtype else { return value }
    let result = try MemorySlice(allocating: dtype, value.shape)
    kernels.convert(value, to: result)
    return result
  }
}
