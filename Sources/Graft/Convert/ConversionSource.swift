internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// What a conversion writes, in the names and dtypes of the result where the source's format has others.
struct ConversionSource {
  /// The tensors to read.
  private(set) var reader: any CheckpointReader
  /// The tensors as they will be written.
  private(set) var tensors: [TensorInfo]
  /// The places of the tensors in the reader.
  private(set) var places: [Int]
  /// The name of a single weight file, without its suffix.
  private(set) var stem: String
  /// What is written, for the question what it may replace.
  private(set) var kind: OutputTarget.Kind
  /// The other files of the result.
  private(set) var files: [CompanionFile] = []
  /// The metadata of the result.
  private(set) var metadata: [MetadataEntry] = []
  /// The words of a table of vectors, where no tensors of the result have them.
  private(set) var vocabulary: (any Vocabulary)?
  /// What of the source is left out whatever the form.
  private(set) var omissions: [ConversionLoss] = []
  /// What of a tree of HDF5 the result holds as well.
  private(set) var annotations: HDF5Annotations?
  /// What else is left out, without a flag.
  private(set) var notes: [ConversionLoss] = []
  /// What the weight files that the tensors come from had before their data; kept as long as the dtypes are.
  private(set) var shards: [HDF5Attachment] = []
  /// Further names of tensors, each with the tensor that it stands for.
  private(set) var copies: [(name: TensorName, of: TensorName)] = []
  /// Tensors that can't be read, and so aren't written.
  private(set) var unreadable: [UnreadableTensor] = []
  /// The result in GGUF's words, where that is the form.
  private(set) var gguf: GGUFPlan?
  /// The result as a file of Keras, where that is the form.
  private(set) var keras: KerasPlan?

  /// Plans the result.
  ///
  /// - Parameter path: The target, whose name tells Keras's files apart.
  /// - Throws: ``StorageError`` for a GGUF model without a counterpart, or a file that can't be read; ``ModelError`` for
  ///   a model without a counterpart in GGUF.
  init(
    _ checkpoint: OpenedCheckpoint, form: OutputForm, dtype: DType?, to path: String
  ) throws {
    switch form {
    case .gguf(let mixture, _):
      self = try Self.inGGUF(checkpoint, mixture)
    case .wordVectors:
      let plain = try Self.inOwnNames(checkpoint, dtype: dtype, form: form, to: path)
      let table = try VectorTable(checkpoint, reader: plain.reader, files: plain.files)
      self = plain.asTable(try WordRows(table))
    case .keras, .directory, .safetensorsFile, .hdf5, .pyTorchDirectory, .pyTorchFile, .numPy:
      self = try Self.inOwnNames(checkpoint, dtype: dtype, form: form, to: path)
    }
    unreadable = checkpoint.reader.unreadable
  }

  // MARK: - Kinds of results

  /// Tensors alone; whoever knows what else the result has says so.
  private init(
    _ reader: any CheckpointReader, as tensors: [TensorInfo], from places: [Int], stem: String,
    _ kind: OutputTarget.Kind
  ) {
    self.reader = reader
    self.tensors = tensors
    self.places = places
    self.stem = stem
    self.kind = kind
  }

  /// A checkpoint in GGUF's words.
  private static func inGGUF(
    _ checkpoint: OpenedCheckpoint, _ mixture: GGUFMixture?
  ) throws -> ConversionSource {
    let hasWords = try checkpoint.vocabulary() != nil
    let plan = try GGUFPlan(checkpoint, mixture)
    var result = ConversionSource(
      plan.reader, as: plan.tensors, from: Array(plan.tensors.indices), stem: "model",
      checkpoint.kind == .model ? .model : .tensors)
    result.gguf = plan
    result.omissions =
      (hasWords ? [ConversionLoss("the words of the table")] : [])
      + omissions(of: checkpoint.stored) + indexMembers(of: checkpoint.stored).losses
    result.notes =
      plan.notes + indexMembers(of: checkpoint.stored).notes
      + checkpoint.others.map { ConversionLoss($0) }
    return result
  }

