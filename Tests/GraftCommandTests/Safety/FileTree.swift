import Foundation
import GraftCore
import TestSupport

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

  /// Whether a file is another's first half.
  func isFirstHalf(of other: FileTree) -> Bool {
    guard case .file(let bytes) = self, case .file(let whole) = other, whole.count > 1 else {
      return false
    }
    return bytes.count == whole.count / 2 && whole.starts(with: bytes)
  }

  /// The text of a file.
  var text: String? {
    guard case .file(let bytes) = self else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension TemporaryFolder {
  /// Another directory with the same files, each of which is one and the same: for verbs, none of which writes to a file in its place.
  func linked() throws -> TemporaryFolder {
    let copy = TemporaryFolder()
    try Self.link(folder.path, to: copy.folder.path)
    return copy
  }

  private static func link(_ folder: String, to other: String) throws {
    for name in try Directory.entries(of: folder) {
      let (source, target) = (folder + "/" + name, other + "/" + name)
      if Directory.exists(at: source) {
        try Directory.create(target)
        try link(source, to: target)
      } else {
        try FileManager.default.linkItem(atPath: source, toPath: target)
      }
    }
  }

  /// Another directory with the same content.
  func copied() throws -> TemporaryFolder {
    let copy = TemporaryFolder()
    try FileManager.default.removeItem(at: copy.folder)
    try FileManager.default.copyItem(at: folder, to: copy.folder)
    return copy
  }
}
