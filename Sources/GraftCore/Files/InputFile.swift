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
  /// Whether somebody may run the file as a program.
  public let isExecutable: Bool
  /// When the content was last changed, seen when the file was opened.
  private let changed: FileTime
  /// The device and inode, which tell whether two paths are one file.
  public let identity: FileIdentity
  package let descriptor: Int32

  /// Opens a regular file.
  ///
  /// FIFOs, devices, sockets and directories are refused without blocking on them.
  public convenience init(path: String) throws(StorageError) {
    let descriptor = retryingInterrupted {
      unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    }
    guard descriptor >= 0 else { throw Self.failure(errno, path) }
    try self.init(descriptor, path)
  }

  /// Why a path can't be opened; a file's name with a slash behind it is told apart.
  private static func failure(_ code: Int32, _ path: String) -> StorageError {
    var name = path
    while name.count > 1, name.hasSuffix("/") { name.removeLast() }
    guard code == ENOTDIR, name != path, Directory.hasFile(at: name) else {
      return StorageError(call: "open", errno: code, file: path)
    }
    return StorageError(
      .notRegular(found: "the name of a directory"), file: path,
      remedy: "leave out the slash at its end")
  }

  /// Reads what was written to a file that may have no name; errors name `path`.
  package convenience init(
    readingBack output: OutputFile, as path: String
  ) throws(StorageError) {
    let descriptor = fcntl(output.descriptor, F_DUPFD_CLOEXEC, 0)
    guard descriptor >= 0 else { throw StorageError(call: "fcntl", errno: errno, file: path) }
    try self.init(descriptor, path)
  }

  /// Takes a descriptor over.
  private init(_ descriptor: Int32, _ path: String) throws(StorageError) {
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
    self.isExecutable = status.st_mode & 0o111 != 0
    self.changed = FileTime(status)
    self.identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
  }

  deinit { close(descriptor) }

  /// Checks that nobody wrote to the file since it was opened; another file may have taken its path.
  ///
  /// - Throws: ``StorageError/Reason/changed(expectedBytes:foundBytes:)``.
  public func checkUnchanged() throws(StorageError) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw StorageError(call: "fstat", errno: errno, file: path)
    }
    guard status.st_size == byteCount, FileTime(status) == changed else {
      throw StorageError(
        .changed(expectedBytes: byteCount, foundBytes: Int(status.st_size)), file: path,
        remedy: "run this again when nothing writes to the file")
    }
  }

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
    var failure: StorageError?
    // Safety: all bytes of the memory are read into before they count as initialized.
    let array = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      var bytes = unsafe MutableRawSpan(
        _unsafeBytes: UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
      do throws(StorageError) {
        try read(at: offset, into: &bytes)
        initializedCount = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
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

/// When a file's content was last changed.
private struct FileTime: Equatable {
  let seconds: Int
  let nanoseconds: Int

  init(_ status: stat) {
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
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
