import Glibc
import GraftCore

/// A file in memory, as the readers take paths and millions of inputs shouldn't reach a disk.
final class InputInMemory {
  let path = pathInMemory()

  init(_ bytes: [UInt8]) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
    promise(descriptor >= 0, "a file in memory can be made")
    defer { close(descriptor) }
    promise(write(descriptor, bytes, bytes.count) == bytes.count, "and written")
  }

  deinit { unlink(path) }
}

/// A folder in memory, which goes with all it holds.
final class FolderInMemory {
  let path = pathInMemory()

  init() { promise(mkdir(path, 0o700) == 0, "a folder in memory can be made") }

  deinit { Directory.remove(path) }

  /// What stands in it.
  var names: [String] {
    do {
      return try Directory.entries(of: path)
    } catch {
      fatalError("a folder in memory can be listed: \(error)")
    }
  }
}

/// A path in memory where nothing stands.
private func pathInMemory() -> String {
  var random = SystemRandomNumberGenerator()
  return "/dev/shm/graft-\(getpid())-\(String(random.next(), radix: 36))"
}
