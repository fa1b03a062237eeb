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

    /// What it is, in words.
    var words: String {
      switch self {
      case .model: "a model"
      case .adapter: "an adapter"
      case .embeddings: "a table of vectors"
      case .tensors: "tensors without a configuration"
      }
    }
  }

  /// The path that was opened.
  public let path: String
  /// The tensors: what every verb reads.
  ///
  /// Those of the files at the path, or what a verb is about to write in their place.
  public let reader: any CheckpointReader
  /// The other files, by name.
  public let files: [CompanionFile]
  /// What stays behind of the directory, in words: what training runs keep beside what they made, by name, and what
  /// ``CompanionListing`` doesn't take along.
  let others: [String]
  /// The reader of the files at the path, also where ``reader`` shows what a verb makes of them.
  ///
  /// It is there to be asked what the files hold besides tensors, which conversions name where they leave it out; values are read by
  /// ``reader`` alone.
  let stored: any CheckpointReader
  /// What the model is called where it says nothing itself.
  let name: String

  /// Opens a path; formats are told by content.
  ///
  /// - Parameters:
  ///   - tokenizer: A `tokenizer.json` for a table of vectors that has none beside it.
  ///   - threadCount: The threads that look through a file of word vectors; nil takes all cores.
  /// - Throws: ``StorageError`` when nothing readable stands there.
  public init(
    path: String, tokenizer: String? = nil, threadCount: Int? = nil
  ) throws(StorageError) {
    self.path = path
    var files: [CompanionFile]
    var others: [String] = []
    let folder: String
    if Directory.exists(at: path) {
      folder = path
      reader = try Self.openWeights(inDirectory: path, threadCount)
    } else {
      folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
      reader = try Self.openWeights(file: path, threadCount)
    }
    let listing: CompanionListing? =
      folder == path
      ? try CompanionListing(of: folder, weights: [reader.path] + reader.inputs.map(\.path)) : nil
    if let listing {
      others = try TrainingDirectory.records(in: path) + listing.others
    }
    if let inside = (reader as? HDF5Reader)?.files ?? (reader as? KerasArchiveReader)?.files,
      !inside.isEmpty || reader is KerasArchiveReader
    {
      files = inside.map(CompanionFile.init)
      // The files beside the one that has its own.
      others += listing?.files.map(\.name) ?? []
    } else if let listing {
      files = listing.files
    } else if hasConfiguration(folder) {
      files = try CompanionListing(of: folder, isWhole: false).files
    } else if isTable(reader), Directory.hasFile(at: folder + "/" + tokenizerName) {
      files = [
        CompanionFile(name: tokenizerName, file: try InputFile(path: folder + "/" + tokenizerName))
      ]
    } else {
      files = []
    }
    if let tokenizer {
      files.removeAll { $0.name == tokenizerName }
      files.append(CompanionFile(name: tokenizerName, file: try InputFile(path: tokenizer)))
    }
    self.files = files
    self.others = others
    stored = reader
    name = Self.lastComponent(of: path)
  }

  /// A checkpoint with other values and files than stand at its path, as a verb writes it to another one.
  ///
  /// But for a directory itself it is shown as that directory, under its name: a conversion of the directory writes the same bytes.
  init(
    _ other: OpenedCheckpoint, reader: any CheckpointReader, files: [CompanionFile],
    to target: String, as form: OutputForm?
  ) {
    let name = Self.lastComponent(of: target)
    let stem = name.lowercased().hasSuffix(".gguf") ? String(name.dropLast(5)) : name
    let plain = OpenedCheckpoint(
      path: other.path, reader: reader, files: files.sorted { $0.precedes($1) },
      others: other.others, stored: other.stored, name: stem)
    let form = form ?? OutputForm(for: target)
    // What no directory can hold is written as it is.
    guard form != .directory(), let planned = try? PlannedDirectory(of: plain) else {
      self = plain
      return
    }
    self = OpenedCheckpoint(
      path: plain.path, reader: planned, files: plain.files, others: plain.others,
      stored: plain.stored, name: stem)
  }

  private init(
    path: String, reader: any CheckpointReader, files: [CompanionFile], others: [String],
    stored: any CheckpointReader, name: String
  ) {
    self.path = path
    self.reader = reader
    self.files = files
    self.others = others
    self.stored = stored
    self.name = name
  }

  private static func lastComponent(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? "model"
  }

  /// What the checkpoint holds, told from its files.
  public var kind: Kind {
    if file(LoRAConfiguration.fileName) != nil { return .adapter }
    switch reader.format {
    case .gguf where hasArchitecture: return .model
    case .word2vec, .glove, .fastText: return .embeddings
    case .gguf, .safetensors, .hdf5, .keras, .pytorch, .numpy: break
    }
    if let layout = StaticEmbeddingLayout(reader.tensors) {
      let hasWords =
        layout.vocabulary != nil || tokenizer != nil
        || (reader as? HDF5Reader)?.hasVocabulary == true
      if layout.isNamed || hasWords { return .embeddings }
    }
    return file("config.json") != nil ? .model : .tensors
  }

  /// What it is, in words: kind and format.
  var words: String { "\(kind.words) in \(reader.format.rawValue)" }

  /// Whether a file of GGUF says what its tensors are for, which bare ones have no key for.
  private var hasArchitecture: Bool {
    (reader as? GGUFReader)?["general.architecture"] != nil
  }

  /// The words of an embedding table by row, where the file itself holds them.
  ///
  /// - Throws: ``StorageError`` when they can't be read.
  func vocabulary() throws(StorageError) -> (any Vocabulary)? {
    if let table = reader as? EmbeddingCheckpoint { return table.vocabulary }
    if let model = reader as? FastTextCheckpoint { return model.vocabulary }
    if let places = StaticEmbeddingLayout(reader.tensors)?.vocabulary {
      return TensorVocabulary(reader, bytes: places.bytes, ends: places.ends)
    }
    guard let words = try (reader as? HDF5Reader)?.vocabulary() else { return nil }
    var list = WordList()
    for word in words { list.append(word) }
    return list
  }

  /// The `tokenizer.json`: beside the weights, or where `modules.json` of sentence-transformers has the table.
  var tokenizer: CompanionFile? {
    file(tokenizerName) ?? staticFolder.flatMap { file($0 + "/" + tokenizerName) }
  }

  /// The `tokenizer.json`, which must be there.
  func requiredTokenizer() throws(StorageError) -> CompanionFile {
    guard let tokenizer else {
      try checkComputable()
      throw missing(
        tokenizerName, of: .embeddings,
        remedy: "\(tokenizerName) belongs beside the weights; name another one by --tokenizer")
    }
    return tokenizer
  }

  /// The folder of the table of vectors by `modules.json`, where it isn't the directory itself.
  var staticFolder: String? {
    guard let modules = try? json(ifPresent: StaticModules.fileName) else { return nil }
    return StaticModules.tableFolder(in: modules)
  }

  /// A companion by name.
  public func file(_ name: String) -> CompanionFile? { files.first { $0.name == name } }

  /// The bytes of a companion that must be there.
  ///
  /// - Throws: ``StorageError`` when it is missing or can't be read.
  public func requiredFile(_ name: String) throws(StorageError) -> [UInt8] {
    guard let file = file(name) else {
      if name == LoRAConfiguration.fileName {
        throw missing(name, of: .adapter, remedy: "\(name) belongs beside \(Adapter.fileName)")
      }
      throw missing(
        name, of: .model, remedy: "\(name) belongs beside the weights, or inside an HDF5 file")
    }
    return try file.contents()
  }

  /// The error of a companion that isn't there: another kind of checkpoint than was asked for, or a file that is missing.
  private func missing(
    _ name: String, of asked: Kind, remedy: String
  ) -> StorageError {
    let isOther =
      switch kind {
      // A file of tensors that nothing is known about isn't half a directory.
      case .tensors: !Directory.exists(at: path)
      // Models have tables of vectors.
      case .model: asked == .adapter
      case .adapter, .embeddings: asked != kind
      }
    guard isOther else {
      let holdsFiles =
        Directory.exists(at: path) || reader is HDF5Reader || reader is KerasArchiveReader
      let folder = holdsFiles ? path : Directory.parent(of: path)
      return StorageError(.notFound, file: folder + "/" + name, remedy: remedy)
    }
    return StorageError(
      .mismatch(
        subject: "the kind of the checkpoint", expected: asked.words, found: kind.words),
      file: path, remedy: remedy)
  }

  /// Checks that nobody wrote to the files since they were opened; to be asked before anything made of them appears.
  ///
  /// - Throws: ``StorageError/Reason/changed(expectedBytes:foundBytes:)``.
  func checkUnchanged() throws(StorageError) {
    for input in reader.inputs + files.compactMap(\.source) { try input.checkUnchanged() }
  }

  /// Checks that the checkpoint is in a form that can be computed with.
  ///
  /// - Throws: ``StorageError/Reason/unsupported(feature:found:)`` for GGUF.
  func checkComputable() throws(StorageError) {
    guard reader.format == .gguf else { return }
    throw StorageError(
      .unsupported(feature: "format to compute with", found: "GGUF"), file: path,
      remedy: "make a model directory of it first: graft convert \(path.escapedWhole) DIR")
  }

  /// Checks that the tensors have the names by which adapters know modules.
  ///
  /// - Throws: ``StorageError/Reason/unsupported(feature:found:)`` for a model in GGUF,
  ///   ``StorageError/Reason/mismatch(subject:expected:found:)`` for an adapter.
  func checkMergeable() throws(StorageError) {
    if kind == .adapter, file("config.json") == nil {
      throw StorageError(
        .mismatch(
          subject: "the kind of the checkpoint", expected: "a model as the base",
          found: kind.words),
        file: path, remedy: "name the model first, then its adapters")
    }
    guard hasArchitecture else { return }
    throw StorageError(
      .unsupported(feature: "base of adapters", found: "GGUF"), file: path,
      remedy:
        "a base is a model directory, or a file of another format: graft convert \(path.escapedWhole) DIR"
    )
  }

  /// The most bytes of a configuration: as a tree they take up to sixteen times as many.
  private static let configurationByteCount = 4 << 20

  /// A companion as JSON.
  ///
  /// - Throws: ``StorageError``; also above ``configurationByteCount``.
  func json(_ name: String) throws(StorageError) -> JSONValue {
    if let found = file(name), found.byteCount > Self.configurationByteCount {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a configuration", maximum: Self.configurationByteCount,
          found: "\(found.byteCount)"), file: path + "/" + name)
    }
    return try JSONValue.parse(try requiredFile(name), file: path + "/" + name)
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
    try checkIsNotForeignAdapter()
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

private let tokenizerName = "tokenizer.json"

private func hasConfiguration(_ folder: String) -> Bool {
  [LoRAConfiguration.fileName, "config.json"].contains {
    Directory.hasFile(at: folder + "/" + $0)
  }
}

/// Whether a checkpoint is a table of vectors by the names of its tensors.
private func isTable(_ reader: any CheckpointReader) -> Bool {
  StaticEmbeddingLayout(reader.tensors)?.isNamed == true
}
