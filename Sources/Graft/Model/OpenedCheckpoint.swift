public import GraftAdapters
public import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// Whatever stands at a path, opened: tensors in any format, and the files that travel with them.
///
/// A path is a model directory, an adapter directory, a shard index, or one file of any format.
public struct OpenedCheckpoint: Sendable {
  /// What a checkpoint holds.
  public enum Kind: String, Sendable {
    /// Weights with a `config.json`.
    case model
    /// Low-rank updates with an `adapter_config.json`.
    case adapter
    /// A table of vectors with its vocabulary.
    case embeddings
    /// Tensors that nothing more is known about.
    case tensors
  }

  /// The path that was opened.
  public let path: String
  /// The tensors.
  public let reader: any CheckpointReader
  /// The other files, by name.
  public let files: [CompanionFile]

  /// Opens a path; formats are told by content.
  ///
  /// - Throws: ``StorageError`` when nothing readable stands there.
  public init(path: String) throws(StorageError) {
    self.path = path
    let folder: String
    if Directory.exists(at: path) {
      folder = path
      reader = try openWeights(inDirectory: path)
    } else {
      folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
      reader = try openWeights(file: path)
    }
    if let hdf5 = reader as? HDF5Reader, !hdf5.files.isEmpty {
      files = hdf5.files.map(CompanionFile.init)
    } else if folder == path || hasConfiguration(folder) {
      files = try companionFiles(in: folder, below: "")
    } else {
      files = []
    }
  }

  /// What the checkpoint holds, told from its files.
  public var kind: Kind {
    if file(LoRAConfiguration.fileName) != nil { return .adapter }
    switch reader.format {
    case .gguf: return .model
    case .word2vec, .glove: return .embeddings
    case .safetensors, .hdf5: break
    }
    let isTable = reader.tensors.count { $0.shape.rank == 2 } == 1
    if isTable, file("tokenizer.json") != nil || vocabulary != nil {
      return .embeddings
    }
    return file("config.json") != nil ? .model : .tensors
  }

  /// The words of an embedding table by row, where the file itself holds them.
  var vocabulary: [[UInt8]]? {
    if let table = (reader as? EmbeddingCheckpoint)?.table { return table.words.map(Array.init) }
    guard let hdf5 = reader as? HDF5Reader else { return nil }
    return (try? hdf5.vocabulary()) ?? nil
  }

  /// A companion by name.
  public func file(_ name: String) -> CompanionFile? { files.first { $0.name == name } }

  /// The bytes of a companion that must be there.
  ///
  /// - Throws: ``StorageError`` when it is missing or can't be read.
  public func requiredFile(_ name: String) throws(StorageError) -> [UInt8] {
    guard let file = file(name) else {
      throw StorageError(
        .notFound, file: path + "/" + name,
        remedy: "\(name) belongs beside the weights, or inside an HDF5 file")
    }
    return try file.contents()
  }

  /// Checks that the checkpoint is in a form that can be computed with.
  ///
  /// - Throws: ``StorageError/Reason/unsupported(feature:found:)`` for GGUF.
  func checkComputable() throws(StorageError) {
    guard reader.format == .gguf else { return }
    throw StorageError(
      .unsupported(feature: "format to compute with", found: "GGUF"), file: path,
      remedy: "make a model directory of it first: graft convert \(path.escapedForTerminal) DIR")
  }

  /// A companion as JSON.
  func json(_ name: String) throws(StorageError) -> JSONValue {
    try JSONValue.parse(try requiredFile(name), file: path + "/" + name)
  }

  /// A companion as JSON; nil without it.
  func json(ifPresent name: String) throws(StorageError) -> JSONValue? {
    // A bare nil would be JSON's null.
    file(name) == nil ? JSONValue?.none : try json(name)
  }

  /// The configuration of an adapter.
  ///
  /// - Throws: ``StorageError`` and ``AdapterError``.
  public func adapterConfiguration() throws -> LoRAConfiguration {
    let name = LoRAConfiguration.fileName
    return try LoRAConfiguration(try json(name), file: path + "/" + name)
  }