  /// A checkpoint with its tensors under their own names, or Keras's.
  private static func inOwnNames(
    _ checkpoint: OpenedCheckpoint, dtype: DType?, form: OutputForm, to path: String
  ) throws(StorageError) -> ConversionSource {
    let hasWordTensors = StaticEmbeddingLayout(checkpoint.reader.tensors)?.vocabulary != nil
    let vocabulary: (any Vocabulary)? = hasWordTensors ? nil : try checkpoint.vocabulary()
    let contents = try ConversionContents(checkpoint, dtype: dtype, form: form)
    let names = form.canShareTensors ? try checkpoint.sharedNames() : SharedNames()
    var (reader, files) = (contents.reader, contents.files)
    let own = TensorHash.settled(contents.metadata, in: form)
    let metadata: [MetadataEntry]
    var unkept = contents.omissions
    var keras: KerasPlan?
    var keepsTree = if case .hdf5 = form { true } else { false }
    if case .keras = form {
      unkept += own.metadata.filter { !KerasKey.canHold($0) }
        .map { ConversionLoss.metadata($0.key) }
      let held = own.metadata.filter(KerasKey.canHold)
      let plan = try KerasPlan(reader, held, files, to: path)
      metadata = plan.reader.metadata
      // Only there do groups stand where they stood.
      keepsTree = KerasLayout(of: reader.tensors, own.metadata) == plan.layout
      (keras, reader, files) = (plan, plan.reader, plan.members ?? files)
    } else {
      metadata = form.metadata(own.metadata, of: reader.format, with: names)
    }
    var planned: [TensorInfo] = []
    var places: [Int] = []
    for (place, tensor) in reader.tensors.enumerated() where !names.dropped.contains(place) {
      let target = try Self.dtype(of: tensor, asked: dtype, in: reader.path)
      planned.append(
        try TensorInfo(name: tensor.name, dtype: target, shape: tensor.shape, in: reader.path))
      places.append(place)
    }
    let folder = checkpoint.kind == .embeddings ? checkpoint.staticFolder.map { $0 + "/" } : nil
    var result = ConversionSource(
      reader, as: planned, from: places,
      stem: checkpoint.kind == .adapter ? "adapter_model" : (folder ?? "") + "model",
      OutputTarget.Kind(of: files.map(\.name)))
    (result.files, result.metadata, result.keras) = (files, metadata, keras)
    (result.vocabulary, result.copies, result.shards) = (vocabulary, names.copies, contents.shards)
    result.annotations = keepsTree ? annotations(of: checkpoint.reader, in: result) : nil
    // Headers that are kept have the metadata of every shard; planned ones don't.
    let keepsHeaders =
      !contents.shards.isEmpty && !(checkpoint.reader is PlannedDirectory) && result.keepsDTypes
    result.omissions =
      unkept
      + (result.annotations?.losses.map { ConversionLoss($0) } ?? omissions(of: checkpoint.stored))
      + (keepsHeaders ? [] : disputes(in: checkpoint.stored))
      + (keepsHeaders ? [] : indexMembers(of: checkpoint.stored).losses)
    result.notes =
      contents.notes + own.notes
      + (keepsHeaders ? [] : indexMembers(of: checkpoint.stored).notes)
      + checkpoint.others.map { ConversionLoss($0) }
      + (dtype == nil ? roundings(of: checkpoint.reader) : []) + result.unsaidName(in: form)
    return result
  }

  /// The same as a table of words, which is all that the word-vector formats hold.
  private func asTable(_ table: WordRows) -> ConversionSource {
    var result = self
    result.reader = table
    (result.tensors, result.places) = (table.tensors, [0])
    result.vocabulary = table.vocabulary
    (result.copies, result.shards) = ([], [])
    result.kind = .tensors
    result.omissions += table.omissions.map { ConversionLoss($0) }
    return result
  }

  /// The same with the words as tensors, for formats without another place for them.
  func withWordTensors(_ spilled: SpilledVocabulary) throws(StorageError) -> ConversionSource {
    let words = try TableWithWords(reader, spilled)
    var result = self
    result.reader = words
    result.tensors += words.tensors.dropFirst(tensors.count)
    result.places = Array(result.tensors.indices)
    result.vocabulary = nil
    return result
  }

