/// What may be on a disk after power is lost in the midst of a trace.
///
/// The model is stricter than any file system: what isn't forced to the disk is there or not, whatever came before or after it: each write to a
/// file whole, half, not at all, or as zeros of its length; each change of names whole or not. What is forced was: bytes by a call on
/// the file, names by one on their directory.
struct PowerLoss {
  /// A state of a target.
  private struct Version {
    /// The change that made it; -1 for what was there before.
    let change: Int
    /// Its bytes and names.
    let digest: Int
    /// Whether it is to last once the process goes on: what is removed needn't stay away.
    let isPromised: Bool
  }

  private let trace: DiskTrace
  /// The calls that make each change last.
  private let forcing: [[Int]]
  /// The names that something whole was moved to: what the process makes.
  let targets: [[String]]
  private let versions: [[Version]]
  /// Files that grow in place, which a rule of their own is for.
  private let growing: [[String]]
  /// Where the process makes something new, or ends: what it finished before is to last.
  private let beginnings: [Int]
  private let contents: FileContents

  /// How much of an unforced change is on the disk.
  fileprivate enum Share: Int, CaseIterable { case none, half, zeros, whole }

  init(_ trace: DiskTrace, growing: [String] = []) {
    self.trace = trace
    let growing = growing.map { $0.split(separator: "/").map(String.init) }
    self.growing = growing
    contents = FileContents(trace)
    var disk = trace.initial
    var paths: [DiskTrace.Node: [String]] = [:]
    func name(_ node: DiskTrace.Node, _ path: [String]) {
      paths[node] = path
      for (entry, child) in disk.folders[node] ?? [:] { name(child, path + [entry]) }
    }
    name(0, [])
    var targets: [[String]] = []
    var versions: [[Version]] = []
    func add(_ path: [String], _ change: Int, _ node: DiskTrace.Node?) {
      // What is made inside a sibling that isn't whole itself is no target.
      guard !path.contains(where: { $0.hasSuffix(".partial") }), !growing.contains(path) else {
        return
      }
      let position = targets.firstIndex(of: path) ?? targets.count
      if position == targets.count {
        let before = trace.initial.tree(at: trace.initial.node(at: path))
        targets.append(path)
        versions.append([Version(change: -1, digest: before.digest, isPromised: true)])
      }
      versions[position].append(
        Version(change: change, digest: disk.tree(at: node).digest, isPromised: node != nil))
    }
    for (index, change) in trace.changes.enumerated() {
      disk.apply(change)
      switch change {
      case .enter(let place, let node, _):
        name(node, (paths[place.folder] ?? []) + [place.name])
      case .move(let from, let to, let node):
        name(node, (paths[to.folder] ?? []) + [to.name])
        add(paths[node] ?? [], index, node)
        add((paths[from.folder] ?? []) + [from.name], index, nil)
      case .exchange(_, _, let to, let node):
        name(node, (paths[to.folder] ?? []) + [to.name])
        add(paths[node] ?? [], index, node)
      default: break
      }
    }
    self.targets = targets
    self.versions = versions
    forcing = trace.changes.indices.map { index in
      guard let node = trace.changes[index].changedNode else { return [] }
      return trace.changes.indices.filter {
        $0 > index && trace.changes[$0].forcedNode == node
      }
    }
    beginnings =
      trace.changes.indices.filter {
        if case .enter = trace.changes[$0] { true } else { false }
      } + [trace.changes.count]
  }

  /// The calls that force something which no other has forced before.
  var synchronizations: [Int] {
    trace.changes.indices.filter { call in forcing.contains { $0.first == call } }
  }

  /// What a call forced, in words.
  func description(of call: Int) -> String { trace.descriptions[call] }

  /// The changes of bytes or names that are neither of a sibling on its way nor its move to a target.
  func changesInPlace(except isAllowed: (String) -> Bool) -> [String] {
    trace.changes.indices.filter { index in
      switch trace.changes[index] {
      case .synchronize, .move, .exchange: return false
      case .enter, .leave, .write, .resize: return true
      }
    }.map { trace.descriptions[$0] }.filter { !$0.contains(".partial") && !isAllowed($0) }
  }

  /// The disk at the end, if power lasts.
  var end: FileTree {
    var disk = trace.initial
    for change in trace.changes { disk.apply(change) }
    return disk.tree(at: 0)
  }

  // MARK: - Looking for a loss

  /// What a search found.
  struct Search {
    /// The states that were looked at and differ in a target.
    var stateCount = 0
    /// The first that is neither the old nor the new.
    var loss: String?
  }

