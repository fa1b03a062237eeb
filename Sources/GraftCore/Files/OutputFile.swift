internal import CSystem
internal import Glibc

/// A file being written at byte offsets; part of an ``AtomicFile`` or ``AtomicDirectory``.
public final class OutputFile: Sendable {
  /// The path being written.
  public let path: String
  /// The path where the bytes will appear, or a link to it, which errors name.
  public let target: String
  let descriptor: Int32
  /// The bits of the mode when it is complete, where it takes the place of another file.
  private let permissions: mode_t?
  /// Bytes that one call copies: few enough that the disk gets to work early.
  private static let copiedAtOnce = 8 << 20
  private static let pageByteCount = 4096

  /// Creates a file that must not exist yet; who couldn't read or write the one at the target can't do so with this one, at no moment.
  ///
  /// - Parameters:
  ///   - isPrivate: Whether its owner alone may read and write it, as what never appears.
  ///   - isExecutable: Whether it may be run, where it takes nothing's place.
  init(
    creating path: String, for target: String, isPrivate: Bool = false, isExecutable: Bool = false
  ) throws(StorageError) {
    let replaced = Permissions(ofFile: target)
    // Whoever else may read or write it is known when its group is.
    let mode: mode_t = replaced == nil && !isPrivate ? (isExecutable ? 0o777 : 0o666) : 0o600
    let descriptor = retryingInterrupted {
      unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    }
    guard descriptor >= 0 else { throw StorageError(call: "open", errno: errno, file: target) }
    self.path = path
    self.target = target
    self.descriptor = descriptor
    permissions = replaced?.settleGroup(of: descriptor)
    // Its owner reads and writes it until it is complete.
    if let permissions { try Permissions.set(permissions | 0o600, of: descriptor, for: target) }
  }

  /// Makes a file without a name, in `TMPDIR` or `/var/tmp`: room on a disk, given back when nobody has it open.
  ///
  /// - Parameter target: what errors name.
  package init(namelessFor target: String) throws(StorageError) {
    let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/var/tmp"
    var descriptor = retryingInterrupted { unsafe graft_open_nameless(folder) }
    if descriptor < 0, errno == EOPNOTSUPP {
      // It has a name for a moment, then.
      let path = TemporarySibling.name(for: folder + "/graft")
      descriptor = retryingInterrupted {
        unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
      }
      if descriptor >= 0 { unsafe unlink(path) }
    }
    guard descriptor >= 0 else {
      throw StorageError(
        .system(call: "open", errno: errno), file: target,
        remedy: "it is unpacked in \(folder.escapedShortened); TMPDIR names another directory")
    }
    self.path = target
    self.target = target
    self.descriptor = descriptor
    permissions = nil
  }

  deinit { close(descriptor) }

  /// Writes all bytes at an offset.
  public func write(_ bytes: RawSpan, at offset: Int) throws(StorageError) {
    let wanted = bytes.byteCount
    var done = 0
    while done < wanted {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe buffer.baseAddress.map { base in
          unsafe pwrite(descriptor, base + done, wanted - done, off_t(offset + done))
        } ?? 0
      }
      guard count > 0 else {
        if count < 0, errno == EINTR { continue }
        throw StorageError(call: "pwrite", errno: count < 0 ? errno : EIO, file: target)
      }
      done += count
    }
    startWriteback(of: wanted, at: offset)
  }

  /// Writes an array at an offset.
  public func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
    try bytes.withRawBytes { bytes throws(StorageError) in try write(bytes, at: offset) }
  }

  /// Copies bytes from a file inside the kernel; by reading and writing where that isn't possible, or slower.
  ///
  /// Where source and target lie differently in their pages, the kernel copies every page in two parts, with the file locked.
  public func copy(
    from input: InputFile, _ range: Range<Int>, to offset: Int
  ) throws(StorageError) {
    var source = range.lowerBound
    var target = offset
    var left = range.count
    while left > 0, (source - target) % Self.pageByteCount == 0 {
      let count = graft_copy_file_range(
        input.descriptor, source, descriptor, target, UInt(min(left, Self.copiedAtOnce)))
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      startWriteback(of: count, at: target)
      source += count
      target += count
      left -= count
    }
    guard left > 0 else { return }
    var tile = [UInt8](repeating: 0, count: min(left, 1 << 20))
    while left > 0 {
      let count = min(left, tile.count)
      try tile.withMutableRawBytes { (whole: inout MutableRawSpan) throws(StorageError) in
        var part = whole._mutatingExtracting(0..<count)
        try input.read(at: source, into: &part)
      }
      try tile.withRawBytes { bytes throws(StorageError) in
        try write(bytes.extracting(0..<count), at: target)
      }
      source += count
      target += count
      left -= count
    }
  }

  /// Reserves the file's full size, so that a full disk is noticed before the first byte.
  public func reserve(byteCount: Int) throws(StorageError) {
    guard byteCount > 0 else { return }
    var code = EINTR
    while code == EINTR { code = posix_fallocate(descriptor, 0, off_t(byteCount)) }
    switch code {
    case 0: return
    case EOPNOTSUPP, EINVAL:
      guard ftruncate(descriptor, off_t(byteCount)) == 0 else {
        throw StorageError(call: "ftruncate", errno: errno, file: target)
      }
    default: throw StorageError(call: "posix_fallocate", errno: code, file: target)
    }
  }

  /// Has the system begin to write a range to the disk, without waiting, so that ``synchronize()`` finds little left to do.
  ///
  /// A hint: what it can't do, `fsync` does. Small ranges aren't worth a call.
  private func startWriteback(of byteCount: Int, at offset: Int) {
    guard byteCount >= 128 << 10 else { return }
    graft_start_writeback(descriptor, offset, byteCount)
  }

  /// The bytes that the file has now, whoever wrote them.
  public func currentByteCount() throws(StorageError) -> Int {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw StorageError(call: "fstat", errno: errno, file: target)
    }
    return Int(status.st_size)
  }

  /// Takes hold of the file for as long as it is open; false when someone else has it.
  ///
  /// Where a file system has no such locks, every hold is granted.
  func hold() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK }

  /// Forces the bytes to the disk, under the permissions of the file whose place this one takes.
  ///
  /// A failure is final: the kernel may take pages for written that aren't, so the file is abandoned and the call never made again.
  func synchronize() throws(StorageError) {
    if let permissions { try Permissions.set(permissions, of: descriptor, for: target) }
    guard fsync(descriptor) == 0 else {
      throw StorageError(call: "fsync", errno: errno, file: target)
    }
  }
}
