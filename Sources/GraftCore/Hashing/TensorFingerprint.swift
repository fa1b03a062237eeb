/// What tells a set of tensors from any other, wherever it is kept: their number, their bytes, and a hash of names, dtypes,
/// shapes and contents.
package struct TensorFingerprint {
  private var hash = XXHash64()
  private var tensorCount = 0
  private var byteCount = 0
  private let tile: Memory

  private static let tileByteCount = 1 << 20

  /// The fingerprint of no tensors yet.
  ///
  /// - Throws: ``StorageError`` without memory for a tile.
  package init() throws(StorageError) {
    tile = try Memory(byteCount: Self.tileByteCount)
  }

  /// Adds a tensor, which is read in tiles.
  ///
  /// - Throws: ``StorageError`` when it can't be read.
  package mutating func combine(
    _ tensor: Int, of checkpoint: any CheckpointReader, named name: TensorName
  ) throws(StorageError) {
    let (info, tile) = (checkpoint.tensors[tensor], tile)
    hash.combine(counted: name.utf8)
    hash.combine(counted: Array("\(info.dtype) \(info.shape)".utf8))
    for start in stride(from: 0, to: info.byteCount, by: Self.tileByteCount) {
      let count = min(Self.tileByteCount, info.byteCount - start)
      try tile.withMutableBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        var part = bytes._mutatingExtracting(0..<count)
        try checkpoint.read(tensor, at: start, into: &part)
      }
      hash.combine(tile.bytes.extracting(0..<count))
    }
    tensorCount += 1
    byteCount += info.byteCount
  }

  /// The fingerprint in words.
  package var text: String { "\(tensorCount) tensors of \(byteCount) bytes, \(hash.text)" }
}
