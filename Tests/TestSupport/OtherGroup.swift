import Foundation

/// A group that this process may give its files to, and that they haven't by themselves.
public enum OtherGroup {
  /// Its number; nil where the process is of one group alone.
  public static let number: gid_t? = {
    let path = FileManager.default.temporaryDirectory.appending(path: "graft-\(UUID())").path
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    defer {
      close(descriptor)
      unlink(path)
    }
    var groups = [gid_t](repeating: 0, count: 64)
    let count = max(0, Int(getgroups(64, &groups)))
    // Whoever may give files to any group may give them to the one with the number 1.
    let possible = groups.prefix(count) + [1]
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    return possible.first { $0 != status.st_gid && fchown(descriptor, uid_t.max, $0) == 0 }
  }()
}
