public import GraftCore
internal import Synchronization

/// A GGUF file being written, version 3, tensors in the order that they are given in.
public final class GGUFWriter: CheckpointWriter {
  /// The tensors in the order of the file.
  public let tensors: [TensorInfo]
  private let output: OutputFile
  private let starts: [Int]
  private let expected: Int
  private let written = Atomic<Int>(0)

  /// Lays the file out, reserves its size and writes its header.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` for names, dtypes, ranks and keys that GGUF hasn't;
  ///   others for a full disk.
  public init(
    _ tensors: [TensorInfo], entries: [(key: String, value: GGUFValue)], to output: OutputFile
  ) throws(StorageError) {
    let header = try GGUFHeader(tensors, entries: entries, file: output.target)
    self.tensors = tensors
    self.output = output
    starts = header.offsets.map { $0 + header.bytes.count }
    expected = tensors.reduce(0) { $0 + $1.byteCount }
    try output.reserve(byteCount: header.bytes.count + header.dataByteCount)
    try output.write(header.bytes, at: 0)
  }

  /// Writes bytes of a tensor.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError) {
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
    guard given == expected else {
      throw StorageError(
        .mismatch(
          subject: "the tensor data given to the writer", expected: "\(expected) bytes",
          found: "\(given)"),
        file: output.target)
    }
  }
}
