import Glibc

/// A file in memory, as the readers take paths and millions of inputs shouldn't reach a disk.
final class InputInMemory {
  let path: String

  init(_ bytes: [UInt8]) {
    var random = SystemRandomNumberGenerator()
    path = "/dev/shm/graft-\(getpid())-\(String(random.next(), radix: 36))"
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
    precondition(descriptor >= 0, "a file in memory can be made")
    defer { close(descriptor) }
    precondition(write(descriptor, bytes, bytes.count) == bytes.count, "and written")
  }

  deinit { unlink(path) }
}