  /// The adapter, read whole.
  ///
  /// - Throws: ``StorageError`` and ``AdapterError``.
  public func adapter() throws -> Adapter {
    try Adapter(reading: reader, configuration: try adapterConfiguration())
  }
}

// MARK: - Finding weights

/// Opens the weights of a directory: the file of PEFT or mlx-lm, the one safetensors file, the index, or the only weight file there is.
private func openWeights(inDirectory path: String) throws(StorageError) -> any CheckpointReader {
  let names = try Directory.entries(of: path)
  let isAdapter = names.contains(LoRAConfiguration.fileName)
  let usual =
    (isAdapter ? [Adapter.fileName, "adapters.safetensors"] : []) + [
      "model.safetensors", ShardIndex.fileName,
    ]
  if let name = usual.first(where: names.contains) {
    return try openWeights(file: path + "/" + name)
  }
  let indexes = names.filter { $0.hasSuffix(".safetensors.index.json") }
  if indexes.count == 1 { return try openWeights(file: path + "/" + indexes[0]) }
  var weights: [String] = []
  for name in names where Directory.hasFile(at: path + "/" + name) && !name.hasPrefix(".") {
    if try holdsTensors(path + "/" + name) { weights.append(name) }
  }
  guard weights.count == 1 else {
    throw StorageError(
      .unrecognized(expected: "one file of weights or an index, found \(weights.count) files"),
      file: path, remedy: "name the file of weights itself")
  }
  return try openWeights(file: path + "/" + weights[0])
}

/// Opens one file by its content.
private func openWeights(file path: String) throws(StorageError) -> any CheckpointReader {
  switch try FormatSniffer.sniff(path: path) {
  case .safetensors: return try SafetensorsReader(path: path)
  case .hdf5: return try HDF5Reader(path: path)
  case .gguf: return try GGUFReader(path: path)
  case .shardIndex: return try ShardedReader(indexPath: path)
  case .wordVectors(let format): return try EmbeddingCheckpoint(path: path, format: format)
  case .unrecognized:
    throw StorageError(
      .unrecognized(expected: "safetensors, GGUF, HDF5, a shard index or word vectors"), file: path)
  }
}

/// Whether a file holds tensors, told by its first bytes.
private func holdsTensors(_ path: String) throws(StorageError) -> Bool {
  switch try FormatSniffer.sniff(path: path) {
  case .safetensors, .hdf5, .gguf: true
  case .shardIndex, .wordVectors, .unrecognized: false
  }
}

// MARK: - Companions

private func hasConfiguration(_ folder: String) -> Bool {
  [LoRAConfiguration.fileName, "config.json"].contains {
    Directory.hasFile(at: folder + "/" + $0)
  }
}

/// The files of a directory that aren't weights, with those of its sub-directories; hidden ones and what a training run
/// keeps beside its results are left out.
func companionFiles(in folder: String, below prefix: String) throws(StorageError)
  -> [CompanionFile]
{
  var files: [CompanionFile] = []
  for name in try Directory.entries(of: folder)
  where !name.hasPrefix(".") && !TrainingDirectory.recordNames.contains(name) {
    let path = folder + "/" + name
    if Directory.exists(at: path) {
      files += try companionFiles(in: path, below: prefix + name + "/")
    } else if Directory.hasFile(at: path), !isWeightFile(name) {
      files.append(CompanionFile(name: prefix + name, file: try InputFile(path: path)))
    }
  }
  return files
}

/// Whether a file holds weights of whatever program or says where they are; a copy would be stale.
private func isWeightFile(_ name: String) -> Bool {
  [
    ".safetensors", ".index.json", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".hdf5",
    ".keras",
    ".msgpack", ".onnx", ".onnx_data", ".npz", ".npy",
  ].contains { name.hasSuffix($0) }
}