  /// The moments at which the most may be missing: between two forcing calls the states only become more, so that it's enough to look
  /// before each and at the end.
  private func moments(dropping dropped: Int? = nil) -> [Int] {
    let calls = trace.changes.indices.filter {
      trace.changes[$0].forcedNode != nil && $0 != dropped
    }
    return [trace.changes.count] + calls.reversed()
  }

  /// The states that a search looks at, at least: one at each moment, and one more for each change of a target, which may be there or not
  /// before it is forced.
  var leastStateCount: Int {
    moments().count + versions.reduce(0) { $0 + $1.count - 1 }
  }

  /// Looks at what may be on the disk at every moment.
  ///
  /// - Parameters:
  ///   - dropped: a call that is left out of the trace.
  ///   - rule: what else must hold of the text of files, in words where it doesn't.
  func search(
    dropping dropped: Int? = nil, _ rule: ((String) -> String?) -> String? = { _ in nil }
  ) -> Search {
    var search = Search()
    var seen: Set<Int> = []
    for moment in moments(dropping: dropped) {
      let pending = (0..<moment).filter { index in
        guard trace.changes[index].changedNode != nil else { return false }
        return !forcing[index].contains { $0 < moment && $0 != dropped }
      }
      for shares in Self.choices(pending.count, seed: UInt64(moment)) {
        let choice = Dictionary(uniqueKeysWithValues: zip(pending, shares))
        let disk = disk(at: moment, choice)
        guard seen.insert(disk.signature(of: targets + growing, moment)).inserted else { continue }
        search.stateCount += 1
        let text = { (path: String) -> String? in
          disk.node(at: path.split(separator: "/").map(String.init)).flatMap {
            disk.folders[$0] == nil ? contents.text(of: $0, disk.applied[$0] ?? []) : nil
          }
        }
        if let loss = loss(in: disk, at: moment) ?? rule(text) {
          let lost = pending.filter { choice[$0] != .whole }.map { trace.descriptions[$0] }
          search.loss =
            "\(loss) when power is lost before change \(moment) and of \(lost.prefix(4))"
          return search
        }
      }
    }
    return search
  }

  /// What a target may not be.
  private func loss(in disk: SketchedDisk, at moment: Int) -> String? {
    for (target, versions) in zip(targets, versions) {
      // A version is to last when the process has gone on to make something else.
      let finished = versions.lastIndex { version in
        version.isPromised
          && (version.change < 0
            || beginnings.contains { $0 > version.change && $0 <= moment })
      }
      let digest = disk.digest(at: disk.node(at: target), contents)
      let possible = versions[(finished ?? 0)...].prefix { $0.change < moment }
      guard !possible.contains(where: { $0.digest == digest }) else { continue }
      return "/" + target.joined(separator: "/") + " isn't one of its versions"
    }
    return nil
  }

  private func disk(at moment: Int, _ choice: [Int: Share]) -> SketchedDisk {
    var names = DiskTrace.Disk(folders: trace.initial.folders)
    var applied: [DiskTrace.Node: [SketchedDisk.Applied]] = [:]
    for index in 0..<moment {
      let share = choice[index] ?? .whole
      guard share != .none else { continue }
      switch trace.changes[index] {
      case .write(let node, _, _), .resize(let node, _):
        applied[node, default: []].append(
          SketchedDisk.Applied(change: index, share: share.rawValue))
      case .synchronize: break
      case let change: names.apply(change)
      }
    }
    return SketchedDisk(folders: names.folders, applied: applied)
  }

  /// Which shares of unforced changes are looked at: all of few; of many all or none, each missing alone and there alone, and a random sample.
  private static func choices(_ count: Int, seed: UInt64) -> [[Share]] {
    if count <= 4 {
      return (0..<(1 << (2 * count))).map { number in
        (0..<count).map { Share(rawValue: number >> (2 * $0) & 3) ?? .none }
      }
    }
    var result = Share.allCases.map { [Share](repeating: $0, count: count) }
    for position in 0..<count {
      for share in [Share.none, .half, .zeros] {
        var missing = [Share](repeating: .whole, count: count)
        missing[position] = share
        result.append(missing)
      }
      var alone = [Share](repeating: .none, count: count)
      alone[position] = .whole
      result.append(alone)
      // All that came before and nothing after, as where order is kept.
      result.append((0..<count).map { $0 <= position ? .whole : .none })
    }
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    for _ in 0..<64 {
      result.append(
        (0..<count).map { _ in
          state ^= state << 13
          state ^= state >> 7
          state ^= state << 17
          return Share(rawValue: Int(state >> 60) & 3) ?? .none
        })
    }
    return result
  }
}

