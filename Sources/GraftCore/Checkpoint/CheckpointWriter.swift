/// A checkpoint being written: told all tensors first, then given their bytes.
///
/// Bytes may come for any tensor at any offset, each byte once. Nothing appears at the target before the owner of
/// the underlying ``AtomicFile`` or ``AtomicDirectory`` commits.
public protocol CheckpointWriter: Sendable {
  /// The tensors that were announced, in the order of the file.
  var tensors: [TensorInfo] { get }

  /// Writes bytes of a tensor from `byteOffset` (inside the tensor) on.
  func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError)

  /// Copies a whole tensor from a file, inside the kernel where possible.
  func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError)

  /// Completes the file's structure; the caller commits afterwards.
  func finish() throws(StorageError)
}

extension CheckpointWriter {
  /// Writes elements of a tensor from `byteOffset` (inside the tensor) on.
  public func write<Element: BitwiseCopyable>(
    _ elements: [Element], of tensor: Int, at byteOffset: Int
  ) throws(StorageError) {
    try elements.withRawBytes { bytes throws(StorageError) in
      try write(bytes, of: tensor, at: byteOffset)
    }
  }
}
