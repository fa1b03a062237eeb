internal import GraftAdapters
public import GraftCore
internal import GraftFormats
internal import GraftHDF5
internal import GraftKernels
internal import GraftModels
internal import Synchronization

/// Checks a checkpoint from its structure to its last element.
///
/// Structure and index; every tensor of the architecture with the shape that `config.json` says; tied tensors; NaN and
/// infinity; of an adapter its factors, and with a base that it fits. Tensors are read by tiles.
/// - Parameters:
///   - path: A model, adapter or table of any format.
///   - base: The model that an adapter is for.
/// - Throws: ``StorageError`` when files can't be read or are of no known format, or a base is given for what is no adapter;
///   what is wrong inside is in the result.
public func verify(
  _ path: String, base: String? = nil, threadCount: Int = 2, progress: Progress = .none
) throws -> Verification {
  var result = Verification(path: path)
  var opened: OpenedCheckpoint?
  if try result.checkShards() { return result }
  do {
    try result.check("structure") { _ in
      opened = try OpenedCheckpoint(path: path, threadCount: threadCount)
    }
  } catch let error as StorageError where error.isMissingPart(of: path) {
    result.defects.append(
      Defect(file: error.file, "no such file, expected a part of the checkpoint"))
  }
  guard let checkpoint = opened else { return result }
  progress.expect(checkpoint.reader.tensors.reduce(0) { $0 + $1.byteCount })
  if let sharded = checkpoint.reader as? ShardedReader {
    result.checks.append("index of \(sharded.shards.count) shards")
  }
  // A configuration that can't be read is a defect, found where it is checked.
  let isForeign =
    checkpoint.kind == .adapter
    ? (try? checkpoint.isForeignAdapter) ?? false : try checkpoint.isForeignAdapter
  if base != nil, !isForeign, checkpoint.kind != .adapter {
    throw StorageError(
      .mismatch(
        subject: "the kind of the checkpoint", expected: "an adapter, which has a base",
        found: checkpoint.kind.words),
      file: path, remedy: "name the adapter first, or leave the base away")
  }
  result.omissions += checkpoint.reader.unreadable.map {
    "tensor \($0.name): \($0.kind) isn't read"
  }
  switch checkpoint.kind {
  case _ where isForeign: try result.checkForeignAdapter(checkpoint)
  case .adapter: try result.checkAdapter(checkpoint, base: base)
  case .model: try result.checkArchitecture(of: checkpoint)
  case .embeddings: try result.checkVocabulary(of: checkpoint)
  case .tensors: result.noteMissingConfiguration()
  }
  result.noteCode(of: checkpoint)
  try result.checkValues(of: checkpoint, threadCount: threadCount, progress)
  try result.checkHash(of: checkpoint)
  for input in checkpoint.reader.inputs { try input.checkUnchanged() }
  return result
}

extension Verification {
  // MARK: - Structure

  fileprivate mutating func checkAdapter(_ checkpoint: OpenedCheckpoint, base: String?) throws {
    let model = try base.map { path throws(StorageError) in try OpenedCheckpoint(path: path) }
    var isWhole = false
    try check("adapter configuration and factors") { result in
      let configuration = try checkpoint.adapterConfiguration()
      let layout = try AdapterLayout(checkpoint.reader, configuration)
      isWhole = true
      let modules = model?.knownConfiguration?.linearModules
      result.defects += layout.shortfalls(of: configuration, base: modules).map {
        Defect(file: checkpoint.path + "/" + LoRAConfiguration.fileName, $0)
      }
      guard base == nil else { return }
      result.omissions += layout.targetsWithoutPair(of: configuration).map {
        "target \($0.escapedShortened), of which no module has a pair: no base was given"
      }
    }
    guard let model else {
      omissions.append("fit to the base: no base was given")
      return
    }
    // What keeps the adapter from being read would be said a second time.
    guard isWhole else {
      omissions.append("fit to the base: the adapter itself can't be read")
      return
    }
    try check("fit to the base") { _ in
      _ = try MergePlan(base: model, adapters: [WeightedAdapter(path: checkpoint.path)])
    }
  }

  /// Says that a directory of weights has nothing that they could be held against.
  fileprivate mutating func noteMissingConfiguration() {
    guard Directory.exists(at: path) else { return }
    omissions.append("tensors and shapes against config.json: there is no config.json")
  }

