internal import GraftAdapters
public import GraftCore

/// What becomes of every tensor of a base when adapters are merged into it: known before anything is written.
public struct MergePlan: Sendable {
  /// The tensors, in the order of the base; a head that the base shared with the embedding comes last.
  public let tensors: [Planned]
  /// Whether the result has a head of its own, unlike the base.
  public let untiesHead: Bool
  let base: OpenedCheckpoint
  let adapters: [any CheckpointReader]
  static let headName: TensorName = "lm_head.weight"

  /// One tensor of the result.
  public struct Planned: Sendable {
    /// Its position in the base.
    public let source: Int
    /// Its name, extents and dtype in the result.
    public let info: TensorInfo
    /// The updates that are added to it, in the order of the adapters.
    let updates: [Update]
    /// The tensor of an adapter that it is read from instead of the base.
    let replacement: (adapter: Int, tensor: Int)?

    /// Whether the values come from the base as they are.
    public var isUntouched: Bool { updates.isEmpty && replacement == nil }
    /// Whether an adapter brings the values whole.
    public var isReplaced: Bool { replacement != nil }
    /// The ranks of the updates, one for each adapter that has one.
    public var ranks: [Int] { updates.map(\.module.rank) }
  }

  /// A low-rank update of a tensor.
  struct Update: Sendable {
    let adapter: Int
    let module: AdapterLayout.Module
    let scale: Float
    /// Whether the tensor is the transpose of B · A, as embeddings and GPT-2's weights are.
    let isTransposed: Bool
  }

  /// Pairs the tensors of a base with the updates of adapters.
  ///
  /// - Parameters:
  ///   - dtype: What all floats become; nil keeps the base's.
  ///   - type: What a form makes of the matrices afterwards: tensors that change and have another dtype become f32 for it.
  /// - Throws: ``AdapterError`` when an adapter isn't one, or doesn't fit the base; ``StorageError`` for a base in GGUF.
  public init(
    base: OpenedCheckpoint, adapters: [WeightedAdapter], dtype: DType? = nil,
    forType type: DType? = nil
  ) throws {
    try base.checkMergeable()
    var pairing = try Pairing(base)
    for (index, adapter) in adapters.enumerated() {
      let configuration = try adapter.checkpoint.adapterConfiguration()
      let layout = try AdapterLayout(adapter.checkpoint.reader, configuration)
      try pairing.add(layout, configuration, of: adapter, number: index)
    }
    try pairing.decideHead(adapters)
    self.base = base
    self.adapters = adapters.map(\.checkpoint.reader)
    tensors = try pairing.planned(dtype: dtype, type)
    untiesHead = pairing.untiesHead
  }
}

/// The tensors of a base while adapters are added.
private struct Pairing {
  let base: OpenedCheckpoint
  let positions: [TensorName: Int]
  /// How the architecture stores each linear module's weight, where it is known; PEFT ignores `fan_in_fan_out` then.
  let isStoredTransposed: [String: Bool]
  let storedNames: (TensorName) -> [TensorName]
  var updates: [[MergePlan.Update]]
  var replacements: [(adapter: Int, tensor: Int)?]
  /// The position of the embedding when the base has no head of its own.
  let sharedEmbedding: Int?
  /// What adapters bring for a head that the base shares with the embedding.
  private var head: (adapter: Int, tensor: Int)?
  private var keepsTie = false
  private(set) var untiesHead = false

  private static let embeddingNames: Set<TensorName> = [
    "model.embed_tokens.weight", "transformer.wte.weight", "wte.weight",
  ]

