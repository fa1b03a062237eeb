internal import GraftCore

/// Finds the datasets of a file, link by link.
///
/// Only hard links are followed, every group once, none deeper than a limit.
struct TreeWalk {
  /// A dataset and the links that lead to it.
  struct Found {
    let links: [[UInt8]]
    let dataset: StoredDataset
    /// The attributes that the layout, or Graft's way of writing Keras files, gives a dataset.
    var index: Int?
    var shape: [Int]?
    var name: [UInt8]?
  }

  /// What attributes mean.
  enum Meaning {
    /// The file follows the layout.
    case ours
    /// Somebody's tree.
    case foreign
    /// Keras's legacy layout, where bytes without a name are bf16.
    case legacyKeras
  }

  private let file: StructureFile
  private let meaning: Meaning
  private let heaps: GlobalHeap
  private var groups: Set<UInt64> = []
  /// The datasets that were described: one may have several names.
  private var known: [UInt64: Found] = [:]
  private var objectCount = 0
  private var declaredBytes = 0
  /// The bytes that paths may still have: a path of long names may lead to any number of objects.
  private var pathRoom: Int
  private(set) var found: [Found] = []
  /// The groups with attributes of Keras.
  private(set) var keras: [KerasGroup] = []

  init(_ file: StructureFile, _ meaning: Meaning, _ heaps: GlobalHeap) {
    self.file = file
    self.meaning = meaning
    self.heaps = heaps
    pathRoom = HDF5Limits.pathBytes + file.end - file.base
  }

  /// Walks everything below a group.
  mutating func walk(
    _ header: ObjectHeader, at address: UInt64, links: [[UInt8]] = []
  ) throws(StorageError) {
    guard links.count < HDF5Limits.depth else {
      throw limit("groups inside groups (H-5)", HDF5Limits.depth, links)
    }
    guard groups.insert(address).inserted else {
      throw malformed("H-5", "a tree", "a second way to the group \(text(links))")
    }
    try spend(links)
    if meaning != .ours, let group = try KerasGroup(header, links, file, heaps) {
      keras.append(group)
    }
    for link in try GroupLinks(header, in: file, room: HDF5Limits.objects - objectCount).links {
      objectCount += 1
      let path = links + [link.name]
      guard let target = link.target else {
        throw StorageError(
          .refused(policy: "a link to another place (H-4)", found: text(path)), file: file.path)
      }
      if var again = known[target] {
        again = Found(
          links: path, dataset: again.dataset, index: again.index, shape: again.shape,
          name: again.name)
        try add(again)
        continue
      }
      let object = try ObjectHeader(at: target, in: file)
      if object.isGroup {
        try walk(object, at: target, links: path)
      } else if object.isDataset {
        let found = try describe(object, at: target, path)
        known[target] = found
        try add(found)
      } else if object.first(.datatype) == nil {
        throw malformed(
          "H-21", "a group, a dataset or a named datatype", "\(text(path)) is something else")
      }
    }
  }

  private mutating func add(_ next: Found) throws(StorageError) {
    let (sum, isTooMuch) = declaredBytes.addingReportingOverflow(next.dataset.countedBytes)
    let size = file.input.byteCount
    guard !isTooMuch, sum <= HDF5Limits.sparseBytes || sum / HDF5Limits.expansion <= size else {
      throw StorageError(
        .limitExceeded(
          limit: "declared bytes per byte of the file (H-8)", maximum: HDF5Limits.expansion,
          found: isTooMuch ? "more" : "\(sum) bytes in a file of \(size)"),
        file: file.path, tensor: TensorName(text(next.links)))
    }
    declaredBytes = sum
    try spend(next.links)
    found.append(next)
  }

  private mutating func spend(_ links: [[UInt8]]) throws(StorageError) {
    pathRoom -= links.reduce(0) { $0 + $1.count + 1 }
    guard pathRoom >= 0 else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of paths besides those of the file (H-5)", maximum: HDF5Limits.pathBytes,
          found: "more"), file: file.path)
    }
  }

  private func describe(
    _ header: ObjectHeader, at address: UInt64, _ links: [[UInt8]]
  ) throws(StorageError) -> Found {
    var (index, shape): (Int?, [Int]?)
    var (name, spelling): ([UInt8]?, String?)
    for attribute in try Attribute.all(of: header, in: file) {
      switch String(decoding: attribute.name, as: UTF8.self) {
      case Reserved.index: index = try attribute.integers().first
      case Reserved.shape where meaning == .ours: shape = try attribute.integers()
      case Reserved.name where meaning != .ours: name = try attribute.texts(heaps)?.first
      case "dtype" where meaning == .foreign: spelling = try attribute.text(heaps)
      default: break
      }
    }
    if meaning == .legacyKeras { spelling = "bfloat16" }
    return Found(
      links: links,
      dataset: try StoredDataset(
        header, at: address, spelling: spelling, in: file, TensorName(text(links))),
      index: index, shape: shape, name: name)
  }

  // MARK: - Parts

  private func text(_ links: [[UInt8]]) -> String {
    String(decoding: Array(links.joined(separator: [UInt8(ascii: ".")])), as: UTF8.self)
  }

  private func malformed(_ rule: String, _ expected: String, _ found: String) -> StorageError {
    StorageError(
      .malformed(rule: "HDF5 \(rule)", expected: expected, found: found), file: file.path)
  }

  private func limit(_ what: String, _ maximum: Int, _ links: [[UInt8]]) -> StorageError {
    StorageError(
      .limitExceeded(limit: what, maximum: maximum, found: "more at \(text(links))"),
      file: file.path)
  }
}

extension ObjectHeader {
  /// Whether the object is a group: it says where its links are.
  var isGroup: Bool {
    messages.contains { $0.kind == .symbolTable || $0.kind == .linkInfo || $0.kind == .link }
  }

  /// Whether the object is a dataset: it says where its elements are.
  var isDataset: Bool { first(.layout) != nil }
}
