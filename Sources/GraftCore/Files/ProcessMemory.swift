internal import CSystem
internal import Glibc

/// What the system says of this process's memory.
public enum ProcessMemory {
  /// The largest resident size so far in bytes (`VmHWM`), or 0 where the system doesn't tell.
  public static var peakResidentBytes: Int { statusField("VmHWM:") }

  /// The resident bytes that belong to no file (`RssAnon`), or 0 where the system doesn't tell.
  public static var anonymousResidentBytes: Int { statusField("RssAnon:") }

  /// Gives what the allocator holds free back to the system, so that it doesn't count as resident.
  package static func releaseFreeMemory() { graft_release_free_memory() }

  /// From now on the allocator keeps little of what is freed, and as much in every run: what is resident can be foretold.
  ///
  /// For a process that does nothing else, before it reads anything: large arrays cost more to make then.
  public static func returnFreedMemory() { graft_return_freed_memory() }

  /// A field of `/proc/self/status`, which gives kibibytes.
  private static func statusField(_ name: String) -> Int {
    guard let text = SystemText.contents(of: "/proc/self/status") else { return 0 }
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      return fields.count > 1 ? (Int(fields[1]) ?? 0) * 1024 : 0
    }
    return 0
  }
}

/// Small text files that the kernel makes up as they are read.
enum SystemText {
  static func contents(of path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 16384)
    let count = unsafe read(descriptor, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}