  fileprivate mutating func checkArchitecture(of checkpoint: OpenedCheckpoint) throws {
    if let source = checkpoint.reader as? GGUFReader {
      try checkUnlessUnsupported("tensors and shapes against the metadata") { _ in
        _ = try GGUFModel(source, as: .f32)
      }
      return
    }
    if let config = try? checkpoint.json(ifPresent: "config.json"), let model = KerasModel(config) {
      return checkLayers(of: model, in: checkpoint.reader)
    }
    try checkUnlessUnsupported("tensors and shapes against config.json") { result in
      let file = checkpoint.path + "/config.json"
      let json = try checkpoint.json("config.json")
      let packed = PackedWeights(checkpoint.reader, json)
      let configuration = try KnownArchitectures.configuration(
        packed == nil ? json : PackedWeights.unpacked(json), file: file)
      result.compare(checkpoint.reader, with: configuration, packed)
      result.findUnexpected(
        in: checkpoint.reader, configuration, tied: checkpoint.ties(json).flatMap { $0 }, packed)
    }
  }

  /// What this program doesn't know isn't a defect.
  private mutating func checkUnlessUnsupported(
    _ name: String, _ body: (inout Verification) throws -> Void
  ) throws {
    do {
      try body(&self)
      checks.append(name)
    } catch {
      if let error = error as? StorageError,
        case .unsupported(let feature, let found) = error.reason
      {
        omissions.append("\(name): unsupported \(feature), \(found.escapedShortened)")
        return
      }
      guard let defect = Defect(error, in: path) else { throw error }
      switch (error as? ModelError)?.reason {
      case .unknownArchitecture, .unsupported: omissions.append("\(name): \(defect.problem)")
      default: defects.append(defect)
      }
    }
  }

  private mutating func compare(
    _ reader: any CheckpointReader, with configuration: any ModelConfiguration,
    _ packed: PackedWeights?
  ) {
    let places = reader.positions
    for wanted in configuration.tensors {
      let names = configuration.storedNames(of: wanted.name)
      guard let place = names.lazy.compactMap({ places[$0] }).first else {
        defects.append(
          Defect(
            file: reader.path, tensor: wanted.name,
            "missing, expected \(wanted.shape) by config.json"))
        continue
      }
      let found = reader.tensors[place].shape
      let stored = packed?.storedShape(of: reader.tensors[place].name, wanted.shape)
      guard found != stored ?? wanted.shape else { continue }
      defects.append(
        Defect(
          file: reader.extent(of: place)?.file.path ?? reader.path, tensor: wanted.name,
          offset: reader.extent(of: place)?.range.lowerBound,
          "expected \(stored ?? wanted.shape) by config.json, found \(found)"))
    }
  }

  private mutating func findUnexpected(
    in reader: any CheckpointReader, _ configuration: any ModelConfiguration, tied: [TensorName],
    _ packed: PackedWeights?
  ) {
    let names = configuration.tensors.map(\.name) + configuration.unreadTensors
    let expected = Set(names.flatMap { configuration.storedNames(of: $0) } + tied)
    unexpected = reader.tensors.filter {
      !expected.contains($0.name) && packed?.isAid($0.name) != true
    }
  }

  /// What goes with the rows of a table: which of them tokens have, their weights, where words end.
  private mutating func checkTable(of checkpoint: OpenedCheckpoint) throws {
    switch checkpoint.reader.format {
    // Their words stand in the rows.
    case .word2vec, .glove, .fastText: return
    default: break
    }
    guard StaticEmbeddingLayout(checkpoint.reader.tensors) != nil,
      try checkpoint.tokenizer != nil || checkpoint.vocabulary() != nil
    else { return }
    try checkUnlessUnsupported("rows, weights and words of the table") { _ in
      let table = try VectorTable(checkpoint)
      if case .words(let words) = table.labels { try words.visit { _, _ in } }
    }
  }

  fileprivate mutating func checkVocabulary(of checkpoint: OpenedCheckpoint) throws {
    try checkTable(of: checkpoint)
    guard let words = try checkpoint.vocabulary(),
      let table = checkpoint.reader.tensors.first(where: { $0.shape.rank == 2 })
    else { return }
    checks.append("vocabulary against rows")
    if words.count != table.shape[0] {
      defects.append(
        Defect(
          file: checkpoint.path, tensor: table.name,
          "\(table.shape[0]) rows for \(words.count) words"))
    }
  }

