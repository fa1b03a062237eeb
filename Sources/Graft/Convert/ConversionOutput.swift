internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// A checkpoint being written in some form: all of it appears, or nothing.
struct ConversionOutput {
  /// Takes the tensors' bytes.
  let writer: any CheckpointWriter
  /// The names of the files written, where the target is a directory.
  let fileNames: [String]
  /// Whether the bytes of the target depend on the order in which tiles are written; tiles in order, from any number of
  /// threads, then make one file.
  let isOrdered: Bool
  private let target: Target

  private enum Target {
    case directory(AtomicDirectory)
    case file(AtomicFile)
    case files([AtomicFile])
    /// A file packed from another one, which goes when this is over.
    case archive(AtomicFile, beside: AtomicFile)
  }

  /// Lays the target out and writes everything but the tensors.
  ///
  /// - Throws: ``StorageError`` when something stands at the path that isn't a checkpoint, or the disk is full.
  init(
    path: String, form: ConversionForm, _ plan: ConversionSource, words: SpilledVocabulary?,
    overwrites: Bool
  ) throws(StorageError) {
    try checkRoom(at: path, for: plan)
    let existing = OutputTarget(path, overwrites: overwrites)
    switch form {
    case .directory(let limit):
      try existing.checkDirectory(holding: plan.files.map(\.name))
      let directory = try AtomicDirectory(path: path)
      for file in plan.files { try file.write(into: directory) }
      if limit == nil, plan.keepsDTypes, plan.reader is HDF5Reader, !plan.shards.isEmpty {
        writer = try RestoringWriter(
          plan.tensors, headers: plan.shards, source: plan.reader.path, into: directory)
        fileNames = plan.files.map(\.name) + plan.shards.map(\.name)
      } else {
        let sharded = try ShardedWriter(
          plan.tensors, metadata: plan.metadata,
          maximumByteCount: limit ?? ShardPlan.defaultMaximumByteCount, stem: plan.stem,
          into: directory)
        writer = sharded
        fileNames = plan.files.map(\.name) + sharded.fileNames
      }
      isOrdered = false
      target = .directory(directory)
    case .safetensorsFile:
      try existing.checkFile(holding: plan.kind)
      let file = try AtomicFile(path: path)
      writer = try SafetensorsWriter(plan.tensors, metadata: plan.metadata, to: file.output)
      (fileNames, isOrdered, target) = ([], false, .file(file))
    case .hdf5(let compression):
      try existing.checkFile(holding: plan.kind)
      let file = try AtomicFile(path: path)
      writer = try HDF5Writer(
        file.output, tensors: plan.tensors, metadata: plan.metadata,
        files: plan.files.map(\.content), shards: plan.keepsDTypes ? plan.shards : [],
        vocabularyFiles: try words.map { words throws(StorageError) in try words.attachments() },
        compression: compression)
      (fileNames, isOrdered, target) = ([], compression != .none, .file(file))
    case .gguf(_, let limit):
      let entries = plan.gguf?.entries ?? []
      let shards = ShardPlan(plan.tensors, maximumByteCount: limit ?? .max)
      if let paths = SplitGGUFWriter.paths(for: shards, at: path) {
        try existing.checkParts(paths)
        var files: [AtomicFile] = []
        for path in paths { files.append(try AtomicFile(path: path)) }
        writer = try SplitGGUFWriter(
          plan.tensors, entries: entries, plan: shards, to: files.map(\.output))
        fileNames = paths.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
        (isOrdered, target) = (false, .files(files))
      } else {
        try existing.checkFile(holding: plan.kind)
        let file = try AtomicFile(path: path)
        writer = try GGUFWriter(plan.tensors, entries: entries, to: file.output)
        (fileNames, isOrdered, target) = ([], false, .file(file))
      }
    case .keras(let compression):
      try existing.checkFile(holding: plan.kind)
      let file = try AtomicFile(path: path)
      if let members = plan.keras?.members {
        let weights = try AtomicFile(path: path)
        writer = try KerasArchiveWriter(
          file.output, scratch: weights.output, tensors: plan.tensors, metadata: plan.metadata,
          members: members.map(\.content), compression: compression)
        fileNames = members.map(\.name)
        target = .archive(file, beside: weights)
      } else {
        writer = try HDF5Writer(
          file.output, tensors: plan.tensors, metadata: plan.metadata,
          keras: plan.keras?.layout ?? .weights, compression: compression)
        (fileNames, target) = ([], .file(file))
      }
      isOrdered = compression != .none
    case .pyTorchDirectory:
      try existing.checkDirectory(holding: plan.files.map(\.name))
      let directory = try AtomicDirectory(path: path)
      for file in plan.files { try file.write(into: directory) }
      let name = plan.stem == "model" ? PyTorchWriter.fileName : plan.stem + ".bin"
      writer = try PyTorchWriter(
        plan.tensors, copies: plan.copies, to: directory.file(named: name))
      (fileNames, isOrdered, target) = (
        plan.files.map(\.name) + [name], false, .directory(directory)
      )
    case .pyTorchFile:
      try existing.checkFile(holding: plan.kind)
      let file = try AtomicFile(path: path)
      writer = try PyTorchWriter(plan.tensors, copies: plan.copies, to: file.output)
      (fileNames, isOrdered, target) = ([], false, .file(file))
    case .numPy(let form):
      try existing.checkFile(holding: plan.kind)
      let file = try AtomicFile(path: path)
      writer = try NumPyWriter(plan.tensors, form: form, to: file.output)
      (fileNames, isOrdered, target) = ([], false, .file(file))
    case .wordVectors:
      preconditionFailure("tables of words have a writer of their own")
    }
  }

  /// Completes the tensors and makes everything appear.
  func commit() throws(StorageError) {
    try writer.finish()
    switch target {
    case .directory(let directory): try directory.commit()
    case .file(let file), .archive(let file, beside: _): try file.commit()
    case .files(let files): try AtomicFile.commit(files)
    }
  }
}

private func checkRoom(at path: String, for plan: ConversionSource) throws(StorageError) {
  // The weights of an archive are a file of their own until it is packed.
  let copies = plan.keras?.members == nil ? 1 : 2
  let needed =
    plan.tensors.reduce(0) { $0 + $1.byteCount } * copies
    + plan.files.reduce(0) { $0 + $1.byteCount }
  if let available = Directory.availableBytes(at: path), available < needed {
    throw StorageError(.noSpace(neededBytes: needed, availableBytes: available), file: path)
  }
}
