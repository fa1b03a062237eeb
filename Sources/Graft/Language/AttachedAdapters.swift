internal import GraftKernels

/// Adapters brought into the form that the graph computes with: one pair a module, and the tensors that replace the base's.
///
/// Several adapters on one module are one pair of the summed rank, exactly:
/// Σ wᵢsᵢBᵢAᵢ = [w₁s₁B₁ w₂s₂B₂ …] · [A₁; A₂; …].
package struct AttachedAdapters: Sendable {
  /// Rank and scaling by module path.
  package let pairs: [String: LowRankPair]
  /// A and B under the graph's parameter names, f32.
  package let tensors: [TensorName: MemorySlice]

  /// What replaces the base's tensors, under the base's names.
  package let replacements: [TensorName: MemorySlice]
  /// Whether the adapters give a model that shares embedding and head a head of its own.
  package let untiesHead: Bool

  /// No adapter.
  package static let none = AttachedAdapters(pairs: [:], tensors: [:])

  private init(
    pairs: [String: LowRankPair], tensors: [TensorName: MemorySlice],
    replacements: [TensorName: MemorySlice] = [:], untiesHead: Bool = false
  ) {
    self.pairs = pairs
    self.tensors = tensors
    self.replacements = replacements
    self.untiesHead = untiesHead
  }

  /// Attaches one adapter's pairs, whose matrices stay where they are, so that training changes them.
  package init(_ adapter: Adapter) {
    var pairs: [String: LowRankPair] = [:]
    var tensors: [TensorName: MemorySlice] = [:]
    for module in adapter.modules {
      pairs[module.path] = LowRankPair(
        rank: module.a.shape[0], scaling: Float(module.scaling),
        dropout: adapter.configuration.dropout)
      tensors[LowRankPair.nameOfA(module.path)] = module.a
      tensors[LowRankPair.nameOfB(module.path)] = module.b
    }
    self.init(pairs: pairs, tensors: tensors)
  }

  /// Attaches adapters read from files to a base; updates of the output head, whose logits are never whole, are added to it.
  ///
  /// - Throws: ``AdapterError`` for a module that the base lacks or another shape.
  package init(_ adapters: [Adapter], base: LanguageModel) throws {
    var replaced = try ReplacedTensors(adapters, base: base)
    let linear = base.configuration.linearModules
    let modules = Dictionary(uniqueKeysWithValues: linear.map { ($0.path, $0) })
    var stacked: [String: [AdapterModule]] = [:]
    for adapter in adapters {
      for module in adapter.modules {
        guard let target = modules[module.path] else {
          throw AdapterError(base.reason(toRefuse: module), file: adapter.file)
        }
        let expected: Shape = [target.outputWidth, target.inputWidth]
        let found: Shape = [module.b.shape[0], module.a.shape[1]]
        guard module.kind == .linear, expected == found else {
          throw AdapterError(
            .shapeMismatch(
              tensor: TensorName(module.path + ".weight"), expected: expected, found: found),
            file: adapter.file)
        }
        stacked[module.path, default: []].append(module)
      }
    }
    for head in linear where head.isOutputHead {
      if let updates = stacked.removeValue(forKey: head.path) {
        try replaced.add(updates, to: head.weight, of: base)
      }
    }
    var pairs: [String: LowRankPair] = [:]
    var tensors: [TensorName: MemorySlice] = [:]
    if adapters.count == 1, var only = adapters.first {
      only.modules.removeAll { stacked[$0.path] == nil }
      let attached = AttachedAdapters(only)
      (pairs, tensors) = (attached.pairs, attached.tensors)
    } else {
      for (path, parts) in stacked {
        let rank = parts.reduce(0) { $0 + $1.a.shape[0] }
        pairs[path] = LowRankPair(rank: rank, scaling: 1)
        tensors[LowRankPair.nameOfA(path)] = try MemorySlice(
          copying: parts.flatMap { $0.a.floats() }, [rank, parts[0].a.shape[1]])
        tensors[LowRankPair.nameOfB(path)] = try Self.besideEachOther(parts, rank: rank)
      }
    }
    self.init(
      pairs: pairs, tensors: tensors, replacements: replaced.values,
      untiesHead: replaced.untiesHead)
  }

  /// [s₁B₁ s₂B₂ …]: [out, Σ rank].
  private static func besideEachOther(
    _ parts: [AdapterModule], rank: Int
  ) throws(StorageError) -> MemorySlice {
    let rows = parts[0].b.shape[0]
    let columns = parts.map {
      (values: $0.b.floats(), rank: $0.b.shape[1], scaling: Float($0.scaling))
    }
    var result: [Float] = []
    result.reserveCapacity(rows * rank)
    for row in 0..<rows {
      for part in columns {
        result += part.values[row * part.rank..<(row + 1) * part.rank].map { $0 * part.scaling }
      }
    }
    return try MemorySlice(copying: result, [rows, rank])
  }
}

extension LanguageModel {
  /// Why an update of something other than a linear module can't be attached.
  fileprivate func reason(toRefuse module: AdapterModule) -> AdapterError.Reason {
    if module.kind == .embedding, configuration.embeddingName.modulePath == module.path {
      return .embeddingUpdate(module: module.path)
    }
    if configuration.tiesEmbeddings, configuration.headName.modulePath == module.path {
      return .tiedHead(module: module.path, embedding: configuration.embeddingName)
    }
    let paths = configuration.linearModules.map(\.path)
    return .moduleNotInBase(
      module: module.path, nearest: nearestNames(to: module.path, among: paths))
  }
}
