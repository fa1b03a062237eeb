internal import Glibc

/// The hidden names, beside a path, under which what is to appear there is written: `.name.process-number.partial`.
///
/// Of a name that leaves no room for the rest there is the beginning, and a hash of the whole that tells it from others.
///
/// Who writes to one holds a lock on it, which the kernel gives up when the process ends, however it ends. So one whose lock is free was
/// left by a process that was killed.
enum TemporarySibling {
  private static let suffix = ".partial"

  /// Makes and holds a sibling that no one else uses, after removing those that nobody holds.
  ///
  /// - Parameters:
  ///   - target: what errors name: the path, or the link that leads to it.
  ///   - make: makes something at the path that it is given and takes hold of it; nil when someone else was quicker.
  static func make<Held>(
    beside path: String, for target: String, _ make: (String) throws(StorageError) -> Held?
  ) throws(StorageError) -> (path: String, held: Held) {
    removeAbandoned(beside: path)
    // Another process may take a sibling for abandoned in the moment before it is held.
    for _ in 0..<16 {
      let sibling = name(for: path)
      do throws(StorageError) {
        if let held = try make(sibling), exists(sibling) { return (sibling, held) }
        discard(sibling)
      } catch {
        discard(sibling)
        throw StorageError(error.reason, file: target, remedy: error.remedy)
      }
    }
    throw StorageError(call: "flock", errno: EWOULDBLOCK, file: target)
  }

  /// A path beside `path` that no one else uses.
  static func name(for path: String) -> String {
    var random = SystemRandomNumberGenerator()
    let tag = String(random.next() & 0xFFFF_FFFF, radix: 36)
    return "\(folder(of: path))/\(prefix(of: path))\(getpid())-\(tag)\(suffix)"
  }

  /// Removes the siblings that nobody holds; what can't be told or removed is left.
  private static func removeAbandoned(beside path: String) {
    let (folder, prefix) = (folder(of: path), prefix(of: path))
    for name in (try? Directory.entries(of: folder)) ?? []
    where name.hasPrefix(prefix) && name.hasSuffix(suffix)
      && isTag(name.dropFirst(prefix.count).dropLast(suffix.count))
    {
      let sibling = folder + "/" + name
      let descriptor = retryingInterrupted {
        unsafe open(sibling, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      }
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { Directory.remove(sibling) }
      close(descriptor)
    }
  }

  /// Whether a part of a name is a process and a number, as ``name(for:)`` makes it.
  private static func isTag(_ text: Substring) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    return parts.count == 2 && Int(parts[0]) != nil && Int(parts[1], radix: 36) != nil
  }

  private static func discard(_ sibling: String) {
    Directory.remove(sibling)
    UnfinishedOutputs.remove(sibling)
  }

  private static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe lstat(path, &status) == 0
  }

  private static func folder(of path: String) -> String { parent(of: path) }

  private static func prefix(of path: String) -> String {
    let name = String(path.split(separator: "/").last ?? "output")
    guard name.utf8.count > longestName else { return ".\(name)." }
    let hash = String(FNV1a(name.utf8).value, radix: 36)
    var start = ""
    for scalar in name.unicodeScalars {
      guard start.utf8.count + UTF8.width(scalar) + 1 + hash.utf8.count <= longestName else {
        break
      }
      start.unicodeScalars.append(scalar)
    }
    return ".\(start)~\(hash)."
  }

  /// The most bytes of a name beside which the rest has room in the 255 of a file system: two dots, a process of ten digits, a sign, seven
  /// digits of a number, and the suffix.
  private static let longestName = 255 - 2 - 10 - 1 - 7 - suffix.utf8.count
}
