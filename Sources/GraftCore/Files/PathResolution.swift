internal import Glibc

// Where a path leads, and whether something may appear there.

/// The path that a file may be renamed to: links followed, also to where nothing stands yet; devices, FIFOs and sockets refused, behind
/// links too.
func replaceableTarget(_ path: String) throws(StorageError) -> String {
  var status = stat()
  guard unsafe stat(path, &status) == 0 else {
    let place = path.hasSuffix("/") ? path : try followed(path)
    guard !place.hasSuffix("/") else {
      throw StorageError(
        .notRegular(found: "the name of a directory"), file: path,
        remedy: place == path
          ? "leave out the slash at its end" : "it is a symbolic link to \(place.escapedWhole)")
    }
    return place
  }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw StorageError(.notRegular(found: fileKind(status.st_mode)), file: path)
  }
  return try isLink(path) ? resolvedPath(path) ?? path : path
}

/// The path behind all symbolic links; nil when they lead nowhere.
///
/// - Throws: ``StorageError`` when that path isn't UTF-8.
func resolvedPath(_ path: String) throws(StorageError) -> String? {
  guard let resolved = unsafe realpath(path, nil) else { return nil }
  defer { unsafe free(resolved) }
  guard let text = unsafe String(validatingCString: resolved) else {
    throw linkNotUTF8("realpath", path)
  }
  return text
}

/// The path behind the symbolic links at a path, where something may stand or not.
///
/// - Throws: ``StorageError`` for links that lead to each other, can't be read or aren't UTF-8.
func followed(_ path: String) throws(StorageError) -> String {
  var place = path
  // As many as Linux follows.
  for _ in 0..<40 where isLink(place) {
    let target = try linkTarget(of: place, for: path)
    place = target.hasPrefix("/") ? target : parent(of: place) + "/" + target
  }
  guard !isLink(place) else { throw StorageError(call: "readlink", errno: ELOOP, file: path) }
  return place
}

private func linkTarget(of link: String, for path: String) throws(StorageError) -> String {
  let capacity = 4096
  var buffer = [CChar](repeating: 0, count: capacity)
  let count = unsafe readlink(link, &buffer, capacity)
  guard count >= 0 else { throw StorageError(call: "readlink", errno: errno, file: path) }
  let bytes = buffer.prefix(count).map(UInt8.init(bitPattern:))
  // Mended bytes would be the name of another file.
  guard let target = String(validating: bytes, as: UTF8.self) else {
    throw linkNotUTF8("readlink", path)
  }
  return target
}

private func linkNotUTF8(_ call: String, _ path: String) -> StorageError {
  StorageError(
    .system(call: call, errno: EILSEQ), file: path,
    remedy: "it is a symbolic link to a name that isn't UTF-8; name another target")
}

/// Whether a symbolic link stands at the path.
func isLink(_ path: String) -> Bool {
  var trimmed = path
  while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
  var status = stat()
  return unsafe lstat(trimmed, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
}

/// Checks that the name of what is to appear isn't too long, which its sibling's doesn't show; errors name the target given for it.
func checkLength(of path: String, for target: String) throws(StorageError) {
  var status = stat()
  guard unsafe lstat(path, &status) != 0, errno == ENAMETOOLONG else { return }
  throw StorageError(call: "lstat", errno: ENAMETOOLONG, file: target)
}

/// Checks that the directory is there in which something is to appear; errors name the target given for it.
func checkParent(of path: String, for target: String) throws(StorageError) {
  let folder = parent(of: path)
  guard !Directory.exists(at: folder) else { return }
  throw StorageError(
    .notFound, file: target, remedy: "there is no directory \(folder.escapedWhole)")
}

/// The directory that holds the last component of `path`.
func parent(of path: String) -> String {
  var trimmed = path
  while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
  guard let slash = trimmed.lastIndex(of: "/") else { return "." }
  return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
}
