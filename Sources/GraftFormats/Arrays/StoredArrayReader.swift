public import GraftCore

/// A reader of a file that keeps its tensors as arrays: PyTorch's and NumPy's.
public protocol StoredArrayReader: SingleFileReader {
  /// The arrays and how they lie.
  var arrays: StoredArrays { get }
}

extension StoredArrayReader {
  /// The tensors in the order of the file.
  public var tensors: [TensorInfo] { arrays.infos }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` on, little-endian and the last index the fastest.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    try arrays.read(tensor, at: byteOffset, into: &buffer)
  }

  /// Where a tensor's bytes lie, where they do: not of one that is strided or deflated.
  public func extent(of tensor: Int) -> FileExtent? { arrays.extent(of: tensor) }

  /// Compares the checksum of the archive's member that holds a tensor, once for each.
  public func checkStoredBytes(of tensor: Int) throws(StorageError) {
    try arrays.members?.check(tensor)
  }
}
