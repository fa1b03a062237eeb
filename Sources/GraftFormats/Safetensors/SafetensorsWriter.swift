public import GraftCore

/// A safetensors file being written in the canonical form of `Formats/safetensors/SPEC.md`.
///
/// The same tensors and metadata make the same bytes: wider dtypes first, then names in byte order, so that every
/// tensor is aligned; the header is padded to 8. The reference implementation writes the same bytes.
public struct SafetensorsWriter: LaidOutWriter {
  /// The tensors and their places.
  public let layout: LaidOutTensors
  /// The size of the whole file.
  public let byteCount: Int

  /// Lays the file out, reserves its size and writes its header.
  ///
  /// - Throws: ``StorageError`` for repeated or reserved names, dtypes that safetensors hasn't, or a full disk.
  public init(
    _ tensors: [TensorInfo], metadata: [MetadataEntry] = [], to output: OutputFile,
    limits: FormatLimits = .standard
  ) throws(StorageError) {
    let plan = try SafetensorsLayout(
      tensors, metadata: metadata, file: output.target, limits: limits)
    layout = LaidOutTensors(
      plan.tensors, in: output, at: plan.begins.map { $0 + plan.header.count })
    byteCount = plan.header.count + plan.dataByteCount
    try output.reserve(byteCount: byteCount)
    try output.write(plan.header, at: 0)
  }
}
