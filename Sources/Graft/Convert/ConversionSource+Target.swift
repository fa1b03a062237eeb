internal import GraftCore
internal import GraftFormats

extension ConversionSource {
  /// Checks that the disk has room for what is planned, and that it may take its path.
  ///
  /// - Throws: ``StorageError`` when something stands there that may not be replaced, or the disk is full.
  func checkTarget(
    _ path: String, form: OutputForm, overwrites: Bool
  ) throws(StorageError) {
    if !form.isCompressed { try checkRoom(at: path) }
    let existing = OutputTarget(path, overwrites: overwrites)
    if form.isDirectory {
      try existing.checkDirectory(holding: files.map(\.name))
    } else if let paths = parts(in: form, at: path) {
      try existing.checkParts(paths)
    } else {
      try existing.checkFile(holding: kind) { missing(of: $0, writing: form) }
    }
  }

  /// Checks the room; what compression makes of it nobody knows beforehand.
  private func checkRoom(at path: String) throws(StorageError) {
    // The weights of an archive are a file of their own until it is packed.
    let copies = keras?.members == nil ? 1 : 2
    let needed =
      tensors.reduce(0) { $0 + $1.byteCount } * copies + files.reduce(0) { $0 + $1.byteCount }
    if let available = Directory.availableBytes(at: path), available < needed {
      throw StorageError(.noSpace(neededBytes: needed, availableBytes: available), file: path)
    }
  }

  /// The most tensor data in one file of a directory: an adapter is one file, whatever its size.
  func shardByteCount(_ limit: Int?) -> Int {
    limit ?? (kind == .adapter ? .max : ShardPlan.defaultMaximumByteCount)
  }

  /// Checks that an adapter stays the one file that PEFT looks for.
  ///
  /// - Throws: ``StorageError/Reason/unsupported(feature:found:)`` for shards of an adapter.
  func checkShards(in form: OutputForm, of source: String) throws(StorageError) {
    let limit: Int?
    switch form {
    case .directory(let given), .pyTorchDirectory(let given): limit = given
    case .safetensorsFile, .hdf5, .gguf, .keras, .pyTorchFile, .numPy, .wordVectors: limit = nil
    }
    guard kind == .adapter, let limit else { return }
    let count = ShardPlan(tensors, maximumByteCount: limit).shards.count
    guard count > 1 else { return }
    throw StorageError(
      .unsupported(
        feature: "sharding of an adapter", found: "a limit that makes \(count) files of it"),
      file: source, remedy: "PEFT reads an adapter from one file: leave --max-shard-size out")
  }

  /// The paths of the parts of a split GGUF file; nil where there is one file, or another form.
  private func parts(in form: OutputForm, at path: String) -> [String]? {
    guard case .gguf(_, let limit) = form else { return nil }
    return GGUFSplit.paths(
      for: ShardPlan(tensors, maximumByteCount: limit ?? .max), at: path)
  }

  /// The names of the files that a form has: below the path, or beside each other.
  ///
  /// A directory out of HDF5 whose headers are kept has the shards that it had before, which aren't told here.
  func fileNames(in form: OutputForm, at path: String) -> [String] {
    let shards: ShardPlan
    switch form {
    case .directory(let limit):
      shards = ShardPlan(
        tensors, maximumByteCount: shardByteCount(limit), stem: stem)
    case .pyTorchDirectory(let limit):
      shards = ShardPlan(
        tensors, maximumByteCount: shardByteCount(limit),
        stem: stem == "model" ? PyTorchWriter.stem : stem, suffix: ".bin")
    case .safetensorsFile, .hdf5, .gguf, .keras, .pyTorchFile, .numPy, .wordVectors:
      return (parts(in: form, at: path) ?? [path]).map { file in
        file.split(separator: "/").last.map(String.init) ?? file
      }
    }
    return shards.fileNames + (shards.indexName.map { [$0] } ?? []) + files.map(\.name)
  }
}
