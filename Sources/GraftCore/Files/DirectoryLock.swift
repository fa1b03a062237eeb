internal import Glibc

/// A hold on a directory that nobody else has at the same time.
///
/// The kernel gives it up with the last reference, or with the process, however that ends. Nothing is written. Where a file system has
/// no such locks, every hold is granted.
public final class DirectoryLock: Sendable {
  private let descriptor: Int32

  /// Takes hold of a directory; nil when someone else has it.
  ///
  /// - Throws: ``StorageError`` when there is no such directory.
  public init?(_ path: String) throws(StorageError) {
    descriptor = retryingInterrupted { unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw StorageError(call: "open", errno: errno, file: path) }
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK { return nil }
  }

  deinit {
    // A process that is being started holds a copy of the descriptor for a moment.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
