internal import Glibc

/// What can be asked of paths and directories.
public enum Directory {
  /// Whether a directory stands at the path.
  public static func exists(at path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether a regular file stands at the path.
  public static func hasFile(at path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// Whether a symbolic link stands at the path.
  public static func hasLink(at path: String) -> Bool { isLink(path) }

  /// What stands where a directory is to appear and isn't one, in words; nil where nothing or a directory does.
  public static func obstacle(at path: String) -> String? {
    var trimmed = path
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
    var status = stat()
    guard unsafe stat(trimmed, &status) == 0 else {
      return isLink(trimmed) ? "a symbolic link that leads nowhere" : nil
    }
    return status.st_mode & S_IFMT == S_IFDIR ? nil : fileKind(status.st_mode)
  }

  /// The names in a directory, sorted by their bytes, without `.` and `..`.
  public static func entries(of path: String) throws(StorageError) -> [String] {
    guard let stream = unsafe opendir(path) else {
      throw StorageError(call: "opendir", errno: errno, file: path)
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      if name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw StorageError(call: "readdir", errno: errno, file: path) }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Makes the directories of a relative path that aren't there, below one that is; they last.
  public static func create(_ name: String, below path: String) throws(StorageError) {
    var folder = path
    for component in name.split(separator: "/") {
      folder += "/" + component
      try create(folder)
    }
  }

  /// Makes a directory that lasts, unless it exists.
  public static func create(_ path: String) throws(StorageError) {
    guard unsafe mkdir(path, 0o777) != 0 else {
      do {
        return try synchronizeDirectory(GraftCore.parent(of: path), for: path)
      } catch {
        unsafe rmdir(path)
        throw error
      }
    }
    let code = errno
    guard code != EEXIST else { return }
    try checkParent(of: path, for: path)
    throw StorageError(call: "mkdir", errno: code, file: path)
  }

  /// Whether two paths lead to one place, where something may stand or not.
  public static func isSame(_ first: String, _ second: String) -> Bool {
    func place(_ path: String) -> String {
      if let place = try? resolvedPath(path) { return place }
      let target = (try? followed(path)) ?? path
      let folder = parent(of: target)
      let name = target.split(separator: "/").last ?? ""
      return ((try? resolvedPath(folder)) ?? folder) + "/" + name
    }
    return place(first) == place(second)
  }

  /// The directory that holds the last component of a path.
  public static func parent(of path: String) -> String { GraftCore.parent(of: path) }

  /// Checks that a file can be made, or replaced, at a path: that its directory is there and may be written to.
  ///
  /// - Throws: ``StorageError`` otherwise.
  public static func checkWritable(_ path: String) throws(StorageError) {
    try checkWritable(replaceableTarget(path), for: path)
  }

  /// Checks that a directory can be made, or replaced, at a path: that the directory which holds it is there and may be written to.
  ///
  /// - Throws: ``StorageError`` otherwise.
  package static func checkMakeable(_ path: String) throws(StorageError) {
    try checkWritable(isLink(path) ? resolvedPath(path) ?? path : path, for: path)
  }

  private static func checkWritable(
    _ place: String, for target: String
  ) throws(StorageError) {
    try checkLength(of: place, for: target)
    try checkParent(of: place, for: target)
    guard unsafe access(parent(of: place), W_OK) == 0 else {
      throw StorageError(call: "access", errno: errno, file: target)
    }
  }

  /// Removes a file, or a directory with all it holds; what can't be removed is left.
  public static func remove(_ path: String) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
      // A read-only one loses its place like any other; what it holds would stay, under a hidden name.
      if status.st_mode & 0o700 != 0o700 { unsafe chmod(path, status.st_mode & 0o7777 | 0o700) }
      for name in (try? entries(of: path)) ?? [] { remove(path + "/" + name) }
      unsafe rmdir(path)
    } else {
      unsafe unlink(path)
    }
  }

  /// Removes a directory with all it holds, which is never seen in part: it loses its name first, for good.
  ///
  /// One that can't lose its name keeps it, and all it holds.
  public static func discard(_ path: String) {
    let hidden = TemporarySibling.name(for: path)
    guard unsafe rename(path, hidden) == 0 else { return }
    do {
      // Without this, a loss of power could bring the name back, with what is left of the directory.
      try synchronizeDirectory(parent(of: path), for: path)
      remove(hidden)
    } catch {
      unsafe rename(hidden, path)
    }
  }

  /// All directories below a path; errors name the target that they are about.
  static func folders(under path: String, for target: String) throws(StorageError) -> [String] {
    var names: [String] = []
    do {
      names = try entries(of: path)
    } catch {
      throw StorageError(error.reason, file: target)
    }
    var result: [String] = []
    for name in names where exists(at: path + "/" + name) {
      result.append(path + "/" + name)
      result += try folders(under: path + "/" + name, for: target)
    }
    return result
  }

  /// Whether a relative path from a file stays below the directory it is meant for.
  public static func isSafeRelativePath(_ path: String) -> Bool {
    guard !path.isEmpty, !path.hasPrefix("/"), !path.contains("\\"), !path.contains(":") else {
      return false
    }
    guard path.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
      return false
    }
    return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255
    }
  }

  /// The error of a name that isn't a safe relative path.
  ///
  /// - Parameter rule: that of a format, in brackets, with a space before it.
  package static func refusal(
    of name: String, in file: String, rule: String = ""
  ) -> StorageError {
    let isStrange = name.unicodeScalars.contains {
      $0 == "\\" || $0 == ":" || $0.value < 0x20 || $0.value == 0x7F
    }
    guard isStrange else {
      return StorageError(
        .refused(policy: "a file name that leaves its directory" + rule, found: name), file: file)
    }
    return StorageError(
      .refused(
        policy: "a file name with a backslash, a colon or a control character" + rule, found: name),
      file: file,
      remedy: "rename the file: such names mean other places elsewhere, or break lines")
  }

  /// The bytes free for this user on the file system of a path (or of its nearest existing parent).
  public static func availableBytes(at path: String) -> Int? {
    var status = statvfs()
    var candidate = path
    while unsafe statvfs(candidate, &status) != 0 {
      let up = parent(of: candidate)
      guard up != candidate else { return nil }
      candidate = up
    }
    return Int(status.f_bavail) * Int(status.f_frsize)
  }
}
