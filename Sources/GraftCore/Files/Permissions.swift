internal import Glibc

/// What a file or directory lets its owner, its group and others do, for what takes its place.
struct Permissions: Sendable {
  private let bits: mode_t
  private let group: gid_t

  /// Those of a file at a path, or behind links there; nil where there is none.
  init?(ofFile path: String) { self.init(of: path, kind: S_IFREG, 0o777) }

  /// Those of a directory at a path; nil where there is none.
  init?(ofDirectory path: String) { self.init(of: path, kind: S_IFDIR, 0o7777) }

  private init?(of path: String, kind: mode_t, _ mask: mode_t) {
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == kind else { return nil }
    bits = status.st_mode & mask
    group = status.st_gid
  }

  /// Gives a new file or directory the group, and tells the bits that it may have then.
  ///
  /// Where the group can't be had, the one that it has gets no more than all others.
  func settleGroup(of descriptor: Int32) -> mode_t {
    var status = stat()
    let hasGroup = unsafe fstat(descriptor, &status) == 0 && status.st_gid == group
    if hasGroup || fchown(descriptor, uid_t.max, group) == 0 { return bits }
    let shared = (bits & 0o007) << 3
    return bits & ~0o070 | bits & shared
  }

  /// Sets the bits of a file or directory, unless it has them; errors name the target.
  static func set(
    _ bits: mode_t, of descriptor: Int32, for target: String
  ) throws(StorageError) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw StorageError(call: "fstat", errno: errno, file: target)
    }
    guard status.st_mode & 0o7777 != bits else { return }
    guard fchmod(descriptor, bits) == 0 else {
      throw StorageError(call: "fchmod", errno: errno, file: target)
    }
  }
}
