public import GraftCore
internal import Synchronization

/// A safetensors file being written in the canonical form of `Formats/safetensors/SPEC.md`.
///
/// The same tensors and metadata make the same bytes: wider dtypes first, then names in byte order, so that every
/// tensor is aligned; the header is padded to 8. The reference implementation writes the same bytes.
public final class SafetensorsWriter: CheckpointWriter {
  /// The tensors in the order of the file.
  public let tensors: [TensorInfo]
  /// The size of the whole file.
  public let byteCount: Int
  private let output: OutputFile
  private let starts: [Int]
  private let dataByteCount: Int
  private let written = Atomic<Int>(0)

  /// Lays the file out, reserves its size and writes its header.
  ///
  /// - Throws: ``StorageError`` for repeated or reserved names, dtypes that safetensors hasn't, or a full disk.
  public init(
    _ tensors: [TensorInfo], metadata: [MetadataEntry] = [], to output: OutputFile,
    limits: FormatLimits = .standard
  ) throws(StorageError) {
    let layout = try SafetensorsLayout(
      tensors, metadata: metadata, file: output.target, limits: limits)
    self.tensors = layout.tensors
    self.starts = layout.begins.map { $0 + layout.header.count }
    self.dataByteCount = layout.dataByteCount
    self.byteCount = layout.header.count + layout.dataByteCount
    self.output = output
    try output.reserve(byteCount: byteCount)
    try output.write(layout.header, at: 0)
  }

  /// Writes bytes of a tensor.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func write(
    _ bytes: RawSpan, of tensor: Int, at byteOffset: Int
  ) throws(StorageError) {
    precondition(
      byteOffset >= 0 && bytes.byteCount <= tensors[tensor].byteCount - byteOffset,
      "a write lies inside its tensor")
    try output.write(bytes, at: starts[tensor] + byteOffset)
    written.add(bytes.byteCount, ordering: .relaxed)
  }

  /// Copies a whole tensor from a file.
  ///
  /// - Precondition: the extent has the tensor's size.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    precondition(
      extent.range.count == tensors[tensor].byteCount, "a copy has the size of its tensor")
    try output.copy(from: extent.file, extent.range, to: starts[tensor])
    written.add(extent.range.count, ordering: .relaxed)
  }

  /// Checks that every byte was given.
  public func finish() throws(StorageError) {
    let given = written.load(ordering: .relaxed)
    guard given == dataByteCount else {
      throw StorageError(
        .mismatch(
          subject: "the tensor data given to the writer", expected: "\(dataByteCount) bytes",
          found: "\(given)"),
        file: output.target)
    }
  }
}