extension DiskTrace.Change {
  /// The file whose bytes, or the directory whose names, change.
  fileprivate var changedNode: DiskTrace.Node? {
    switch self {
    case .enter(let place, _, _), .leave(let place), .move(_, let place, _),
      .exchange(_, _, let place, _):
      place.folder
    case .write(let file, _, _), .resize(let file, _): file
    case .synchronize: nil
    }
  }

  fileprivate var forcedNode: DiskTrace.Node? {
    if case .synchronize(let node) = self { node } else { nil }
  }
}

/// Names, and for each file the changes that reached it; their bytes are put together only once.
private struct SketchedDisk {
  struct Applied: Hashable {
    let change: Int
    let share: Int
  }

  let folders: [DiskTrace.Node: [String: DiskTrace.Node]]
  let applied: [DiskTrace.Node: [Applied]]

  func node(at path: [String]) -> DiskTrace.Node? {
    path.reduce(Optional(0)) { node, name in node.flatMap { folders[$0]?[name] } }
  }

  /// A number that two states of a moment share where all targets are the same in them.
  func signature(of targets: [[String]], _ moment: Int) -> Int {
    var hasher = Hasher()
    hasher.combine(moment)
    func add(_ node: DiskTrace.Node) {
      hasher.combine(node)
      hasher.combine(applied[node])
      for (name, child) in (folders[node] ?? [:]).sorted(by: { $0.key < $1.key }) {
        hasher.combine(name)
        add(child)
      }
    }
    for target in targets {
      if let node = node(at: target) { add(node) } else { hasher.combine(-1) }
    }
    return hasher.finalize()
  }

  func digest(at node: DiskTrace.Node?, _ contents: FileContents) -> Int {
    guard let node else { return FileTree.nothing.digest }
    guard let entries = folders[node] else { return contents.digest(of: node, applied[node] ?? []) }
    return FileTree.digest(ofFolder: entries.mapValues { digest(at: $0, contents) })
  }
}

/// The bytes of files after some changes, remembered by their digests.
private final class FileContents {
  private struct Key: Hashable {
    let node: DiskTrace.Node
    let applied: [SketchedDisk.Applied]
  }

  private let trace: DiskTrace
  private var digests: [Key: Int] = [:]

  init(_ trace: DiskTrace) { self.trace = trace }

  func digest(of node: DiskTrace.Node, _ applied: [SketchedDisk.Applied]) -> Int {
    let key = Key(node: node, applied: applied)
    if let known = digests[key] { return known }
    let digest = FileTree.file(bytes(of: node, applied)).digest
    digests[key] = digest
    return digest
  }

  func text(of node: DiskTrace.Node, _ applied: [SketchedDisk.Applied]) -> String {
    String(decoding: bytes(of: node, applied), as: UTF8.self)
  }

  private func bytes(of node: DiskTrace.Node, _ applied: [SketchedDisk.Applied]) -> [UInt8] {
    var disk = DiskTrace.Disk(files: [node: trace.initial.files[node] ?? []])
    for step in applied {
      switch (trace.changes[step.change], PowerLoss.Share(rawValue: step.share)) {
      case (.write(_, let offset, let bytes), .half):
        // Half of the bytes, and the length of all.
        let written = bytes.prefix(bytes.count / 2)
        let rest = [UInt8](repeating: 0, count: bytes.count - written.count)
        disk.apply(.write(node, at: offset, written + rest))
      case (.write(_, let offset, let bytes), .zeros):
        disk.apply(.write(node, at: offset, [UInt8](repeating: 0, count: bytes.count)))
      case (let whole, _): disk.apply(whole)
      }
    }
    return disk.files[node] ?? []
  }
}

extension FileTree {
  /// A number for all names and bytes.
  fileprivate var digest: Int {
    switch self {
    case .nothing: return 0
    case .file(let bytes):
      var hasher = Hasher()
      bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
      return hasher.finalize()
    case .folder(let entries): return Self.digest(ofFolder: entries.mapValues(\.digest))
    }
  }

  fileprivate static func digest(ofFolder entries: [String: Int]) -> Int {
    var hasher = Hasher()
    for (name, digest) in entries.sorted(by: { $0.key < $1.key }) {
      hasher.combine(name)
      hasher.combine(digest)
    }
    return hasher.finalize()
  }
}
