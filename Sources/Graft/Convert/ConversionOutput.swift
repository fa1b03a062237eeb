internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// A checkpoint being written in some form: all of it appears, or nothing.
struct ConversionOutput {
  /// Takes the tensors' bytes.
  let writer: any CheckpointWriter
  /// The names of the files written, where there are several.
  let fileNames: [String]
  /// Whether tiles are written in order, see ``OutputForm/isOrdered``.
  let isOrdered: Bool
  private let target: Target
  /// The hash of the bytes, to be written behind them.
  private let hash: TensorHash?

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
    path: String, form: OutputForm, _ plan: ConversionSource, words: SpilledVocabulary?,
    overwrites: Bool
  ) throws(StorageError) {
    try plan.checkTarget(path, form: form, overwrites: overwrites)
    isOrdered = form.isOrdered
    hash = form == .safetensorsFile ? TensorHash(of: plan.tensors, plan.metadata) : nil
    func makeFile() throws(StorageError) -> AtomicFile { try AtomicFile(path: path) }
    func makeDirectory() throws(StorageError) -> AtomicDirectory {
      let directory = try AtomicDirectory(path: path)
      for file in plan.files { try file.write(into: directory) }
      return directory
    }
    switch form {
    case .directory(let limit):
      let directory = try makeDirectory()
      if limit == nil, plan.keepsDTypes, plan.reader is HDF5Reader, !plan.shards.isEmpty {
        writer = try RestoringWriter(
          plan.tensors, headers: plan.shards, source: plan.reader.path, into: directory)
        fileNames = plan.files.map(\.name) + plan.shards.map(\.name)
      } else {
        let sharded = try ShardedWriter(
          plan.tensors, metadata: plan.metadata,
          maximumByteCount: plan.shardByteCount(limit), stem: plan.stem,
          into: directory)
        writer = sharded
        fileNames = plan.files.map(\.name) + sharded.fileNames
      }
      target = .directory(directory)
    case .safetensorsFile:
      let file = try makeFile()
      writer = try SafetensorsWriter(plan.tensors, metadata: plan.metadata, to: file.output)
      (fileNames, target) = ([], .file(file))
    case .hdf5(let compression):
      let file = try makeFile()
      writer = try HDF5Writer(
        file.output, tensors: plan.tensors, metadata: plan.metadata,
        annotations: plan.annotations, files: plan.files.map(\.content),
        shards: plan.keepsDTypes ? plan.shards : [], vocabularyFiles: words?.attachments(),
        compression: compression)
      (fileNames, target) = ([], .file(file))
    case .gguf(_, let limit):
      let entries = plan.gguf?.entries ?? []
      let shards = ShardPlan(plan.tensors, maximumByteCount: limit ?? .max)
      if let paths = GGUFSplit.paths(for: shards, at: path) {
        var files: [AtomicFile] = []
        for path in paths { files.append(try AtomicFile(path: path)) }
        let sharded = try ShardedWriter(
          gguf: plan.tensors, entries: entries, plan: shards, to: files.map(\.output))
        writer = sharded
        (fileNames, target) = (sharded.fileNames, .files(files))
      } else {
        let file = try makeFile()
        writer = try GGUFWriter(plan.tensors, entries: entries, to: file.output)
        (fileNames, target) = ([], .file(file))
      }
    case .keras(let compression):
      let file = try makeFile()
      if let members = plan.keras?.members {
        let weights = try AtomicFile(path: path)
        writer = try KerasArchiveWriter(
          file.output, scratch: weights.output, tensors: plan.tensors, metadata: plan.metadata,
          annotations: plan.annotations, members: members.map(\.content),
          compression: compression)
        fileNames = members.map(\.name)
        target = .archive(file, beside: weights)
      } else {
        writer = try HDF5Writer(
          file.output, tensors: plan.tensors, metadata: plan.metadata,
          annotations: plan.annotations, keras: plan.keras?.layout ?? .weights,
          compression: compression)
        (fileNames, target) = ([], .file(file))
      }
    case .pyTorchDirectory(let limit):
      let directory = try makeDirectory()
      let sharded = try ShardedWriter(
        pyTorch: plan.tensors, copies: plan.copies,
        maximumByteCount: plan.shardByteCount(limit),
        stem: plan.stem == "model" ? PyTorchWriter.stem : plan.stem, into: directory)
      writer = sharded
      fileNames = plan.files.map(\.name) + sharded.fileNames
      target = .directory(directory)
    case .pyTorchFile:
      let file = try makeFile()
      writer = try PyTorchWriter(plan.tensors, copies: plan.copies, to: file.output)
      (fileNames, target) = ([], .file(file))
    case .numPy(let form):
      let file = try makeFile()
      writer = try NumPyWriter(plan.tensors, form: form, to: file.output)
      (fileNames, target) = ([], .file(file))
    case .wordVectors(let format):
      guard let words else { preconditionFailure("a table of words has words") }
      let file = try makeFile()
      writer = try WordRowsWriter(plan.tensors[0], words: words, format, to: file.output)
      (fileNames, target) = ([], .file(file))
    }
  }

  /// Where what was written can be opened.
  var path: String {
    switch target {
    case .directory(let directory): directory.path
    case .file(let file), .archive(let file, beside: _): file.path
    case .files(let files): files[0].path
    }
  }

  /// Completes the tensors and makes everything appear.
  func commit() throws(StorageError) {
    try writer.finish()
    if let hash, case .file(let file) = target { try hash.write(to: file.output) }
    switch target {
    case .directory(let directory): try directory.commit()
    case .file(let file), .archive(let file, beside: _): try file.commit()
    case .files(let files): try AtomicFile.commit(files)
    }
  }
}
