package import GraftAdapters
internal import GraftKernels
package import GraftModels

/// What a run trains: an adapter's pairs, tensors of the base in f32, or both; and what is written of it.
package struct TrainingSubject {
  /// What a run leaves behind.
  package enum Product {
    /// A PEFT directory.
    case adapter(Adapter)
    /// A model directory.
    case model(TrainedModel)

    /// The bytes of the tensors that are written.
    var byteCount: Int {
      switch self {
      case .adapter(let adapter):
        adapter.checkpointTensors.reduce(0) { $0 + $1.value.byteCount }
      case .model(let model): model.base.reader.tensors.reduce(0) { $0 + $1.byteCount }
      }
    }

    /// What of the base's directory isn't written, in words: an adapter is nothing of it.
    var leftBehind: [String] {
      switch self {
      case .adapter: []
      case .model(let model): model.base.others
      }
    }

    /// Writes the files, each whole or not at all.
    package func write(into directory: String) throws(StorageError) {
      switch self {
      case .adapter(let adapter): try adapter.write(into: directory)
      case .model(let model): try model.write(into: directory)
      }
    }

    /// Writes the same files into a directory that appears whole.
    func write(into directory: AtomicDirectory) throws(StorageError) {
      switch self {
      case .adapter(let adapter): try adapter.write(into: directory)
      case .model(let model): try model.write(into: directory)
      }
    }
  }

  /// What is written; its tensors are those that training changes.
  package let product: Product
  /// The graph's builder, which sees the trained tensors.
  package let graph: DecoderGraph
  /// What is trained: A, B and the masters under the graph's parameter names, f32.
  package let tensors: [TensorName: MemorySlice]
  /// The masters alone.
  package let masters: [TensorName: MemorySlice]

  /// Modules with a pair.
  var moduleCount: Int { graph.adapters.count }

  /// Prepares what a request asks for.
  ///
  /// - Throws: ``AdapterError`` for names that match nothing, ``TrainingError`` when nothing is left to train.
  package init(_ request: TrainingRequest, of model: LanguageModel) throws {
    if let configuration = request.adapter {
      try self.init(adapting: model, configuration, request)
    } else {
      try self.init(whole: model, request)
    }
    guard !tensors.isEmpty else {
      throw TrainingError(
        .invalidSetting(
          name: "freeze", expected: "names that leave something to train", found: "all of it"))
    }
  }

  // MARK: - A whole model

  private init(whole model: LanguageModel, _ request: TrainingRequest) throws {
    let selection = TensorSelection(model.configuration)
    let chosen =
      try request.trainedModules.isEmpty
      ? selection.all : selection.tensors(named: request.trainedModules)
    let frozen = Set(try selection.tensors(named: request.frozenModules))
    masters = try Self.masters(of: chosen.filter { !frozen.contains($0) }, model)
    graph = try model.graph(.none, inMemory: masters)
    tensors = masters
    var written: [TensorName: MemorySlice] = [:]
    for (name, master) in masters {
      written[model.weights.storedName(of: name) ?? name] = master
    }
    if model.configuration.tiesEmbeddings {
      // Some files hold the shared tensor twice.
      written[model.configuration.headName] = masters[model.configuration.embeddingName]
    }
    product = .model(
      TrainedModel(base: try OpenedCheckpoint(path: model.path), masters: written))
  }

  // MARK: - An adapter

  private init(
    adapting model: LanguageModel, _ configuration: LoRAConfiguration, _ request: TrainingRequest
  ) throws {
    var adapter: Adapter
    if let path = request.initialAdapter {
      adapter = try OpenedCheckpoint(path: path).adapter()
      adapter.configuration.dropout = configuration.dropout
    } else {
      adapter = try Self.fresh(configuration, request, model)
    }
    try Self.checkTrainable(adapter.modules, model)
    let attached = try AttachedAdapters([adapter], base: model)
    let selection = TensorSelection(model.configuration, untiesHead: attached.untiesHead)
    let frozen = Set(try selection.tensors(named: request.frozenModules))
    let saved = Set(attached.replacements.keys)
    let asked = Set(
      try selection.tensors(named: request.trainedModules + configuration.modulesToSave))
    let targeted = Set(adapter.modules.map(\.path))
    let chosen = selection.all.filter {
      // A module has an update or is trained whole; a bias has no update.
      let hasUpdate = $0.hasSuffix(".weight") && targeted.contains($0.modulePath)
      return !hasUpdate && !frozen.contains($0) && (saved.contains($0) || asked.contains($0))
    }
    var masters = try Self.masters(
      of: chosen.filter { !saved.contains($0) }, model)
    for name in chosen {
      guard let value = attached.replacements[name] else { continue }
      masters[name] = try Self.master(value)
    }
    self.masters = masters
    let fixed = Self.frozenPairs(of: adapter, request.frozenModules)
    // The graph takes frozen pairs as it takes weights.
    graph = try model.graph(
      attached,
      inMemory: masters.merging(attached.tensors.filter { fixed.contains($0.key) }) { old, _ in old
      })
    tensors = attached.tensors.filter { !fixed.contains($0.key) }.merging(masters) { _, new in new }

    let kept = attached.replacements.filter { masters[$0.key] == nil }
    adapter.savedTensors = selection.all.compactMap { name in
      (masters[name] ?? kept[name]).map { Adapter.Saved(name: name, value: $0) }
    }
    adapter.declareSavedModules(
      of: model.configuration, isTied: model.configuration.tiesEmbeddings && !attached.untiesHead)
    product = .adapter(adapter)
  }

  /// Refuses updates of the output head: logits are never whole, so nothing can be added to them.
  private static func checkTrainable(
    _ modules: [AdapterModule], _ model: LanguageModel
  ) throws(AdapterError) {
    for head in model.configuration.linearModules where head.isOutputHead {
      guard modules.contains(where: { $0.path == head.path }) else { continue }
      throw AdapterError(.untrainableHead(module: head.path))
    }
  }

  /// The parameters of the pairs that names freeze, which only an adapter that is gone on from has.
  private static func frozenPairs(of adapter: Adapter, _ names: [String]) -> Set<TensorName> {
    let frozen = adapter.modules.map(\.path).filter { path in
      names.contains { isPath(path, through: $0) }
    }
    return Set(frozen.flatMap { [LowRankPair.nameOfA($0), LowRankPair.nameOfB($0)] })
  }

  private static func fresh(
    _ configuration: LoRAConfiguration, _ request: TrainingRequest, _ model: LanguageModel
  ) throws -> Adapter {
    var configuration = configuration
    let modules = model.configuration.linearModules
    let targeted = try configuration.targets(in: modules)
    configuration.modulesToSave += request.trainedModules
    if !request.frozenModules.isEmpty {
      configuration.excludedModules = .names(
        request.frozenModules.flatMap { name in
          modules.contains { isPath($0.path, endingIn: name) }
            ? [name] : modules.map(\.path).filter { isPath($0, through: name) }
        })
    }
    guard targeted.contains(where: { configuration.isTarget($0.module) }) else {
      throw TrainingError(
        .invalidSetting(
          name: "target-modules", expected: "modules that --freeze and --train-modules leave",
          found: configuration.targetModules.text),
        remedy: "a module has an update, is trained whole, or stays as it is")
    }
    configuration = try configuration.resolvingAllLinear(in: modules)
    configuration.baseModelName = model.path
    let targets = try configuration.targets(in: modules)
    configuration.isFanInFanOut = targets.contains { $0.module.isStoredTransposed }
    return try Adapter.initialized(configuration, for: targets) { stream, values in
      RandomStream.uniform(seed: request.settings.seed, stream: stream, step: 0, into: &values)
    }
  }

  // MARK: - Masters

  /// Reads tensors of a base in f32.
  private static func masters(
    of names: [TensorName], _ model: LanguageModel
  ) throws(StorageError) -> [TensorName: MemorySlice] {
    var result: [TensorName: MemorySlice] = [:]
    for name in names { result[name] = try model.weights.master(of: name) }
    return result
  }

  /// A copy in f32 that training may change.
  private static func master(_ value: MemorySlice) throws(StorageError) -> MemorySlice {
    let result = try MemorySlice(allocating: .f32, value.shape)
    _ = LowRankUpdate.add([], to: value, into: result)
    return result
  }
}

extension Adapter {
  /// Says in the configuration which modules are saved whole, and saves a shared tensor under both its names, as
  /// PEFT expects them.
  fileprivate mutating func declareSavedModules(
    of base: any DecoderConfiguration, isTied: Bool
  ) {
    let (embedding, head) = (base.embeddingName, base.headName)
    if isTied, let shared = savedTensors.first(where: { $0.name == embedding }) {
      savedTensors.append(Saved(name: head, value: shared.value))
      configuration.tiesSavedModules = true
    }
    let updated = Set(modules.map(\.path))
    let saved = Set(savedTensors.map(\.name.modulePath)).subtracting(updated)
    let rest = Set((base.tensors.map(\.name) + [head]).map(\.modulePath)).subtracting(saved)
    // The last component stands for modules where PEFT, which compares the ends of paths, finds no others with it.
    var names: [String] = []
    for path in savedTensors.map(\.name.modulePath) where saved.contains(path) {
      let last = path.split(separator: ".").last.map(String.init) ?? path
      let name = rest.contains { $0.hasSuffix(last) } ? path : last
      if !names.contains(name) { names.append(name) }
    }
    configuration.modulesToSave = names
  }
}
