internal import GraftCore

/// A checkpoint whose tensors are those of another one, in another order or under other names, or not all of them.
protocol RearrangedCheckpoint: CheckpointReader {
  /// The checkpoint with the bytes.
  var source: any CheckpointReader { get }
  /// Where each tensor stands in it.
  var places: [Int] { get }
}

extension RearrangedCheckpoint {
  var path: String { source.path }
  var inputs: [InputFile] { source.inputs }
  var unreadable: [UnreadableTensor] { source.unreadable }

  func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    try source.read(places[tensor], at: byteOffset, into: &buffer)
  }

  func extent(of tensor: Int) -> FileExtent? { source.extent(of: places[tensor]) }

  func grain(of tensor: Int) -> Int { source.grain(of: places[tensor]) }

  func checkStoredBytes(of tensor: Int) throws(StorageError) {
    try source.checkStoredBytes(of: places[tensor])
  }
}
