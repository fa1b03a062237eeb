public import GraftCore
internal import GraftFormats
internal import GraftHDF5
internal import GraftKernels

/// What a conversion wrote.
public struct ConversionReport: Sendable {
  /// The tensors, as written.
  public let tensors: [TensorInfo]
  /// The tensors whose dtype became another one.
  public let convertedCount: Int
  /// The other files written.
  public let fileNames: [String]
  /// What was left out: what the target has no place for, and rows of a table whose word has come before.
  public let losses: [ConversionLoss]

  /// The bytes of all tensors.
  public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  /// The report as JSON.
  public var json: JSONValue {
    [
      "tensorCount": JSONValue(tensors.count),
      "convertedCount": JSONValue(convertedCount),
      "byteCount": JSONValue(byteCount),
      "files": .array(fileNames.map { .string($0) }),
      "losses": .array(losses.map { .string($0.what) }),
    ]
  }
}

/// Writes a checkpoint in another format, sharding or dtype.
///
/// A model directory travels whole; one that went through HDF5 comes back bit for bit. A GGUF model becomes a model
/// directory with the names, row order, configuration and tokenizer of the model that it was made from. Tensors are streamed by
/// tiles; those that don't change are copied inside the kernel. Source and target may be the same path. What the target has no place for
/// is named, and left out only when the options allow it.
/// - Parameter path: What is written, complete or not at all.
/// - Throws: ``StorageError`` when files can't be read or written, or the target can't hold the source.
public func convert(
  _ source: OpenedCheckpoint, to path: String, options: ConversionOptions = ConversionOptions(),
  progress: Progress = .none
) throws -> ConversionReport {
  let form = options.form ?? ConversionForm(for: path)
  var plan = try ConversionSource(source, form: form, dtype: options.dtype, to: path)
  if case .wordVectors(let format) = form {
    try OutputTarget(path, overwrites: options.overwrites).checkFile(holding: .tensors)
    return try exportVectors(
      source, plan, to: path, format, threadCount: options.threadCount, progress)
  }
  let losses = plan.losses(in: form)
  try options.check(losses, writing: form, of: source.path)
  let words = try plan.vocabulary.map { try SpilledVocabulary($0, beside: path) }
  if let words, !form.hasPlaceForWords { plan = try plan.withWordTensors(words) }
  let output = try ConversionOutput(
    path: path, form: form, plan, words: words, overwrites: options.overwrites)
  try transfer(
    plan, to: output.writer, copies: !output.isOrdered, threadCount: options.threadCount, progress)
  try source.checkUnchanged()
  try output.commit()
  return ConversionReport(
    tensors: plan.tensors,
    convertedCount: convertedCount(plan, source),
    fileNames: output.fileNames, losses: losses + plan.notes.map { ConversionLoss($0) })
}

/// How many tensors of the source have another dtype in the result.
private func convertedCount(_ plan: ConversionSource, _ source: OpenedCheckpoint) -> Int {
  let isRenamed = plan.gguf != nil || plan.keras != nil
  let before = isRenamed ? plan.reader.tensors : source.reader.tensors
  // The words of a table become tensors that the source doesn't have.
  return zip(plan.tensors, plan.places).count {
    before.indices.contains($1) && $0.dtype != before[$1].dtype
  }
}

// MARK: - Tensors

/// A piece of a conversion.
private enum Piece {
  /// A whole tensor, inside the kernel.
  case copy(FileExtent, tensor: Int)
  /// What the file says of a tensor's bytes, compared.
  case check(tensor: Int)
  /// Elements through memory.
  case tile(TensorTile, to: TensorInfo)
}

