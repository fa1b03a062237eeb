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
        tensors, maximumByteCount: limit ?? ShardPlan.defaultMaximumByteCount, stem: stem)
    case .pyTorchDirectory(let limit):
      shards = ShardPlan(
        tensors, maximumByteCount: limit ?? ShardPlan.defaultMaximumByteCount,
        stem: stem == "model" ? PyTorchWriter.stem : stem, suffix: ".bin")
    case .safetensorsFile, .hdf5, .gguf, .keras, .pyTorchFile, .numPy, .wordVectors:
      return (parts(in: form, at: path) ?? [path]).map { file in
        file.split(separator: "/").last.map(String.init) ?? file
      }
    }
    return shards.fileNames + (shards.indexName.map { [$0] } ?? []) + files.map(\.name)
  }
}
