internal import Glibc

/// A file that appears at its path whole, or not at all.
///
/// Bytes go to a temporary sibling; ``commit()`` forces them to disk, renames and forces the directory. The permissions and the group are
/// those of the file that it replaces, where there is one. A value that is dropped without `commit` removes the sibling; one that a killed process left is removed by the next that writes to the path.
public final class AtomicFile: Sendable {
  /// Where the file will appear.
  public let path: String
  /// The sibling to write to.
  public let output: OutputFile

  /// Opens a temporary sibling of `path`.
  ///
  /// A symbolic link is followed, and errors name the link; what isn't a regular file is never replaced.
  public init(path: String) throws(StorageError) {
    let place = try replaceableTarget(path)
    self.path = place
    try checkLength(of: place, for: path)
    try checkParent(of: place, for: path)
    output = try Self.makeSibling(of: place, for: path)
  }

  /// Opens a temporary file beside a target that isn't to appear itself: what it holds is needed while the target is made.
  ///
  /// - Parameter part: A word that tells it from others beside the target; the name may be longer than file systems have them.
  package init(beside target: String, holding part: String) throws(StorageError) {
    let path = target + "." + part
    self.path = path
    try checkParent(of: path, for: path)
    output = try Self.makeSibling(of: path, for: path, isPrivate: true)
  }

  private static func makeSibling(
    of path: String, for target: String, isPrivate: Bool = false
  ) throws(StorageError) -> OutputFile {
    try TemporarySibling.make(beside: path, for: target) { sibling throws(StorageError) in
      let output = try OutputFile(creating: sibling, for: target, isPrivate: isPrivate)
      UnfinishedOutputs.insert(sibling)
      return output.hold() ? output : nil
    }.held
  }

  deinit {
    unsafe unlink(output.path)
    UnfinishedOutputs.remove(output.path)
  }

  /// Makes the file appear at its path, replacing what stood there.
  public func commit() throws(StorageError) {
    try output.synchronize()
    try move()
    try synchronizeDirectory(parent(of: path), for: output.target)
  }

  private func move() throws(StorageError) {
    guard unsafe rename(output.path, path) == 0 else {
      throw StorageError(call: "rename", errno: errno, file: output.target)
    }
  }

  /// Makes files of one directory appear that are of use together alone, the first one last: without it nobody looks for the others.
  ///
  /// - Throws: ``StorageError``; then none of them is there, unless the first one appeared and only its name couldn't be forced to
  ///   the disk.
  public static func commit(_ files: [AtomicFile]) throws(StorageError) {
    guard let first = files.first else { return }
    for file in files.dropFirst() { try file.output.synchronize() }
    var moved: [AtomicFile] = []
    do {
      for file in files.dropFirst() {
        try file.move()
        moved.append(file)
      }
      if !moved.isEmpty {
        try synchronizeDirectory(parent(of: first.path), for: first.output.target)
      }
      try first.output.synchronize()
      try first.move()
    } catch {
      for file in moved { unsafe unlink(file.path) }
      throw error
    }
    try synchronizeDirectory(parent(of: first.path), for: first.output.target)
  }

  /// Writes a small file atomically, unless it is there with the same bytes.
  public static func update(_ bytes: [UInt8], at path: String) throws(StorageError) {
    let isThere = Directory.hasFile(at: path)
    let present = isThere ? try? InputFile.contents(of: path, atMost: bytes.count) : nil
    if present != bytes { try write(bytes, to: path) }
  }

  /// Writes a small file atomically.
  public static func write(_ bytes: [UInt8], to path: String) throws(StorageError) {
    let file = try AtomicFile(path: path)
    try file.output.write(bytes, at: 0)
    try file.commit()
  }
}

/// Forces a directory's entries to disk; errors name the target that they are about.
///
/// - Parameter replaced: The permissions of a directory whose place it takes, which it gets before.
func synchronizeDirectory(
  _ path: String, for target: String, under replaced: Permissions? = nil
) throws(StorageError) {
  let descriptor = retryingInterrupted {
    unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  }
  guard descriptor >= 0 else { throw StorageError(call: "open", errno: errno, file: target) }
  defer { close(descriptor) }
  if let replaced {
    let permissions = replaced.settleGroup(of: descriptor)
    try Permissions.set(permissions, of: descriptor, for: target)
  }
  guard fsync(descriptor) == 0 else {
    throw StorageError(call: "fsync", errno: errno, file: target)
  }
}

/// Makes a call again as long as a signal interrupts it.
func retryingInterrupted(_ call: () -> Int32) -> Int32 {
  while true {
    let result = call()
    guard result < 0, errno == EINTR else { return result }
  }
}
