internal import CSystem
internal import Glibc
internal import Synchronization

/// A directory that appears at its path whole, or not at all.
///
/// Files go into a temporary sibling directory; ``commit()`` forces them to disk and renames it. What stood at
/// the path before is exchanged in one step and removed afterwards; files and directories have the permissions of those that have
/// their names there. A value that is dropped without `commit` removes the sibling; one that a killed process left is removed by the
/// next that writes to the path.
public final class AtomicDirectory: Sendable {
  /// Where the directory will appear.
  public let path: String
  /// The sibling being filled.
  public let temporaryPath: String
  private let files = Mutex<[OutputFile]>([])
  private let hold: DirectoryLock

  /// Makes a temporary sibling of `path`; a symbolic link to a directory is followed.
  public init(path: String) throws(StorageError) {
    let path = try isLink(path) ? resolvedPath(path) ?? path : path
    self.path = path
    try checkLength(of: path, for: path)
    try checkParent(of: path, for: path)
    let sibling = try TemporarySibling.make(beside: path, for: path) {
      sibling throws(StorageError) in
      guard unsafe mkdir(sibling, 0o777) == 0 else {
        throw StorageError(call: "mkdir", errno: errno, file: path)
      }
      UnfinishedOutputs.insert(sibling)
      try keepPermissions(of: path, at: sibling)
      return try DirectoryLock(sibling)
    }
    (temporaryPath, hold) = (sibling.path, sibling.held)
  }

  deinit {
    Directory.remove(temporaryPath)
    UnfinishedOutputs.remove(temporaryPath)
  }

  /// Creates a file in the directory; `name` may have sub-directories, which are made.
  ///
  /// - Throws: ``StorageError`` when the name would leave the directory.
  public func file(named name: String) throws(StorageError) -> OutputFile {
    guard Directory.isSafeRelativePath(name) else {
      throw StorageError(
        .refused(policy: "a file name that leaves its directory", found: name), file: path)
    }
    var (folder, old) = (temporaryPath, path)
    for component in name.split(separator: "/").dropLast() {
      folder += "/" + component
      old += "/" + component
      if unsafe mkdir(folder, 0o777) == 0 {
        try keepPermissions(of: old, at: folder)
      } else if errno != EEXIST {
        throw StorageError(call: "mkdir", errno: errno, file: path + "/" + name)
      }
    }
    let file = try OutputFile(creating: temporaryPath + "/" + name, for: path + "/" + name)
    files.withLock { $0.append(file) }
    return file
  }

  /// Writes a small file into the directory.
  public func write(_ bytes: [UInt8], named name: String) throws(StorageError) {
    try file(named: name).write(bytes, at: 0)
  }

  /// Makes the directory appear at its path.
  ///
  /// - Throws: ``StorageError``; then what stood at the path stands there still.
  public func commit() throws(StorageError) {
    for file in files.withLock({ $0 }) { try file.synchronize() }
    for folder in try Directory.folders(under: temporaryPath, for: path) {
      try synchronizeDirectory(folder, for: path)
    }
    try synchronizeDirectory(temporaryPath, for: path)
    if unsafe rename(temporaryPath, path) == 0 {
      return try synchronizeDirectory(parent(of: path), for: path)
    }
    guard errno == EEXIST || errno == ENOTEMPTY else {
      throw StorageError(call: "rename", errno: errno, file: path)
    }
    guard unsafe graft_exchange_paths(temporaryPath, path) == 0 else {
      throw StorageError(call: "renameat2", errno: errno, file: path)
    }
    do {
      try synchronizeDirectory(parent(of: path), for: path)
    } catch {
      // Whether the exchange lasts is unknown, so what is about to be removed must not be what was there.
      unsafe graft_exchange_paths(temporaryPath, path)
      throw error
    }
    // Not before the exchange lasts: else a loss of power could bring the old name back with some of its files.
    Directory.remove(temporaryPath)
  }
}

/// Gives a new directory the permissions of the one whose place it takes; its owner can write to it in any case.
private func keepPermissions(of old: String, at new: String) throws(StorageError) {
  var status = stat()
  guard unsafe stat(old, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return }
  let permissions = status.st_mode & 0o7777 | 0o700
  guard unsafe stat(new, &status) == 0, status.st_mode & 0o7777 != permissions else { return }
  guard unsafe chmod(new, permissions) == 0 else {
    throw StorageError(call: "chmod", errno: errno, file: old)
  }
}
