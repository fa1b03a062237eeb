internal import Glibc

/// A file that grows at its end, such as a log.
public final class AppendedFile: Sendable {
  /// The path that was opened.
  public let path: String
  private let descriptor: Int32

  /// Opens a file that is there.
  public init(path: String) throws(StorageError) {
    let descriptor = retryingInterrupted { unsafe open(path, O_WRONLY | O_APPEND | O_CLOEXEC) }
    guard descriptor >= 0 else { throw StorageError(call: "open", errno: errno, file: path) }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Writes all bytes after what is there.
  public func append(_ bytes: [UInt8]) throws(StorageError) {
    var left = bytes[...]
    while !left.isEmpty {
      let count = unsafe left.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else {
        if count < 0, errno == EINTR { continue }
        throw StorageError(call: "write", errno: count < 0 ? errno : EIO, file: path)
      }
      left = left.dropFirst(count)
    }
  }

  /// Forces the bytes to the disk.
  public func synchronize() throws(StorageError) {
    guard fsync(descriptor) == 0 else {
      throw StorageError(call: "fsync", errno: errno, file: path)
    }
  }
}
