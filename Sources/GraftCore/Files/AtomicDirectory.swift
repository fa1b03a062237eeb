internal import CSystem
internal import Glibc
internal import Synchronization

/// A directory that appears at its path whole, or not at all.
///
/// Files go into a temporary sibling directory; ``commit()`` forces them to disk and renames it. What stood at
/// the path before is exchanged in one step and removed afterwards; files and directories have the permissions and the groups of those
/// that have their names there, directories when they are complete: before, such a one is for its owner alone. A value that is dropped
/// without `commit` removes the sibling; one that a killed process left is removed by the next that writes to the path.
public final class AtomicDirectory: Sendable {
  /// Where the directory will appear.
  public let path: String
  /// The sibling being filled.
  public let temporaryPath: String
  private let files = Mutex<[OutputFile]>([])
  /// The permissions of the directories whose places directories of the sibling take, by the paths of those.
  private let replaced: Mutex<[String: Permissions]>
  private let hold: DirectoryLock

  /// Makes a temporary sibling of `path`; a symbolic link to a directory is followed.
  public init(path: String) throws(StorageError) {
    let path = try isLink(path) ? resolvedPath(path) ?? path : path
    self.path = path
    try checkLength(of: path, for: path)
    try checkParent(of: path, for: path)
    let permissions = Permissions(ofDirectory: path)
    let sibling = try TemporarySibling.make(beside: path, for: path) {
      sibling throws(StorageError) in
      guard unsafe mkdir(sibling, permissions == nil ? 0o777 : 0o700) == 0 else {
        throw StorageError(call: "mkdir", errno: errno, file: path)
      }
      UnfinishedOutputs.insert(sibling)
      return try DirectoryLock(sibling)
    }
    (temporaryPath, hold) = (sibling.path, sibling.held)
    replaced = Mutex(permissions.map { [sibling.path: $0] } ?? [:])
  }

  deinit {
    Directory.remove(temporaryPath)
    UnfinishedOutputs.remove(temporaryPath)
  }

  /// Creates a file in the directory; `name` may have sub-directories, which are made.
  ///
  /// - Parameter isExecutable: Whether it may be run, where it takes nothing's place.
  /// - Throws: ``StorageError`` when the name would leave the directory.
  public func file(
    named name: String, isExecutable: Bool = false
  ) throws(StorageError) -> OutputFile {
    guard Directory.isSafeRelativePath(name) else {
      throw Directory.refusal(of: name, in: path)
    }
    var (folder, old) = (temporaryPath, path)
    for component in name.split(separator: "/").dropLast() {
      folder += "/" + component
      old += "/" + component
      let permissions = Permissions(ofDirectory: old)
      if unsafe mkdir(folder, permissions == nil ? 0o777 : 0o700) == 0 {
        if let permissions { replaced.withLock { $0[folder] = permissions } }
      } else if errno != EEXIST {
        throw StorageError(call: "mkdir", errno: errno, file: path + "/" + name)
      }
    }
    let file = try OutputFile(
      creating: temporaryPath + "/" + name, for: path + "/" + name, isExecutable: isExecutable)
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
    let folders = try [temporaryPath] + Directory.folders(under: temporaryPath, for: path)
    let permissions = replaced.withLock { $0 }
    // From below, as one may end without the permission to look into it.
    for folder in folders.reversed() {
      try synchronizeDirectory(folder, for: path, under: permissions[folder])
    }
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
