internal import CHDF5
internal import GraftCore
internal import Synchronization

/// The chunks decoded last, so that tiles which share a chunk decode it once.
final class ChunkCache: Sendable {
  private struct Key: Hashable {
    let dataset: haddr_t
    let chunk: Int
  }

  private struct Contents {
    var chunks: [Key: [UInt8]] = [:]
    var order: [Key] = []
    var byteCount = 0
  }

  private let capacity: Int
  private let contents = Mutex(Contents())

  init(capacity: Int) { self.capacity = capacity }

  /// A chunk, from memory or from `decode`; two threads that miss at once both decode.
  func chunk(
    _ index: Int, of dataset: haddr_t, _ decode: () throws(StorageError) -> [UInt8]
  ) throws(StorageError) -> [UInt8] {
    let key = Key(dataset: dataset, chunk: index)
    if let known = contents.withLock({ $0.chunks[key] }) { return known }
    let bytes = try decode()
    guard bytes.count <= capacity else { return bytes }
    contents.withLock { contents in
      guard contents.chunks.updateValue(bytes, forKey: key) == nil else { return }
      contents.order.append(key)
      contents.byteCount += bytes.count
      var oldest = 0
      while contents.byteCount > capacity {
        contents.byteCount -=
          contents.chunks.removeValue(forKey: contents.order[oldest])?.count ?? 0
        oldest += 1
      }
      contents.order.removeFirst(oldest)
    }
    return bytes
  }
}