private func transfer(
  _ plan: ConversionSource, to writer: any CheckpointWriter, copies: Bool, threadCount: Int,
  _ progress: Progress
) throws {
  let reader = plan.reader
  let places = writer.positions
  let pieces = zip(plan.tensors, plan.places).flatMap { planned, position -> [Piece] in
    let tensor = reader.tensors[position]
    if copies, planned == tensor, let extent = reader.extent(of: position) {
      return [.copy(extent, tensor: position)]
    }
    return [Piece.check(tensor: position)]
      + TensorTile.all(of: tensor, at: position).map { Piece.tile($0, to: planned) }
  }
  try shareOut(pieces.count, threadCount: threadCount, worker: { try TileConverter() }) {
    item, converter in
    switch pieces[item] {
    case .check(let tensor): try reader.checkStoredBytes(of: tensor)
    case .copy(let extent, let tensor):
      try reader.checkStoredBytes(of: tensor)
      guard let place = places[reader.tensors[tensor].name] else { return }
      try writer.copy(extent, to: place)
      progress.advance(extent.range.count)
    case .tile(let tile, let target):
      guard let place = places[target.name] else { return }
      let values = try converter.convert(tile, of: reader, to: target.dtype)
      try writer.write(values.bytes, of: place, at: tile.bytes(in: target.dtype).lowerBound)
      progress.advance(tile.bytes(in: reader.tensors[tile.tensor].dtype).count)
    }
  }
}

/// One thread of a conversion with its buffers.
private struct TileConverter {
  private let kernels = Kernels(pool: ThreadPool(threadCount: 1))
  private let stored: Memory
  private let floats: Memory
  private let converted: Memory

  init() throws(StorageError) {
    stored = try Memory(byteCount: TensorTile.elementCount * 8)
    floats = try Memory(byteCount: TensorTile.elementCount * 4)
    converted = try Memory(byteCount: TensorTile.elementCount * 8)
  }

  /// A tile in another dtype, or as it is; good until the next one.
  func convert(_ tile: TensorTile, of reader: any CheckpointReader, to dtype: DType)
    throws(StorageError) -> MemorySlice
  {
    let from = reader.tensors[tile.tensor].dtype
    let range = tile.bytes(in: from)
    let bytes = MemorySlice(stored, dtype: .u8, shape: [range.count])
    try reader.read(tile.tensor, at: range.lowerBound, into: bytes)
    guard from != dtype else { return bytes }
    let shape: Shape = [tile.elements.count]
    var source = MemorySlice(stored, dtype: from, shape: shape)
    if from.isBlockQuantized {
      let values = MemorySlice(floats, dtype: .f32, shape: shape)
      floats.withMutableBytes { whole in
        var part = whole._mutatingExtracting(0..<values.byteCount)
        Quantization.dequantize(bytes.bytes, from, into: &part)
      }
      source = values
    }
    if dtype.isBlockQuantized { return try quantize(source, to: dtype, tile, of: reader) }
    guard source.dtype != dtype else { return source }
    let result = MemorySlice(converted, dtype: dtype, shape: shape)
    kernels.convert(source, to: result)
    return result
  }

  /// A tile of floats in blocks; good until the next one.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` for values that a block can't hold.
  private func quantize(
    _ source: MemorySlice, to dtype: DType, _ tile: TensorTile, of reader: any CheckpointReader
  ) throws(StorageError) -> MemorySlice {
    var values = source
    if source.dtype != .f32 {
      values = MemorySlice(floats, dtype: .f32, shape: source.shape)
      kernels.convert(source, to: values)
    }
    let byteCount = tile.bytes(in: dtype).count
    let result = MemorySlice(converted, dtype: .u8, shape: [byteCount])
    let isHeld = converted.withMutableBytes { whole in
      var part = whole._mutatingExtracting(0..<byteCount)
      return Quantization.quantize(values.bytes, to: dtype, into: &part)
    }
    guard isHeld else {
      throw StorageError(
        .notRepresentable(what: "NaN, infinity or values this large", inFormat: "\(dtype)"),
        file: reader.path, tensor: reader.tensors[tile.tensor].name,
        remedy: "keep the type of the tensors, or write bf16 or f32: --dtype bf16")
    }
    return result
  }
}
