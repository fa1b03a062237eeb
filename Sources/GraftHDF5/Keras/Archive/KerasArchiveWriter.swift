public import GraftCore
internal import GraftFormats

/// A `.keras` archive being written: the weights into a file of their own first, as only their end tells how large they are.
public final class KerasArchiveWriter: CheckpointWriter {
  /// The tensors that were announced, in order.
  public let tensors: [TensorInfo]
  private let output: OutputFile
  private let scratch: OutputFile
  private let weights: HDF5Writer
  private let members: [HDF5Attachment]

  /// Lays the weights out.
  ///
  /// - Parameters:
  ///   - output: an empty file for the archive.
  ///   - scratch: an empty file for the weights, which the caller removes afterwards.
  ///   - members: the configuration, and what else stands beside the weights.
  ///   - metadata: what a reader gives of weights of Keras.
  ///   - annotations: what a source of the same layout has besides, for these tensors.
  /// - Throws: ``StorageError`` when the weights can't hold a tensor, or the system fails.
  public init(
    _ output: OutputFile, scratch: OutputFile, tensors: [TensorInfo],
    metadata: [MetadataEntry] = [], annotations: HDF5Annotations? = nil,
    members: [HDF5Attachment], compression: HDF5Compression = .none
  ) throws(StorageError) {
    self.tensors = tensors
    self.output = output
    self.scratch = scratch
    self.members = members
    weights = try HDF5Writer(
      scratch, tensors: tensors, metadata: metadata, annotations: annotations, keras: .weights,
      compression: compression)
  }

  /// Writes bytes of a tensor from `byteOffset` (inside the tensor) on.
  public func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError) {
    try weights.write(bytes, of: tensor, at: byteOffset)
  }

  /// Copies a whole tensor from a file.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    try weights.copy(extent, to: tensor)
  }

  /// Completes the weights and packs the archive, in the order of Keras's own; the caller commits afterwards.
  public func finish() throws(StorageError) {
    try weights.finish()
    let byteCount = try scratch.currentByteCount()
    let ordered = members.filter { !$0.name.hasPrefix(KerasMember.assets) }
    let assets = members.filter { $0.name.hasPrefix(KerasMember.assets) }
    let planned =
      ordered.map { ($0.name, $0.byteCount) } + [(KerasMember.weights.text, byteCount)]
      + assets.map { ($0.name, $0.byteCount) }
    let archive = try ZipWriter(
      planned.map { (name: $0.0, byteCount: $0.1) }, to: output)
    for (place, member) in ordered.enumerated() { try Self.pack(member, into: archive, place) }
    let packed = try InputFile(readingBack: scratch, as: output.target)
    try archive.copy(
      FileExtent(file: packed, range: 0..<byteCount), to: ordered.count, at: 0)
    for (place, member) in assets.enumerated() {
      try Self.pack(member, into: archive, ordered.count + 1 + place)
    }
    try archive.finish()
  }

  private static func pack(
    _ member: HDF5Attachment, into archive: ZipWriter, _ place: Int
  ) throws(StorageError) {
    for start in stride(from: 0, to: member.byteCount, by: 1 << 20) {
      let tile = try member.bytes(in: start..<min(start + 1 << 20, member.byteCount))
      try archive.write(tile, of: place, at: start)
    }
  }
}
