import Foundation

/// What stands at a path, with all bytes.
indirect enum FileTree: Hashable, Sendable {
  case nothing
  case file([UInt8])
  case folder([String: FileTree])

  /// Takes in what stands at a path.
  init(at path: String) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      self = .nothing
      return
    }
    guard isFolder.boolValue else {
      self = .file(FileManager.default.contents(atPath: path).map(Array.init) ?? [])
      return
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    self = .folder(
      Dictionary(uniqueKeysWithValues: names.map { ($0, FileTree(at: path + "/" + $0)) }))
  }

  /// What stands below, at a path of names.
  subscript(path: String) -> FileTree {
    path.split(separator: "/").reduce(self) { tree, name in
      guard case .folder(let entries) = tree else { return .nothing }
      return entries[String(name)] ?? .nothing
    }
  }

  /// The paths of all files and folders below.
  var paths: [String] {
    guard case .folder(let entries) = self else { return [] }
    return entries.flatMap { name, tree in [name] + tree.paths.map { name + "/" + $0 } }.sorted()
  }

  /// The temporary siblings below.
  var unfinished: [String] { paths.filter { $0.hasSuffix(".partial") } }

  /// The text of a file.
  var text: String? {
    guard case .file(let bytes) = self else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
