internal import GraftCore
internal import Synchronization

/// The chunks decoded last, so that tiles which share a chunk decode it once.
///
/// A thread that finds its chunk being decoded by another one decodes a later chunk meanwhile, so threads that walk
/// through a tensor together are all at work.
final class ChunkCache: Sendable {
  private struct Key: Hashable {
    let dataset: UInt64
    let chunk: Int
  }

  /// A chunk, there or to be decoded by whoever comes first.
  private final class Slot: Sendable {
    let bytes = Mutex<[UInt8]?>(nil)
  }

  private struct Contents {
    var slots: [Key: Slot] = [:]
    /// The keys with the bytes that they were counted with, oldest first.
    var order: [(key: Key, byteCount: Int)] = []
    var byteCount = 0
  }

  private let capacity: Int
  private let contents = Mutex(Contents())
  /// How far ahead a waiting thread looks for something to decode.
  private static let reach = 6

  init(capacity: Int) { self.capacity = capacity }

  /// A chunk of `byteCount` bytes, from memory or from `decode`.
  ///
  /// - Parameter end: the chunk behind the last one that is worth decoding ahead.
  func chunk(
    _ index: Int, of dataset: UInt64, byteCount: Int, end: Int,
    _ decode: (Int) throws(StorageError) -> [UInt8]
  ) throws(StorageError) -> [UInt8] {
    // A chunk that leaves no room for others isn't kept.
    guard byteCount <= capacity / 4 else { return try decode(index) }
    let slot = slot(Key(dataset: dataset, chunk: index), byteCount)
    let found: [UInt8]?? = try slot.bytes.withLockIfAvailable { bytes throws(StorageError) in
      try Self.fill(&bytes, index, decode)
    }
    if case .some(.some(let bytes)) = found { return bytes }
    decodeAhead(of: index, of: dataset, byteCount: byteCount, end: end, decode)
    return try slot.bytes.withLock { bytes throws(StorageError) in
      try Self.fill(&bytes, index, decode)
    }
  }

  private static func fill(
    _ bytes: inout [UInt8]?, _ index: Int, _ decode: (Int) throws(StorageError) -> [UInt8]
  ) throws(StorageError) -> [UInt8] {
    if let bytes { return bytes }
    let decoded = try decode(index)
    bytes = decoded
    return decoded
  }

  /// Decodes the next chunk that nobody has or is at; its error, if any, is for whoever needs it.
  private func decodeAhead(
    of index: Int, of dataset: UInt64, byteCount: Int, end: Int,
    _ decode: (Int) throws(StorageError) -> [UInt8]
  ) {
    for next in index + 1..<max(index + 1, min(end, index + Self.reach)) {
      let slot = slot(Key(dataset: dataset, chunk: next), byteCount)
      let isDone: Bool? = slot.bytes.withLockIfAvailable { bytes in
        guard bytes == nil else { return false }
        bytes = try? decode(next)
        return true
      }
      if isDone == true { return }
    }
  }

  private func slot(_ key: Key, _ byteCount: Int) -> Slot {
    contents.withLock { contents in
      if let known = contents.slots[key] { return known }
      let slot = Slot()
      contents.slots[key] = slot
      contents.order.append((key, byteCount))
      contents.byteCount += byteCount
      var oldest = 0
      while contents.byteCount > capacity, oldest < contents.order.count - 1 {
        contents.slots[contents.order[oldest].key] = nil
        contents.byteCount -= contents.order[oldest].byteCount
        oldest += 1
      }
      contents.order.removeFirst(oldest)
      return slot
    }
  }
}
