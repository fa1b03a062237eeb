internal import Glibc

/// A regular file, open for reading at byte offsets; the descriptor closes with the last reference.
///
/// The size is taken once, when opening. Reading past what the file has by then shrunk to is a
/// ``StorageError/Reason/truncated(part:expectedBytes:foundBytes:)``, never a signal.
public final class InputFile: Sendable {
  /// The path that was opened.
  public let path: String
  /// The size when the file was opened.
  public let byteCount: Int
  /// The device and inode, which tell whether two paths are one file.
  public let identity: FileIdentity
  package let descriptor: Int32

  /// Opens a regular file.
  ///
  /// FIFOs, devices, sockets and directories are refused without blocking on them.
  public init(path: String) throws(StorageError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw StorageError(call: "open", errno: errno, file: path) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw StorageError(call: "fstat", errno: code, file: path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw StorageError(.notRegular(found: fileKind(status.st_mode)), file: path)
    }
    self.path = path
    self.descriptor = descriptor
    self.byteCount = Int(status.st_size)
    self.identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
  }

  deinit { close(descriptor) }

  /// Fills `buffer` with the bytes from `offset` on.
  ///
  /// - Throws: ``StorageError`` when the file ends early or the system fails.
  public func read(at offset: Int, into buffer: inout MutableRawSpan) throws(StorageError) {
    let wanted = buffer.byteCount
    var done = 0
    while done < wanted {
      let count = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe bytes.baseAddress.map { base in
          unsafe pread(descriptor, base + done, wanted - done, off_t(offset + done))
        } ?? 0
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw StorageError(call: "pread", errno: errno, file: path)
      }
      guard count > 0 else {
        throw StorageError(
          .truncated(part: "data", expectedBytes: wanted, foundBytes: done), file: path,
          offset: offset + done)
      }
      done += count
    }
  }

  /// The bytes of a range as an array, for headers and other small parts.
  public func bytes(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= byteCount, count <= byteCount - offset else {
      throw StorageError(
        .truncated(part: "data", expectedBytes: count, foundBytes: max(0, byteCount - offset)),
        file: path, offset: offset)
    }
    var array = [UInt8](repeating: 0, count: count)
    try array.withMutableRawBytes { (whole: inout MutableRawSpan) throws(StorageError) in
      try read(at: offset, into: &whole)
    }
    return array
  }

  /// The whole file, refused above a limit.
  public static func contents(of path: String, atMost limit: Int) throws(StorageError) -> [UInt8] {
    let file = try InputFile(path: path)
    guard file.byteCount <= limit else {
      throw StorageError(
        .limitExceeded(limit: "bytes", maximum: limit, found: "\(file.byteCount) bytes"), file: path
      )
    }
    return try file.bytes(at: 0, count: file.byteCount)
  }
}

/// The device and inode of a file.
public struct FileIdentity: Hashable, Sendable {
  let device: UInt64
  let inode: UInt64
}

/// A word for what stands at a path, from its mode bits.
func fileKind(_ mode: mode_t) -> String {
  switch mode & S_IFMT {
  case S_IFDIR: "a directory"
  case S_IFIFO: "a FIFO"
  case S_IFCHR, S_IFBLK: "a device"
  case S_IFSOCK: "a socket"
  case S_IFLNK: "a symbolic link"
  case S_IFREG: "a regular file"
  default: "something else"
  }
}
