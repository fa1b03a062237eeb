internal import GraftCore

/// The names of a checkpoint's files: relative to the directory that was opened, or that holds the file that was.
struct RelativeNames {
  private let opened: String
  private let folder: String

  /// Names files of what was opened at a path.
  init(openedAt path: String) {
    opened = path
    folder = Directory.exists(at: path) ? path : Directory.parent(of: path)
  }

  /// The name of a file; of what was unpacked out of the opened one, the name that it has inside.
  func name(of path: String) -> String {
    let last = path.split(separator: "/").last.map(String.init) ?? path
    if folder != opened, Self.part(of: path, below: opened) != nil { return last }
    if let part = Self.part(of: path, below: folder) { return part }
    return folder == "." && !path.hasPrefix("/") ? path : last
  }

  /// What follows a directory in a path; nil where the path isn't below it.
  private static func part(of path: String, below folder: String) -> String? {
    guard path.hasPrefix(folder) else { return nil }
    let rest = path.dropFirst(folder.count)
    guard folder.hasSuffix("/") || rest.hasPrefix("/") else { return nil }
    let part = rest.drop { $0 == "/" }
    return part.isEmpty ? nil : String(part)
  }
}
