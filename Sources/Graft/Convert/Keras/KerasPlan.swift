internal import GraftCore
internal import GraftHDF5

/// What a conversion to a file of Keras writes: the layout that the target's name asks for, and the tensors under its names.
struct KerasPlan {
  /// The layout of the weights.
  let layout: KerasLayout
  /// The tensors, under the names of the layout.
  let reader: any CheckpointReader
  /// The members of an archive beside its weights; nil for files of weights.
  private(set) var members: [CompanionFile]?
  /// What the target has no place for.
  private(set) var losses: [ConversionLoss] = []

  /// The name that asks for an archive.
  static func isArchive(_ path: String) -> Bool { path.lowercased().hasSuffix(".keras") }

  /// Plans a file.
  ///
  /// - Parameters:
  ///   - reader: The tensors with the metadata of the result.
  ///   - files: What stands beside them.
  /// - Throws: ``StorageError`` where the target needs a description of the model that isn't there.
  init(
    _ reader: any CheckpointReader, _ metadata: [MetadataEntry], _ files: [CompanionFile],
    to path: String
  ) throws(StorageError) {
    let source = KerasLayout(of: reader.tensors, metadata)
    if Self.isArchive(path) {
      try self.init(archive: reader, metadata, files, source, to: path)
    } else {
      try self.init(weights: reader, metadata, files, source, to: path)
    }
  }

  // MARK: - An archive

  private init(
    archive reader: any CheckpointReader, _ metadata: [MetadataEntry], _ files: [CompanionFile],
    _ source: KerasLayout?, to path: String
  ) throws(StorageError) {
    layout = .weights
    switch source {
    case .weights,
      nil where reader.tensors.isEmpty:
      guard try Self.description(in: files) != nil else { throw Self.undescribed(reader, path) }
      self.reader = RenamedCheckpoint(reader, metadata: metadata)
      let known = files.filter { KerasMember.isKnown($0.name) }
      members = Self.ordered(known)
      losses = files.filter { !KerasMember.isKnown($0.name) }.map { ConversionLoss($0.name) }
    case .legacyModel:
      guard let model = KerasModel(legacy: metadata) else { throw Self.undescribed(reader, path) }
      guard let description = model.description else {
        throw StorageError(
          .notRepresentable(
            what: "a model of the class \(model.className.escapedShortened)",
            inFormat: "a .keras archive"),
          file: path, remedy: "load it in Keras and save it there: only Keras finds the class")
      }
      let translation = try KerasTranslation(
        toWeights: model, reader.tensors, metadata, file: path)
      self.reader = try RenamedCheckpoint(reader, translation)
      members = Self.ordered([
        Self.file(KerasMember.configuration.text, description),
        Self.metadataFile(metadata),
      ])
      losses = files.map { ConversionLoss($0.name) }
      let wasCompiled = metadata.contains { $0.key == KerasKey.trainingConfiguration }
      if !model.tellsTraining, wasCompiled || reader.tensors.contains(where: \.name.isOfOptimizer) {
        // Where the optimizer's state is there, Keras makes no optimizer that would take it.
        losses.append(ConversionLoss("how the model was compiled"))
      }
    case .legacyWeights, nil: throw Self.undescribed(reader, path)
    }
  }

  /// The members as Keras orders them, with the version where nothing tells it.
  private static func ordered(_ files: [CompanionFile]) -> [CompanionFile] {
    let metadata = files.first { $0.name == KerasMember.metadata.text } ?? metadataFile([])
    let configuration = files.filter { $0.name == KerasMember.configuration.text }
    return [metadata] + configuration + files.filter { $0.name.hasPrefix(KerasMember.assets) }
  }

  private static func metadataFile(_ metadata: [MetadataEntry]) -> CompanionFile {
    let version = metadata.first { $0.key == KerasKey.version }?.value ?? "3.0.0"
    return file(KerasMember.metadata.text, [KerasKey.version: .string(version)])
  }

  private static func file(_ name: String, _ value: JSONValue) -> CompanionFile {
    CompanionFile(name: name, bytes: Array(value.serialized(indent: nil).utf8))
  }

  /// The description of a model among files; nil where `config.json` is missing or none of Keras's.
  private static func description(
    in files: [CompanionFile]
  ) throws(StorageError) -> KerasModel? {
    guard let file = files.first(where: { $0.name == KerasMember.configuration.text }) else {
      return nil
    }
    return KerasModel(try JSONValue.parse(try file.contents(), file: file.name))
  }

  private static func undescribed(_ reader: any CheckpointReader, _ path: String) -> StorageError {
    StorageError(
      .notRepresentable(
        what: "weights without Keras's description of their model", inFormat: "a .keras archive"),
      file: reader.path,
      remedy:
        "put the model's config.json beside them, or write the weights alone: FILE.weights.h5")
  }

  // MARK: - Weights

  private init(
    weights reader: any CheckpointReader, _ metadata: [MetadataEntry], _ files: [CompanionFile],
    _ source: KerasLayout?, to path: String
  ) throws(StorageError) {
    if path.lowercased().hasSuffix(".weights.h5") {
      layout = .weights
      losses = files.map { ConversionLoss($0.name) }
      guard source == .legacyModel, let model = KerasModel(legacy: metadata) else {
        self.reader = RenamedCheckpoint(reader, metadata: metadata)
        return
      }
      losses += metadata.filter { KerasKey.describing.contains($0.key) }
        .map { ConversionLoss.metadata($0.key) }
      self.reader = try RenamedCheckpoint(
        reader, KerasTranslation(toWeights: model, reader.tensors, metadata, file: path))
    } else if source == .weights || source == nil && reader.tensors.isEmpty,
      let model = try Self.description(in: files)
    {
      layout = .legacyModel
      let about = try Self.about(files)
      // The description becomes attributes.
      let held = [KerasMember.configuration.text, about == nil ? nil : KerasMember.metadata.text]
      losses =
        files.filter { !held.contains($0.name) }.map { ConversionLoss($0.name) }
        + model.surplus.map { ConversionLoss("\($0) of \(KerasMember.configuration)") }
        + (about?.surplus ?? []).map { ConversionLoss("\($0) of \(KerasMember.metadata)") }
      self.reader = try RenamedCheckpoint(
        reader,
        KerasTranslation(
          toLegacy: model, reader.tensors, metadata + (about?.version ?? []), file: path))
    } else {
      layout =
        metadata.contains { $0.key == KerasKey.modelConfiguration } ? .legacyModel : .legacyWeights
      losses = files.map { ConversionLoss($0.name) }
      self.reader = RenamedCheckpoint(reader, metadata: metadata)
    }
  }

  /// What `metadata.json` says: the version of Keras, and what the legacy layout has no place for but for the day, which nothing
  /// depends on; nil where it isn't there or no object.
  private static func about(
    _ files: [CompanionFile]
  ) throws(StorageError) -> (version: [MetadataEntry], surplus: [String])? {
    guard let file = files.first(where: { $0.name == KerasMember.metadata.text }) else {
      return nil
    }
    let bytes = try file.contents()
    guard let object = (try? JSONValue.parse(bytes, file: file.name))?.object else { return nil }
    let version = object[KerasKey.version]?.string
    let held = (version == nil ? [] : [KerasKey.version]) + ["date_saved"]
    return (
      version.map { [MetadataEntry(key: KerasKey.version, value: $0)] } ?? [],
      object.keys.filter { !held.contains($0) }
    )
  }
}

extension TensorName {
  /// Whether a tensor of the legacy layout is an optimizer's.
  fileprivate var isOfOptimizer: Bool { hasPrefix(KerasKey.optimizerWeights + ".") }
}
