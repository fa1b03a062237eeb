internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// What a conversion writes, in the names and dtypes of the result where the source's format has others.
struct ConversionSource {
  /// The tensors to read.
  let reader: any CheckpointReader
  /// The other files of the result.
  let files: [CompanionFile]
  /// The metadata of the result.
  let metadata: [MetadataEntry]
  /// The words of a table of vectors, where no tensors of the result have them.
  let vocabulary: (any Vocabulary)?
  /// What of the source is left out whatever the form, in words.
  let omissions: [String]
  /// What else is left out, which nobody misses in the result, in words.
  let notes: [String]
  /// What the weight files that the tensors come from had before their data; kept as long as the dtypes are.
  let shards: [HDF5Attachment]
  /// The tensors as they will be written.
  let tensors: [TensorInfo]
  /// The places of the tensors in the reader.
  let places: [Int]
  /// Further names of tensors, each with the tensor that it stands for.
  let copies: [(name: TensorName, of: TensorName)]
  /// The name of a single weight file, without its suffix.
  let stem: String
  /// What is written, for the question what it may replace.
  let kind: OutputTarget.Kind
  /// Tensors that can't be read, and so aren't written.
  var unreadable: [UnreadableTensor] = []
  /// The result in GGUF's words, where that is the form.
  let gguf: GGUFPlan?
  /// The result as a file of Keras, where that is the form.
  let keras: KerasPlan?

  /// The same with the words of a table as tensors.
  private init(_ plan: ConversionSource, _ words: TableWithWords) {
    reader = words
    tensors = plan.tensors + words.tensors.dropFirst(plan.tensors.count)
    (files, metadata, shards, vocabulary) = (plan.files, plan.metadata, plan.shards, nil)
    (stem, kind, gguf, keras) = (plan.stem, plan.kind, plan.gguf, plan.keras)
    (omissions, notes) = (plan.omissions, plan.notes)
    places = Array(tensors.indices)
    copies = plan.copies
    unreadable = plan.unreadable
  }

  /// The same as a table of words, which is all that the word-vector formats hold.
  private init(_ plan: ConversionSource, _ table: WordRows) {
    reader = table
    (tensors, places) = (table.tensors, [0])
    vocabulary = table.vocabulary
    (files, metadata, copies, shards) = (plan.files, plan.metadata, [], [])
    (stem, kind, gguf, keras) = (plan.stem, .tensors, nil, nil)
    (omissions, notes) = (plan.omissions + table.omissions, plan.notes)
    unreadable = plan.unreadable
  }

  /// Plans the result.
  ///
  /// - Parameter path: The target, whose name tells Keras's files apart.
  /// - Throws: ``StorageError`` for a GGUF model without a counterpart, or a file that can't be read; ``ModelError`` for
  ///   a model without a counterpart in GGUF.
  init(
    _ checkpoint: OpenedCheckpoint, form: OutputForm, dtype: DType?, to path: String
  ) throws {
    if case .gguf(let mixture, _) = form {
      let hasWords = try checkpoint.vocabulary() != nil
      self.init(
        try GGUFPlan(checkpoint, mixture),
        omissions: (hasWords ? ["the words of the table"] : [])
          + Self.omissions(of: checkpoint.stored), notes: checkpoint.records)
    } else {
      try self.init(checkpoint, dtype: dtype, form: form, to: path)
    }
    unreadable = checkpoint.reader.unreadable
    if case .wordVectors = form {
      let table = try VectorTable(checkpoint, reader: reader, files: files)
      self = ConversionSource(self, try WordRows(table))
    }
  }

  private init(_ plan: GGUFPlan, omissions: [String], notes: [String]) {
    reader = plan.reader
    tensors = plan.tensors
    places = Array(plan.tensors.indices)
    copies = []
    (files, metadata, shards, vocabulary) = ([], [], [], nil)
    stem = "model"
    kind = .model
    gguf = plan
    keras = nil
    self.omissions = omissions
    self.notes = plan.notes + notes
  }

