import Foundation
import GraftCore
import Testing

/// What a process changed on a disk, in order, as `FaultInjection` noted it down.
struct DiskTrace {
  /// A file or directory, whatever names it has; 0 is the root.
  typealias Node = Int

  /// A name in a directory.
  struct Place: Hashable {
    let folder: Node
    let name: String
  }

  enum Change {
    /// A name comes to mean a node: a file or directory is made.
    case enter(Place, Node, isFolder: Bool)
    /// A name means nothing any more.
    case leave(Place)
    /// A name is given up for another.
    case move(Place, to: Place, Node)
    /// Two names exchange what they mean: the nodes are those that they mean afterwards.
    case exchange(Place, Node, Place, Node)
    case write(Node, at: Int, [UInt8])
    case resize(Node, to: Int)
    /// All changes to a node's bytes, or to the names in it, so far are to last.
    case synchronize(Node)
  }

  /// Names and bytes.
  struct Disk {
    var folders: [Node: [String: Node]] = [:]
    var files: [Node: [UInt8]] = [:]
  }

  /// The disk before.
  private(set) var initial = Disk()
  private(set) var changes: [Change] = []
  /// Where each change was made, for messages.
  private(set) var descriptions: [String] = []

  private var nodes: [UInt: Node] = [:]
  private var nodeCount = 0
  private var names: [Node: String] = [:]
  /// The names as they are in the midst of reading, without bytes.
  private var live = Disk()
  private let root: String

  /// Takes in what stands below a directory, before the process runs.
  init(of root: String) throws {
    self.root = root
    try add(root)
    live.folders = initial.folders
  }

  private mutating func makeNode(inode: UInt, _ path: String) -> Node {
    let node = nodeCount
    nodeCount += 1
    nodes[inode] = node
    names[node] = path
    return node
  }

  private mutating func add(_ path: String) throws {
    var status = stat()
    try #require(lstat(path, &status) == 0)
    let node = makeNode(inode: UInt(status.st_ino), path)
    guard status.st_mode & S_IFMT == S_IFDIR else {
      initial.files[node] = try InputFile.contents(of: path, atMost: 1 << 26)
      return
    }
    initial.folders[node] = [:]
    for name in try Directory.entries(of: path) {
      initial.folders[node]?[name] = nodeCount
      try add(path + "/" + name)
    }
  }

  /// Reads what the process noted.
  mutating func read(_ file: String) throws {
    let bytes = try InputFile.contents(of: file, atMost: 1 << 28)
    var next = 0
    while next < bytes.count {
      let end = try #require(bytes[next...].firstIndex(of: 0x0A))
      let line = String(decoding: bytes[next..<end], as: UTF8.self)
      next = end + 1
      let words = line.split(separator: " ", maxSplits: 1).map(String.init)
      let numbers = words[1].split(separator: " ")
      switch words[0] {
      case "write":
        let (node, count) = (try node(numbers[0]), try #require(Int(numbers[2])))
        let part = Array(bytes[next..<next + count])
        add(.write(node, at: try #require(Int(numbers[1])), part), describe("write", node))
        next += count
      case "resize":
        let node = try node(numbers[0])
        add(.resize(node, to: try #require(Int(numbers[1]))), describe("resize", node))
      case "sync":
        let node = try node(numbers[0])
        add(.synchronize(node), describe("sync", node))
      case "create", "mkdir":
        let parts = words[1].split(separator: " ", maxSplits: 1)
        let node = makeNode(inode: try #require(UInt(parts[0])), String(parts[1]))
        if words[0] == "mkdir" { live.folders[node] = [:] }
        add(.enter(try place(String(parts[1])), node, isFolder: words[0] == "mkdir"), line)
      case "remove": add(.leave(try place(words[1])), line)
      case "rename", "exchange":
        let paths = words[1].split(separator: "\t").map(String.init)
        let (from, to) = (try place(paths[0]), try place(paths[1]))
        let node = try #require(live.folders[from.folder]?[from.name])
        names[node] = paths[1]
        if words[0] == "rename" {
          add(.move(from, to: to, node), line)
        } else {
          let other = try #require(live.folders[to.folder]?[to.name])
          names[other] = paths[0]
          add(.exchange(from, other, to, node), line)
        }
      default: Issue.record("an unknown note: \(line)")
      }
    }
  }

  private mutating func add(_ change: Change, _ line: String) {
    changes.append(change)
    descriptions.append(line.replacing(root, with: ""))
    switch change {
    case .write, .resize, .synchronize: break
    default: live.apply(change)
    }
  }

  private func describe(_ call: String, _ node: Node) -> String {
    call + " " + (names[node] ?? "")
  }

  private func node(_ inode: Substring) throws -> Node {
    let number = try #require(UInt(inode))
    return try #require(nodes[number], "\(inode)")
  }

  /// The place that a path leads to now.
  private func place(_ path: String) throws -> Place {
    try #require(path.hasPrefix(root + "/"))
    let names = path.dropFirst(root.count).split(separator: "/").map(String.init)
    var folder = 0
    for name in names.dropLast() {
      folder = try #require(
        name == "." ? folder : live.folders[folder]?[name], "\(path)")
    }
    return Place(folder: folder, name: try #require(names.last))
  }
}

extension DiskTrace.Disk {
  /// Makes a change, whole.
  mutating func apply(_ change: DiskTrace.Change) {
    switch change {
    case .enter(let place, let node, let isFolder):
      folders[place.folder, default: [:]][place.name] = node
      if isFolder, folders[node] == nil { folders[node] = [:] }
    case .leave(let place): folders[place.folder]?[place.name] = nil
    case .move(let from, let to, let node):
      if folders[from.folder]?[from.name] == node { folders[from.folder]?[from.name] = nil }
      folders[to.folder, default: [:]][to.name] = node
    case .exchange(let first, let node, let second, let other):
      folders[first.folder, default: [:]][first.name] = node
      folders[second.folder, default: [:]][second.name] = other
    case .write(let node, let offset, let bytes):
      let missing = offset + bytes.count - files[node, default: []].count
      if missing > 0 { files[node, default: []] += [UInt8](repeating: 0, count: missing) }
      files[node, default: []].replaceSubrange(offset..<offset + bytes.count, with: bytes)
    case .resize(let node, let count):
      let surplus = files[node, default: []].count - count
      if surplus > 0 { files[node, default: []].removeLast(surplus) }
      if surplus < 0 { files[node, default: []] += [UInt8](repeating: 0, count: -surplus) }
    case .synchronize: break
    }
  }

  /// What a name means, with all below it.
  func tree(at node: DiskTrace.Node?) -> FileTree {
    guard let node else { return .nothing }
    if let entries = folders[node] { return .folder(entries.mapValues { tree(at: $0) }) }
    return .file(files[node] ?? [])
  }

  /// What a place means; nothing where its directory isn't reached from the root any more.
  func node(at path: [String]) -> DiskTrace.Node? {
    var node = 0
    for name in path {
      guard let next = folders[node]?[name] else { return nil }
      node = next
    }
    return node
  }
}
