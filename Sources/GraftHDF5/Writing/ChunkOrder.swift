internal import GraftCore
internal import Synchronization

/// Puts encoded chunks into the order of the plan, so that the file's bytes don't depend on the threads.
///
/// Threads that write a checkpoint from front to back finish chunks almost in order, and few wait here. Where a caller
/// writes in another order, what waits is let go when it becomes too much: the file is as good, its bytes are then those
/// of that order.
final class ChunkOrder: Sendable {
  /// An encoded chunk.
  struct Chunk: Sendable {
    let place: Int
    let number: Int
    let bytes: [UInt8]
  }

  private struct State {
    var next = 0
    var waiting: [Int: Chunk] = [:]
    var waitingBytes = 0
  }

  /// The number of the first chunk of each place among all chunks.
  private let firsts: [Int]
  private let state = Mutex(State())
  /// The bytes that may wait.
  private static let capacity = 32 << 20

  /// - Parameters:
  ///   - counts: the chunks of each place.
  ///   - start: the place that is written first; those before it come after the last.
  init(counts: [Int], from start: Int) {
    var sum = 0
    var firsts = [Int](repeating: 0, count: counts.count)
    for place in Array(start..<counts.count) + Array(0..<start) {
      firsts[place] = sum
      sum += counts[place]
    }
    self.firsts = firsts
  }

  /// Stores a chunk and those behind it that waited for it, or lets it wait; one thread at a time stores.
  func add(
    _ chunk: Chunk, _ store: (Chunk) throws(StorageError) -> Void
  ) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      let position = firsts[chunk.place] + chunk.number
      if position != state.next {
        state.waiting[position] = chunk
        state.waitingBytes += chunk.bytes.count
        guard state.waitingBytes > Self.capacity else { return }
        return try Self.storeAll(&state, store)
      }
      try store(chunk)
      state.next += 1
      while let follower = state.waiting.removeValue(forKey: state.next) {
        state.waitingBytes -= follower.bytes.count
        try store(follower)
        state.next += 1
      }
    }
  }

  /// Stores what waits for chunks that never came.
  func finish(_ store: (Chunk) throws(StorageError) -> Void) throws(StorageError) {
    try state.withLock { state throws(StorageError) in try Self.storeAll(&state, store) }
  }

  private static func storeAll(
    _ state: inout State, _ store: (Chunk) throws(StorageError) -> Void
  ) throws(StorageError) {
    for position in state.waiting.keys.sorted() {
      if let chunk = state.waiting.removeValue(forKey: position) { try store(chunk) }
    }
    state.waitingBytes = 0
  }
}