  private init(
    _ checkpoint: OpenedCheckpoint, dtype: DType?, form: OutputForm, to path: String
  ) throws(StorageError) {
    gguf = nil
    let folder = checkpoint.kind == .embeddings ? checkpoint.staticFolder.map { $0 + "/" } : nil
    stem = checkpoint.kind == .adapter ? "adapter_model" : (folder ?? "") + "model"
    notes = checkpoint.records + (dtype == nil ? Self.roundings(of: checkpoint.reader) : [])
    let hasWordTensors = StaticEmbeddingLayout(checkpoint.reader.tensors)?.vocabulary != nil
    vocabulary = hasWordTensors ? nil : try checkpoint.vocabulary()
    let reader: any CheckpointReader
    let files: [CompanionFile]
    let metadata: [MetadataEntry]
    var keys: [String] = []
    if let source = checkpoint.reader as? GGUFReader, !GGUFModel.knows(source) {
      // No model, or one without a directory, but tensors under names of their own.
      keys = GGUFOrigin.omissions(of: source)
      reader = source
      files = []
      metadata = GGUFOrigin.metadata(of: source.entries)
      shards = []
    } else if let source = checkpoint.reader as? GGUFReader {
      keys = GGUFOrigin.omissions(of: source)
      let model = try Self.model(source, as: dtype)
      reader = model.reader
      files = model.files
      metadata = model.reader.metadata
      shards = []
    } else {
      reader = checkpoint.reader
      files = try checkpoint.files(declaring: dtype)
      metadata = checkpoint.ownMetadata
      shards = try checkpoint.shardHeaders(for: form)
    }
    let names = form.canShareTensors ? try checkpoint.sharedNames() : SharedNames()
    copies = names.copies
    if case .keras = form {
      keys += metadata.filter { !KerasKey.canHold($0) }.map { "the metadata \($0.key.shortened)" }
      let plan = try KerasPlan(reader, metadata.filter(KerasKey.canHold), files, to: path)
      (keras, self.reader, self.metadata) = (plan, plan.reader, plan.reader.metadata)
      self.files = plan.members ?? files
    } else {
      keras = nil
      (self.reader, self.files) = (reader, files)
      self.metadata = form.metadata(metadata, of: reader.format, with: names)
    }
    var planned: [TensorInfo] = []
    var places: [Int] = []
    for (place, tensor) in self.reader.tensors.enumerated() where !names.dropped.contains(place) {
      let target = try Self.dtype(of: tensor, asked: dtype, in: reader.path)
      planned.append(
        try TensorInfo(name: tensor.name, dtype: target, shape: tensor.shape, in: reader.path))
      places.append(place)
    }
    tensors = planned
    // Headers that are kept have the metadata of every shard; planned ones don't.
    let keepsHeaders =
      shards.isEmpty || checkpoint.reader is PlannedDirectory
      ? false : planned == self.reader.tensors
    omissions =
      keys + Self.omissions(of: checkpoint.stored)
      + (keepsHeaders ? [] : Self.disputes(in: checkpoint.stored))
    kind = OutputTarget.Kind(of: self.files.map(\.name))
    self.places = places
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
  private static func omissions(of reader: any CheckpointReader) -> [String] {
    switch reader {
    case let table as EmbeddingCheckpoint where table.repeatedCount > 0:
      [Quantity.of(table.repeatedCount, "row") + " whose word has come before"]
    case let model as FastTextCheckpoint: model.omissions
    case let arrays as NumPyReader: arrays.omissions
    case let pickle as PyTorchReader: pickle.omissions
    case let sharded as ShardedReader: sharded.shards.flatMap { omissions(of: $0) }
    default: []
    }
  }

  /// Metadata of which shards have several values, and a result one.
  private static func disputes(in reader: any CheckpointReader) -> [String] {
    guard let sharded = reader as? ShardedReader else { return [] }
    return sharded.disputedKeys.map { "other values of the metadata \($0) in later shards" }
  }

  /// What keeping dtypes takes of a quantized checkpoint, whose values become bf16.
  private static func roundings(of reader: any CheckpointReader) -> [String] {
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
      "what rounding to BF16 takes of \(Quantity.of(rounded.count, "tensor")) of \(types); --dtype f32 keeps it"
    ]
  }

  /// The same with the words as tensors, for formats without another place for them.
  func withWordTensors(_ spilled: SpilledVocabulary) throws(StorageError) -> ConversionSource {
    ConversionSource(self, try TableWithWords(reader, spilled))
  }

  /// Shows a GGUF checkpoint as the model directory that it was made from.
  private static func model(_ source: GGUFReader, as dtype: DType?) throws(StorageError)
    -> (reader: any CheckpointReader, files: [CompanionFile])
  {
    let stored = Set(source.tensors.map(\.dtype))
    let first: GGUFModel
    var reader: any CheckpointReader
    if let dtype {
      first = try GGUFModel(source, as: dtype)
      reader = first
    } else if stored.contains(where: \.isBlockQuantized) {
      first = try GGUFModel(source, as: .bf16)
      reader = first
    } else {
      // The matrices' dtype is the model's; what is stored wider stays so.
      let matrices = source.tensors.filter { $0.shape.rank > 1 }
      let usual = [DType.bf16, .f16].first { dtype in matrices.allSatisfy { $0.dtype == dtype } }
      first = try GGUFModel(source, as: usual ?? .f32)
      reader = first
      if stored.count > 1, usual != nil {
        reader = WidenedModel(narrow: first, wide: try GGUFModel(source, as: .f32))
      }
    }
    return (reader, first.files.map { CompanionFile(name: $0.name, bytes: $0.bytes) })
  }
}

/// A model whose f32 tensors stay f32 beside those of a narrower dtype.
private struct WidenedModel: CheckpointReader {
  let narrow: GGUFModel
  let wide: GGUFModel
  let tensors: [TensorInfo]
  private let isWide: [Bool]

  init(narrow: GGUFModel, wide: GGUFModel) {
    self.narrow = narrow
    self.wide = wide
    isWide = narrow.places.map { narrow.source.tensors[$0.source].dtype == .f32 }
    tensors = isWide.enumerated().map { $1 ? wide.tensors[$0] : narrow.tensors[$0] }
  }

  var format: CheckpointFormat { narrow.format }
  var path: String { narrow.path }
  var metadata: [MetadataEntry] { narrow.metadata }
  var inputs: [InputFile] { narrow.inputs }
  var ties: [[Int]] { narrow.ties }
  var unreadable: [UnreadableTensor] { narrow.unreadable }

  func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    try (isWide[tensor] ? wide : narrow).read(tensor, at: byteOffset, into: &buffer)
  }

  func extent(of tensor: Int) -> FileExtent? {
    (isWide[tensor] ? wide : narrow).extent(of: tensor)
  }

  func grain(of tensor: Int) -> Int { (isWide[tensor] ? wide : narrow).grain(of: tensor) }

  func checkStoredBytes(of tensor: Int) throws(StorageError) {
    try (isWide[tensor] ? wide : narrow).checkStoredBytes(of: tensor)
  }
}
