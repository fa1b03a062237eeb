internal import Synchronization

/// The temporary siblings that this process is writing, so that an interrupted one leaves nothing behind.
public enum UnfinishedOutputs {
  private static let paths = Mutex<Set<String>>([])

  static func insert(_ path: String) { _ = paths.withLock { $0.insert(path) } }

  static func remove(_ path: String) { _ = paths.withLock { $0.remove(path) } }

  /// Removes all of them; for the last moments of a process.
  public static func removeAll() {
    for path in paths.withLock({ $0 }) { Directory.remove(path) }
  }
}
