public import GraftCore

/// What a conversion wrote.
public struct ConversionReport: Sendable {
  /// The tensors, as written.
  public let tensors: [TensorInfo]
  /// The tensors whose dtype became another one.
  public let convertedCount: Int
  /// The other files written.
  public let fileNames: [String]
  /// What the target has no place for, and was left out because the options allowed it.
  public let losses: [ConversionLoss]
  /// What was left out in any case: bookkeeping, a training run's records, what stays behind of a directory, what rounding to the default
  /// dtype takes.
  public let notes: [ConversionLoss]

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
      "notes": .array(notes.map { .string($0.what) }),
    ]
  }
}

/// Writes a checkpoint in another format, sharding or dtype.
///
/// A model directory travels whole; one that went through HDF5 comes back bit for bit. A GGUF model becomes a model
/// directory with the names, row order, configuration and tokenizer of the model that it was made from. Tensors are streamed by
/// tiles; those that don't change are copied inside the kernel. Source and target may be the same path. What the target has no place for
/// is named, and left out only when the options allow it. In the word-vector formats a table of words, or the embedding table of a model,
/// is written.
/// - Parameter path: What is written, complete or not at all.
/// - Throws: ``StorageError`` when files can't be read or written, or the target can't hold the source.
public func convert(
  _ source: OpenedCheckpoint, to path: String, options: ConversionOptions = ConversionOptions(),
  progress: Progress = .none
) throws -> ConversionReport {
  let conversion = try Conversion(of: source, to: path, options)
  try conversion.transfer(progress)
  try source.checkUnchanged()
  try conversion.commit()
  return conversion.report
}