  init(_ base: OpenedCheckpoint) throws {
    self.base = base
    let known = base.knownConfiguration
    isStoredTransposed = Dictionary(
      (known?.linearModules ?? []).map { ($0.path, $0.isStoredTransposed) },
      uniquingKeysWith: { first, _ in first })
    storedNames = { known?.storedNames(of: $0) ?? [$0] }
    let names = base.reader.tensors.map(\.name)
    let own = known.map { $0.storedNames(of: $0.embeddingName) } ?? []
    let embeddingNames = Self.embeddingNames.union(own)
    sharedEmbedding =
      names.contains(MergePlan.headName) ? nil : names.firstIndex(where: embeddingNames.contains)
    let tensors = base.reader.tensors
    positions = Dictionary(
      tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    updates = Array(repeating: [], count: tensors.count)
    replacements = Array(repeating: nil, count: tensors.count)
  }

  mutating func add(
    _ layout: AdapterLayout, _ configuration: LoRAConfiguration, of adapter: WeightedAdapter,
    number: Int
  ) throws(AdapterError) {
    let file = adapter.checkpoint.reader.path
    try checkIsBase(of: layout)
    keepsTie = keepsTie || configuration.tiesSavedModules
    if let saved = layout.savedTensors.first, adapter.weight != 1 {
      throw AdapterError(.weightedReplacement(name: saved.name, weight: adapter.weight), file: file)
    }
    for saved in layout.savedTensors {
      if saved.name == MergePlan.headName, let sharedEmbedding {
        try check(
          adapter.checkpoint.reader.tensors[saved.tensor],
          replaces: base.reader.tensors[sharedEmbedding], file: file)
        if let head { throw Self.twice(saved.name, head.adapter == number, file: file) }
        head = (number, saved.tensor)
        continue
      }
      let position = try position(of: saved.name, module: saved.name.text, file: file)
      try check(
        adapter.checkpoint.reader.tensors[saved.tensor], replaces: base.reader.tensors[position],
        file: file)
      if let other = replacements[position] {
        throw Self.twice(saved.name, other.adapter == number, file: file)
      }
      replacements[position] = (number, saved.tensor)
    }
    for module in layout.modules {
      let name = TensorName(module.path + ".weight")
      if name == MergePlan.headName, let sharedEmbedding {
        throw AdapterError(
          .tiedHead(module: module.path, embedding: base.reader.tensors[sharedEmbedding].name),
          file: file)
      }
      let position = try position(of: name, module: module.path, file: file)
      let target = base.reader.tensors[position]
      try checkFloat(target, file: base.reader.path)
      let isTransposed =
        module.kind == .embedding
        || isStoredTransposed[module.path] ?? configuration.isFanInFanOut
      let product = module.productShape
      let update: Shape = isTransposed ? [product[1], product[0]] : product
      guard target.shape == update else {
        throw AdapterError(
          .shapeMismatch(tensor: target.name, expected: target.shape, found: update), file: file)
      }
      updates[position].append(
        MergePlan.Update(
          adapter: number, module: module, scale: Float(module.scaling * adapter.weight),
          isTransposed: isTransposed))
    }
  }

  private static func twice(_ name: TensorName, _ isOneAdapter: Bool, file: String) -> AdapterError
  {
    AdapterError(isOneAdapter ? .duplicateTensor(name: name) : .savedTwice(name: name), file: file)
  }

  /// Whether embedding and head stay one tensor: PEFT trains a copy of each module that `modules_to_save` names, so that
  /// either may have changed alone.
  mutating func decideHead(_ adapters: [WeightedAdapter]) throws {
    guard let sharedEmbedding else { return }
    let table = replacements[sharedEmbedding]
    switch (table, head) {
    case (nil, nil): break
    case (nil, .some): untiesHead = true
    case (.some, nil): untiesHead = !keepsTie
    case (.some(let table), .some(let head)):
      let (one, other) = (
        adapters[table.adapter].checkpoint.reader, adapters[head.adapter].checkpoint.reader
      )
      untiesHead = !(try haveSameBytes(one, table.tensor, other, head.tensor))
    }
  }

  func planned(dtype: DType?, _ type: DType?) throws -> [MergePlan.Planned] {
    var result = try plannedTensors(dtype: dtype, type)
    if untiesHead, let sharedEmbedding {
      let embedding = base.reader.tensors[sharedEmbedding]
      result.append(
        MergePlan.Planned(
          source: sharedEmbedding,
          info: try TensorInfo(
            name: MergePlan.headName,
            dtype: Self.target(of: embedding, dtype, head == nil ? nil : type),
            shape: embedding.shape, in: base.reader.path),
          updates: [], replacement: head))
    }
    return result
  }

  private func plannedTensors(dtype: DType?, _ type: DType?) throws -> [MergePlan.Planned] {
    try base.reader.tensors.enumerated().map { index, tensor in
      let changes = !updates[index].isEmpty || replacements[index] != nil
      if dtype != nil, tensor.dtype.isBlockQuantized {
        throw AdapterError(
          .quantizedBase(tensor: tensor.name, dtype: tensor.dtype), file: base.reader.path)
      }
      return MergePlan.Planned(
        source: index,
        info: try TensorInfo(
          name: tensor.name, dtype: Self.target(of: tensor, dtype, changes ? type : nil),
          shape: tensor.shape, in: base.reader.path),
        updates: updates[index], replacement: replacements[index])
    }
  }

  /// The dtype that a tensor of the base gets.
  private static func target(of tensor: TensorInfo, _ dtype: DType?, _ type: DType?) -> DType {
    guard tensor.dtype.isComputableFloat else { return tensor.dtype }
    if let dtype { return dtype }
    return type == nil || type == tensor.dtype ? tensor.dtype : .f32
  }

  private func position(of name: TensorName, module: String, file: String) throws(AdapterError)
    -> Int
  {
    guard let position = position(of: name) else {
      throw AdapterError(
        .moduleNotInBase(module: module, nearest: nearestModules(to: module)), file: file)
    }
    return position
  }

  private func position(of name: TensorName) -> Int? {
    storedNames(name).lazy.compactMap { positions[$0] }.first
  }

  private func nearestModules(to module: String) -> [String] {
    let modules = base.reader.tensors.lazy.map(\.name).filter { $0.hasSuffix(".weight") }
      .map { String($0.text.dropLast(".weight".count)) }
    return nearestNames(to: module, among: modules)
  }

  /// Checks that the base has one of the modules that an adapter is for, if only by another name.
  private func checkIsBase(of layout: AdapterLayout) throws(AdapterError) {
    let modules = layout.modules.map { (path: $0.path, name: TensorName($0.path + ".weight")) }
    let wanted = layout.savedTensors.map { (path: $0.name.text, name: $0.name) } + modules
    let hasOne = wanted.contains {
      position(of: $0.name) != nil || $0.name == MergePlan.headName && sharedEmbedding != nil
    }
    guard !hasOne, let path = (modules.first ?? wanted.first)?.path,
      nearestModules(to: path).isEmpty
    else { return }
    let tensors = base.reader.tensors
    let names = tensors.isEmpty ? "" : ": " + tensors.map(\.name.text).listed
    throw AdapterError(
      .foreignBase(
        module: path,
        found: "\(base.words), \(Quantity.of(tensors.count, "tensor"))\(names)"),
      file: base.path)
  }

  private func check(_ value: TensorInfo, replaces target: TensorInfo, file: String)
    throws(AdapterError)
  {
    guard value.shape == target.shape else {
      throw AdapterError(
        .shapeMismatch(tensor: target.name, expected: target.shape, found: value.shape),
        file: file)
    }
    try checkFloat(value, file: file)
  }

  private func checkFloat(_ tensor: TensorInfo, file: String) throws(AdapterError) {
    if tensor.dtype.isBlockQuantized {
      throw AdapterError(.quantizedBase(tensor: tensor.name, dtype: tensor.dtype), file: file)
    }
    guard tensor.dtype.isComputableFloat else {
      throw AdapterError(.notFloat(tensor: tensor.name, dtype: tensor.dtype), file: file)
    }
  }
}

/// Whether two tensors of the same shape hold the same bytes.
private func haveSameBytes(
  _ one: any CheckpointReader, _ left: Int, _ other: any CheckpointReader, _ right: Int
) throws(StorageError) -> Bool {
  let (a, b) = (one.tensors[left], other.tensors[right])
  guard a.dtype == b.dtype, a.byteCount == b.byteCount else { return false }
  let step = 4 << 20
  for start in stride(from: 0, to: a.byteCount, by: step) {
    let first = try MemorySlice(allocating: .u8, [min(step, a.byteCount - start)])
    let second = try MemorySlice(allocating: .u8, first.shape)
    try one.read(left, at: start, into: first)
    try other.read(right, at: start, into: second)
    guard first.bytes.isSame(as: second.bytes) else { return false }
  }
  return true
}