  // MARK: - Values

  /// Reads every element.
  fileprivate mutating func checkValues(
    of checkpoint: OpenedCheckpoint, threadCount: Int, _ progress: Progress
  ) throws {
    let reader = checkpoint.reader
    let infos = reader.tensors
    let tiles = infos.indices.flatMap { TensorTile.all(of: infos[$0], at: $0) }
    let counts = Mutex([NonFiniteCount](repeating: NonFiniteCount(), count: reader.tensors.count))
    let failures = Mutex<[Int: any Error]>([:])
    try shareOut(tiles.count, threadCount: threadCount, worker: { try TileReader() }) {
      item, worker in
      let tile = tiles[item]
      let dtype = reader.tensors[tile.tensor].dtype
      // A tensor that can't be read is one defect, however many tiles it has.
      guard failures.withLock({ $0[tile.tensor] == nil }) else { return }
      do {
        if tile.elements.lowerBound == 0 { try reader.checkStoredBytes(of: tile.tensor) }
        let isQuantized = dtype.isBlockQuantized && dtype.hasValues
        let slice =
          isQuantized ? try worker.dequantized(tile, reader) : try worker.bytes(of: tile, reader)
        let count = NonFiniteCount(
          in: slice.bytes, of: isQuantized ? .f32 : dtype,
          from: tile.elements.lowerBound)
        if !count.isEmpty { counts.withLock { $0[tile.tensor] += count } }
      } catch {
        failures.withLock { $0[tile.tensor] = error }
      }
      progress.advance(tile.bytes(in: dtype).count)
    }
    for (tensor, info) in reader.tensors.enumerated() {
      if let error = failures.withLock({ $0[tensor] }) {
        guard let defect = Defect(error, in: reader.path) else { throw error }
        defects.append(defect)
      }
      let count = counts.withLock { $0[tensor] }
      if !count.isEmpty { defects.append(Self.defect(of: count, in: reader, tensor: tensor)) }
      byteCount += info.byteCount
    }
    tensorCount = reader.tensors.count
    checks.append("NaN and infinity in every element")
    try checkTies(of: checkpoint)
  }

  private static func defect(
    of count: NonFiniteCount, in reader: any CheckpointReader, tensor: Int
  ) -> Defect {
    let info = reader.tensors[tensor]
    let extent = reader.extent(of: tensor)
    let first = count.first ?? 0
    let element = info.dtype.isBlockQuantized ? first / info.dtype.layout.elements : first
    return Defect(
      file: extent?.file.path ?? reader.path, tensor: info.name,
      offset: extent.map { $0.range.lowerBound + element * info.dtype.layout.bytes },
      "\(count.nanCount) NaN and \(count.infinityCount) infinite of \(info.shape.elementCount) elements, the first at element \(first)"
    )
  }

  /// A stored copy of a tied tensor must be the tensor.
  private mutating func checkTies(of checkpoint: OpenedCheckpoint) throws {
    guard checkpoint.kind == .model, checkpoint.file("config.json") != nil,
      let config = try? checkpoint.json("config.json")
    else { return }
    let reader = checkpoint.reader
    let places = reader.positions
    for tie in checkpoint.ties(config) {
      let stored = tie.compactMap { places[$0] }
      guard stored.count == 2 else { continue }
      checks.append("tied tensors")
      let (first, copy) = (stored[0], stored[1])
      if try !reader.hasSameValues(first, as: copy, of: reader) {
        defects.append(
          Defect(
            file: reader.extent(of: copy)?.file.path ?? reader.path,
            tensor: reader.tensors[copy].name, offset: reader.extent(of: copy)?.range.lowerBound,
            "config.json ties it to \(tie[0]), and its values are others"))
      }
    }
  }
}

extension StorageError {
  /// Whether a file is missing that belongs to what is at a path, which is there.
  fileprivate func isMissingPart(of path: String) -> Bool {
    reason == .notFound && file != path
      && (Directory.exists(at: path) || Directory.hasFile(at: path))
  }
}
