internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// The tensors of a checkpoint and what travels with them, as a conversion takes them: a GGUF model is the model directory that it was
/// made from.
struct ConversionContents {
  let reader: any CheckpointReader
  let files: [CompanionFile]
  let metadata: [MetadataEntry]
  /// What the weight files had before their data, where the form keeps that.
  let shards: [HDF5Attachment]
  /// What of the keys a model's directory has no place for.
  let omissions: [ConversionLoss]
  /// Those of them that nothing depends on.
  let notes: [ConversionLoss]

  /// Looks at a checkpoint.
  ///
  /// - Throws: ``StorageError`` for a GGUF model without a counterpart, or a file that can't be read.
  init(_ checkpoint: OpenedCheckpoint, dtype: DType?, form: OutputForm) throws(StorageError) {
    guard let source = checkpoint.reader as? GGUFReader else {
      reader = checkpoint.reader
      files = try checkpoint.files(declaring: dtype)
      metadata = checkpoint.ownMetadata
      shards = try checkpoint.shardHeaders(for: form)
      (omissions, notes) = ([], [])
      return
    }
    shards = []
    let unkept: GGUFOmissions
    var strangers: [TensorName] = []
    if !GGUFModel.knows(source) {
      // No model, or one without a directory, but tensors under names of their own.
      reader = source
      files = []
      metadata = GGUFOrigin.metadata(of: source.entries)
      unkept = GGUFOmissions(ofPlain: source)
    } else {
      let model = try Self.model(source, as: dtype)
      reader = model.reader
      files = model.files
      metadata = model.reader.metadata
      unkept = model.omissions
      strangers = model.strangers
    }
    omissions = strangers.map { ConversionLoss("the tensor \($0)") } + unkept.losses
    notes = unkept.notes
  }

  private static func model(
    _ source: GGUFReader, as dtype: DType?
  ) throws(StorageError) -> (
    reader: any CheckpointReader, files: [CompanionFile], omissions: GGUFOmissions,
    strangers: [TensorName]
  ) {
    let stored = Set(source.tensors.map(\.dtype))
    let first: GGUFModel
    var reader: any CheckpointReader
    if let dtype {
      first = try GGUFModel(source, as: dtype, leavingStrangers: true)
      reader = first
    } else if stored.contains(where: \.isBlockQuantized) {
      first = try GGUFModel(source, as: .bf16, leavingStrangers: true)
      reader = first
    } else {
      // The matrices' dtype is the model's; what is stored wider stays so.
      let matrices = source.tensors.filter { $0.shape.rank > 1 }
      let usual = [DType.bf16, .f16].first { dtype in matrices.allSatisfy { $0.dtype == dtype } }
      first = try GGUFModel(source, as: usual ?? .f32, leavingStrangers: true)
      reader = first
      if stored.count > 1, usual != nil {
        let wide = try GGUFModel(source, as: .f32, leavingStrangers: true)
        reader = WidenedModel(narrow: first, wide: wide)
      }
    }
    let files = first.files.map { CompanionFile(name: $0.name, bytes: $0.bytes) }
    return (reader, files, first.omissions, first.strangers)
  }
}

extension GGUFOmissions {
  /// What needs the flag.
  fileprivate var losses: [ConversionLoss] {
    (architecture.map { [ConversionLoss("the architecture \($0)")] } ?? [])
      + metadata.map { ConversionLoss.metadata($0) }
      + keys.map { ConversionLoss.key($0, of: "the GGUF file") }
  }

  /// What doesn't, in one line.
  fileprivate var notes: [ConversionLoss] {
    ConversionLoss.bookkeeping(bookkeeping, of: "the GGUF file")
  }
}
