internal import GraftCore
internal import Synchronization

/// Memory that the tasks of one job share: lent to one job at a time, kept for the next.
final class SharedScratch: Sendable {
  private let kept = Mutex<Memory?>(nil)

  /// The bytes that wait for a job.
  var byteCount: Int { kept.withLock { $0?.byteCount ?? 0 } }

  /// Sees to it that a job finds so many bytes.
  ///
  /// - Throws: ``StorageError`` without memory.
  func reserve(_ byteCount: Int) throws(StorageError) {
    guard byteCount > self.byteCount else { return }
    // What is too small makes room first.
    kept.withLock { $0 = nil }
    let memory = try Memory(byteCount: byteCount)
    kept.withLock { $0 = memory }
  }

  /// Lends memory of at least so many bytes, with what others left in it.
  func lend<R>(_ byteCount: Int, _ body: (Memory) -> R) -> R {
    let found = kept.withLock { kept -> Memory? in
      guard let memory = kept, memory.byteCount >= byteCount else { return nil }
      kept = nil
      return memory
    }
    let memory = found ?? .needed(byteCount: byteCount)
    defer {
      kept.withLock { kept in
        if (kept?.byteCount ?? 0) < memory.byteCount { kept = memory }
      }
    }
    return body(memory)
  }
}
