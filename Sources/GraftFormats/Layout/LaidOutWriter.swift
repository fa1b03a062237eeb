public import GraftCore

/// A writer that lays its file out before the first byte of a tensor, and then fills the places.
public protocol LaidOutWriter: CheckpointWriter {
  /// The tensors and their places.
  var layout: LaidOutTensors { get }
}

extension LaidOutWriter {
  /// The tensors in the order of the file.
  public var tensors: [TensorInfo] { layout.infos }

  /// Writes bytes of a tensor.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError) {
    try layout.write(bytes, of: tensor, at: byteOffset)
  }

  /// Copies a whole tensor from a file.
  ///
  /// - Precondition: the extent has the tensor's size.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    try layout.copy(extent, to: tensor)
  }

  /// Checks that every byte was given, and completes an archive.
  public func finish() throws(StorageError) { try layout.finish() }
}
