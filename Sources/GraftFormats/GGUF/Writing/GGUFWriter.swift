public import GraftCore

/// A GGUF file being written, version 3, tensors in the order that they are given in.
public struct GGUFWriter: LaidOutWriter {
  /// The tensors and their places.
  public let layout: LaidOutTensors

  /// Lays the file out, reserves its size and writes its header.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` for names, dtypes, ranks and keys that GGUF hasn't;
  ///   others for a full disk.
  public init(
    _ tensors: [TensorInfo], entries: [(key: String, value: GGUFValue)], to output: OutputFile
  ) throws(StorageError) {
    let header = try GGUFHeader(tensors, entries: entries, file: output.target)
    layout = LaidOutTensors(
      tensors, in: output, at: header.offsets.map { $0 + header.bytes.count })
    try output.reserve(byteCount: header.bytes.count + header.dataByteCount)
    try output.write(header.bytes, at: 0)
  }
}
