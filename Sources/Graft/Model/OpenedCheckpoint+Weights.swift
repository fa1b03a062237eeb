internal import GraftAdapters
internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// Where the weights of a path are, and what reads them.
extension OpenedCheckpoint {
  /// Opens the weights of a directory: the file of PEFT or mlx-lm, the one safetensors file, the index, or the only weight file there is.
  static func openWeights(
    inDirectory path: String, _ threadCount: Int?
  ) throws(StorageError) -> any CheckpointReader {
    let names = try Directory.entries(of: path)
    let isAdapter = names.contains(LoRAConfiguration.fileName)
    let usual =
      (isAdapter ? [Adapter.fileName, "adapters.safetensors", "adapter_model.bin"] : []) + [
        "model.safetensors", ShardIndex.fileName, PyTorchWriter.fileName,
      ]
    if let name = usual.first(where: names.contains) {
      return try openWeights(file: path + "/" + name, threadCount)
    }
    if names.contains(StaticModules.fileName) {
      let bytes = try InputFile.contents(
        of: path + "/" + StaticModules.fileName, atMost: StaticModules.maximumByteCount)
      let modules = try JSONValue.parse(bytes, file: path + "/" + StaticModules.fileName)
      if let folder = StaticModules.tableFolder(in: modules) {
        return try openWeights(inDirectory: path + "/" + folder, threadCount)
      }
    }
    let indexes =
      [".safetensors.index.json", ".bin.index.json"].lazy
      .map { suffix in names.filter { $0.hasSuffix(suffix) } }.first { !$0.isEmpty } ?? []
    if indexes.count == 1 { return try openWeights(file: path + "/" + indexes[0], threadCount) }
    var weights: [String] = []
    for name in names where Directory.hasFile(at: path + "/" + name) && !name.hasPrefix(".") {
      if try holdsTensors(path + "/" + name) { weights.append(name) }
    }
    guard weights.count == 1 else {
      throw StorageError(
        .unrecognized(expected: "one file of weights or an index, found \(weights.count) files"),
        file: path, remedy: "name the file of weights itself")
    }
    return try openWeights(file: path + "/" + weights[0], threadCount)
  }

  /// Opens one file by its content.
  static func openWeights(
    file path: String, _ threadCount: Int?
  ) throws(StorageError) -> any CheckpointReader {
    switch try FormatSniffer.sniff(path: path) {
    case .safetensors: return try SafetensorsReader(path: path)
    case .hdf5: return try HDF5Reader(path: path)
    case .gguf: return try GGUFReader(path: path)
    case .shardIndex:
      return try ShardedReader(indexPath: path)
    case .pytorch: return try PyTorchReader(path: path)
    case .numpy: return try NumPyReader(path: path)
    case .keras: return try KerasArchiveReader(path: path)
    case .wordVectors(let format):
      var options = WordVectorOptions()
      options.threadCount = threadCount
      return try EmbeddingCheckpoint(path: path, format: format, options: options)
    case .fastText: return try FastTextCheckpoint(path: path)
    case .unrecognized:
      throw StorageError(
        .unrecognized(
          expected: "safetensors, GGUF, HDF5, PyTorch, NumPy, a shard index or word vectors"),
        file: path,
        remedy: try FormatSniffer.remedy(path: path))
    }
  }

  /// Whether a file holds tensors, told by its first bytes.
  private static func holdsTensors(_ path: String) throws(StorageError) -> Bool {
    switch try FormatSniffer.sniff(path: path) {
    case .safetensors, .hdf5, .gguf, .fastText, .pytorch, .numpy, .keras: true
    case .shardIndex, .wordVectors, .unrecognized: false
    }
  }
}