  /// The dtype that a tensor gets where blocks have no place.
  private static func dtype(
    of tensor: TensorInfo, asked dtype: DType?, in file: String
  ) throws(StorageError) -> DType {
    guard tensor.dtype.isBlockQuantized else {
      return tensor.dtype.isComputableFloat ? dtype ?? tensor.dtype : tensor.dtype
    }
    guard tensor.dtype.hasValues else {
      throw StorageError(
        .unsupported(feature: "values of type", found: tensor.dtype.description), file: file,
        tensor: tensor.name,
        remedy: "GGUF keeps such tensors as they are: name a target that ends in .gguf")
    }
    return dtype ?? .bf16
  }

  /// Whether every tensor keeps its dtype.
  var keepsDTypes: Bool { reader.tensors == tensors }

  /// What of a source conversions have no place for.
  private static func omissions(of reader: any CheckpointReader) -> [ConversionLoss] {
    switch reader {
    case let table as EmbeddingCheckpoint where table.repeatedCount > 0:
      [ConversionLoss(Quantity.of(table.repeatedCount, "row") + " whose word has come before")]
    case let model as FastTextCheckpoint: model.omissions.map { ConversionLoss($0) }
    case let tree as HDF5Reader: tree.omissions.map { ConversionLoss($0) }
    case let archive as KerasArchiveReader: archive.omissions.map { ConversionLoss($0) }
    case let arrays as NumPyReader: arrays.omissions.map { ConversionLoss($0) }
    case let pickle as PyTorchReader: pickle.omissions.map { ConversionLoss($0) }
    case let sharded as ShardedReader: sharded.shards.flatMap { omissions(of: $0) }
    default: []
    }
  }

  /// What of a source a tree of HDF5 holds as well; nil where the source is none.
  private static func annotations(
    of source: any CheckpointReader, in plan: ConversionSource
  ) -> HDF5Annotations? {
    let renamed = plan.reader as? RenamedCheckpoint
    let places = plan.places.map { renamed?.places[$0] ?? $0 }
    return switch source {
    case let tree as HDF5Reader: tree.annotations(of: places, inKeras: plan.keras != nil)
    case let archive as KerasArchiveReader:
      archive.annotations(of: places, inKeras: plan.keras != nil)
    default: nil
    }
  }

  /// Metadata of which shards have several values, and a result one.
  private static func disputes(in reader: any CheckpointReader) -> [ConversionLoss] {
    guard let sharded = reader as? ShardedReader else { return [] }
    return sharded.disputedKeys.map {
      ConversionLoss("other values of \(ConversionLoss.metadata($0).what) in later shards")
    }
  }

  /// What an index says beside the places of tensors; what other tools count or sign there is no more than a note.
  private static func indexMembers(
    of reader: any CheckpointReader
  ) -> (losses: [ConversionLoss], notes: [ConversionLoss]) {
    let members = (reader as? ShardedReader)?.index.otherMembers ?? []
    let bookkeeping = ["metadata.total_parameters", "metadata.mergekit_version"]
    return (
      members.filter { !bookkeeping.contains($0) }
        .map { ConversionLoss.key($0, of: "the shard index") },
      ConversionLoss.bookkeeping(
        members.filter(bookkeeping.contains), of: "the shard index")
    )
  }

  /// The name of the one tensor of a form that has no names.
  private func unsaidName(in form: OutputForm) -> [ConversionLoss] {
    guard form == .numPy(.singleArray), tensors.count == 1, tensors[0].name != NumPyReader.soleName
    else { return [] }
    return [ConversionLoss("the name \(tensors[0].name)")]
  }

  /// What keeping dtypes takes of a quantized checkpoint, whose values become bf16.
  private static func roundings(of reader: any CheckpointReader) -> [ConversionLoss] {
    guard let source = reader as? GGUFReader,
      source.tensors.contains(where: \.dtype.isBlockQuantized)
    else { return [] }
    // A model becomes one of a single dtype; of a block of MXFP4 bf16 holds every value.
    let isModel = GGUFModel.knows(source)
    let rounded = source.tensors.filter {
      $0.dtype.isBlockQuantized ? $0.dtype != .mxfp4 : isModel && $0.dtype != .bf16
    }
    guard !rounded.isEmpty else { return [] }
    let types = Set(rounded.map { "\($0.dtype)" }).sorted().joined(separator: ", ")
    return [
      ConversionLoss(
        "what rounding to BF16 takes of \(Quantity.of(rounded.count, "tensor")) of \(types); --dtype f32 keeps it"
      )
    ]
  }
}
