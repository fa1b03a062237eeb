public import GraftCore

/// Where an adapter's parts stand in a checkpoint: known from its header, before any tensor is read.
public struct AdapterLayout: Sendable {
  /// The updated modules, in the order of the file.
  public let modules: [Module]
  /// The tensors that replace those of the base.
  public let savedTensors: [Saved]

  /// The factors of one module's update.
  public struct Module: Sendable {
    /// The module's path in the base.
    public let path: String
    /// What the module is.
    public let kind: AdapterModule.Kind
    /// The rank.
    public let rank: Int
    /// The factor of B · A.
    public let scaling: Double
    /// The position of A among the checkpoint's tensors.
    public let a: Int
    /// The position of B among the checkpoint's tensors.
    public let b: Int
    /// The extents of B · A, as PEFT multiplies it: [out, in], or [hidden, vocab] of an embedding.
    public let productShape: Shape
  }

  /// A tensor saved whole.
  public struct Saved: Sendable {
    /// Its name in the base.
    public let name: TensorName
    /// Its position among the checkpoint's tensors.
    public let tensor: Int
  }

  /// Finds the parts of an adapter.
  ///
  /// - Throws: ``AdapterError`` for a tensor that isn't an adapter's, a factor that is missing or given twice,
  ///   factors that don't multiply, ranks other than the configuration's, and pairs of modules that it doesn't target.
  public init(_ checkpoint: any CheckpointReader, _ configuration: LoRAConfiguration)
    throws(AdapterError)
  {
    var parts = AdapterParts(file: checkpoint.path)
    for (index, tensor) in checkpoint.tensors.enumerated() { try parts.add(tensor, at: index) }
    guard !checkpoint.tensors.isEmpty else {
      throw AdapterError(.empty, file: checkpoint.path)
    }
    var modules: [Module] = []
    for pair in parts.pairs {
      modules.append(try pair.joined(checkpoint, configuration))
    }
    let untargeted = modules.filter { !configuration.isTarget($0.path, $0.kind) }
    if let first = untargeted.first {
      throw AdapterError(
        .untargeted(module: first.path, count: untargeted.count, pairCount: modules.count),
        file: checkpoint.path)
    }
    self.modules = modules
    savedTensors = parts.saved
  }
}

/// The parts of an adapter while its names are read.
private struct AdapterParts {
  let file: String
  var pairs: [FactorPair] = []
  var saved: [AdapterLayout.Saved] = []
  private var positions: [String: Int] = [:]
  private var savedNames: Set<TensorName> = []

  init(file: String) { self.file = file }

  mutating func add(_ tensor: TensorInfo, at index: Int) throws(AdapterError) {
    switch PEFTName(tensor.name) {
    case .a(let module): try addFactor(\.a, of: module, .linear, tensor, at: index)
    case .b(let module): try addFactor(\.b, of: module, .linear, tensor, at: index)
    case .embeddingA(let module): try addFactor(\.a, of: module, .embedding, tensor, at: index)
    case .embeddingB(let module): try addFactor(\.b, of: module, .embedding, tensor, at: index)
    case .saved(let name):
      let name = TensorName(name)
      guard savedNames.insert(name).inserted else {
        throw AdapterError(.duplicateTensor(name: name), file: file)
      }
      saved.append(AdapterLayout.Saved(name: name, tensor: index))
    case .unsupported(let part):
      throw AdapterError(.unsupportedOption(key: part, found: tensor.name.text), file: file)
    case .unknown:
      throw AdapterError(.unexpectedTensor(name: tensor.name), file: file)
    }
  }

  private mutating func addFactor(
    _ half: WritableKeyPath<FactorPair, Int?>, of module: String, _ kind: AdapterModule.Kind,
    _ tensor: TensorInfo, at index: Int
  ) throws(AdapterError) {
    guard tensor.dtype.isComputableFloat else {
      throw AdapterError(.notFloat(tensor: tensor.name, dtype: tensor.dtype), file: file)
    }
    let position = positions[module] ?? pairs.count
    if position == pairs.count {
      positions[module] = position
      pairs.append(FactorPair(module: module, kind: kind))
    }
    guard pairs[position].kind == kind, pairs[position][keyPath: half] == nil else {
      throw AdapterError(.duplicateTensor(name: tensor.name), file: file)
    }
    pairs[position][keyPath: half] = index
  }
}

/// A and B of one module while they are collected.
private struct FactorPair {
  let module: String
  let kind: AdapterModule.Kind
  var a: Int?
  var b: Int?

  func joined(_ checkpoint: any CheckpointReader, _ configuration: LoRAConfiguration)
    throws(AdapterError) -> AdapterLayout.Module
  {
    func failure(_ reason: AdapterError.Reason) -> AdapterError {
      AdapterError(reason, file: checkpoint.path)
    }
    guard let a else { throw failure(.missingHalf(module: module, part: "A")) }
    guard let b else { throw failure(.missingHalf(module: module, part: "B")) }
    let shapeOfA = checkpoint.tensors[a].shape
    let shapeOfB = checkpoint.tensors[b].shape
    guard shapeOfA.rank == 2, shapeOfB.rank == 2, shapeOfA[0] == shapeOfB[1],
      let product = try? Shape([shapeOfB[0], shapeOfA[1]])
    else { throw failure(.rankMismatch(module: module, a: shapeOfA, b: shapeOfB)) }
    let rank = configuration.rank(of: module)
    guard shapeOfA[0] == rank else {
      throw failure(.unexpectedRank(module: module, configured: rank, found: shapeOfA[0]))
    }
    return AdapterLayout.Module(
      path: module, kind: kind, rank: rank, scaling: configuration.scaling(of: module), a: a, b: b,
      productShape: product)
  }
}
