internal import GraftCore

/// Finds the datasets of a file, link by link.
///
/// Only hard links are followed, every group once, none deeper than a limit.
struct TreeWalk {
  /// A dataset and the links that lead to it.
  struct Found {
    /// The links to its group, and the one from there.
    let groups: [[UInt8]]
    let link: [UInt8]
    let dataset: StoredDataset
    let marks: DatasetMarks

    /// All links, outermost first.
    var links: [[UInt8]] { groups + [link] }

    /// All links as one run of bytes.
    var path: LinkPath {
      var path = LinkPath(groups)
      path.append(link)
      return path
    }

    /// The links with dots between them.
    var joined: TensorName {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(groups.reduce(groups.count + link.count) { $0 + $1.count })
      for group in groups {
        bytes += group
        bytes.append(UInt8(ascii: "."))
      }
      bytes += link
      return TensorName(utf8: bytes)
    }
  }

  private let file: StructureFile
  let meaning: Meaning
  private let heaps: GlobalHeap
  private var patterns: HeaderPatterns
  /// The groups, and the datasets that were described: one may have several names.
  private var objects: ObjectTable
  private var objectCount = 0
  private var declaredBytes = 0
  /// The bytes that paths may still have: a path of long names may lead to any number of objects.
  private var pathRoom: Int
  private(set) var found: [Found] = []
  /// What is neither a tensor nor metadata, and what of that no other file can hold.
  private(set) var omissions = TreeOmissions()
  private(set) var unheld = TreeOmissions()
  /// The groups with something that another file can hold.
  private(set) var annotated: [AnnotatedGroup] = []
  /// The groups with attributes of Keras.
  private(set) var keras: [KerasGroup] = []

  init(_ file: StructureFile, _ meaning: Meaning, _ heaps: GlobalHeap) {
    self.file = file
    self.meaning = meaning
    self.heaps = heaps
    pathRoom = HDF5Limits.pathBytes + file.end - file.base
    patterns = HeaderPatterns(file, heaps)
    // So many headers stand in a file of small tensors; tables that grow step by step are filled twice.
    let likely = min(Self.mostExpected, (file.end - file.base) / Self.likelyBytes)
    objects = ObjectTable(reserving: likely)
    found.reserveCapacity(likely)
  }

  private static let mostExpected = 1 << 17
  private static let likelyBytes = 512

  /// Walks everything below a group, whose own links may be known already.
  mutating func walk(
    _ header: ObjectHeader, at address: UInt64, links: [[UInt8]] = [],
    holding own: GroupLinks? = nil
  ) throws(StorageError) {
    try enter(address, links)
    let marks =
      header.hasAttributes
      ? try marks(Attribute.all(of: header, in: file), ofGroup: links) : GroupMarks()
    note(marks, of: links, at: address)
    if let own { return try visit(own.links, below: links) }
    let group = try GroupLinks(header, in: file, room: HDF5Limits.objects - objectCount)
    // What attributes mean is the same wherever they stand, but for these.
    if !header.hasAttributes || !links.isEmpty && !KerasPath.holdsVariables(links) {
      try patterns.learn(header, at: address, group.links, marks)
    }
    try visit(group.links, below: links)
  }

  private func marks(
    _ attributes: [Attribute], ofGroup links: [[UInt8]]
  ) throws(StorageError) -> GroupMarks {
    let others = attributes.others { meaning.keeps($0, ofGroup: links) }
    return GroupMarks(
      keras: meaning == .ours ? nil : try KerasGroup(attributes, links, heaps),
      unkept: others.map(\.name), unheld: others.filter { !$0.canBeCopied }.map(\.name))
  }

  private mutating func note(_ marks: GroupMarks, of links: [[UInt8]], at address: UInt64) {
    if let group = marks.keras { keras.append(group.moved(to: links)) }
    guard !marks.unkept.isEmpty else { return }
    let lost = meaning.hasPlace(for: links) ? marks.unheld : marks.unkept
    omissions.note(attributes: marks.unkept, of: links)
    unheld.note(attributes: lost, of: links)
    if lost.count < marks.unkept.count {
      annotated.append(AnnotatedGroup(path: LinkPath(links), address: address))
    }
  }

  /// Notes that a group is walked.
  private mutating func enter(_ address: UInt64, _ links: [[UInt8]]) throws(StorageError) {
    guard links.count < HDF5Limits.depth else {
      throw limit("groups inside groups (H-5)", HDF5Limits.depth, links)
    }
    guard objects.add(.group, at: address) else {
      throw malformed("H-5", "a tree", "a second way to the group \(text(links))")
    }
    try spend(pathBytes: links.reduce(0) { $0 + $1.count + 1 })
  }

  private mutating func visit(
    _ children: [GroupLinks.Link], below links: [[UInt8]]
  ) throws(StorageError) {
    if children.isEmpty, !links.isEmpty {
      omissions.note(emptyGroup: links)
      if meaning.hasPlace(for: links) {
        annotated.append(AnnotatedGroup(path: LinkPath(links), address: nil))
      } else {
        unheld.note(emptyGroup: links)
      }
    }
    for link in children {
      objectCount += 1
      guard let target = link.target else {
        throw StorageError(
          .refused(policy: "a link to another place (H-4)", found: text(links + [link.name])),
          file: file.path)
      }
      if case .dataset(let first)? = objects[target] {
        let known = found[first]
        try add(
          Found(groups: links, link: link.name, dataset: known.dataset, marks: known.marks))
        continue
      }
      switch try patterns.object(at: target) {
      case .dataset(let dataset, let marks)?:
        _ = objects.add(.dataset(found.count), at: target)
        try add(Found(groups: links, link: link.name, dataset: dataset, marks: marks))
        continue
      case .group(let own, let marks)?
      where own.count <= HDF5Limits.objects - objectCount
        && (marks == nil || link.name != KerasPath.variables):
        let path = links + [link.name]
        try enter(target, path)
        if let marks { note(marks, of: path, at: target) }
        try visit(own, below: path)
        continue
      case .group?, nil: break
      }
      let object = try ObjectHeader(at: target, in: file)
      let path = links + [link.name]
      if object.isGroup {
        try walk(object, at: target, links: path)
      } else if object.isDataset {
        _ = objects.add(.dataset(found.count), at: target)
        try add(try describe(object, at: target, path))
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
    try spend(pathBytes: next.groups.reduce(next.link.count + 1) { $0 + $1.count + 1 })
    if !next.marks.unkept.isEmpty {
      omissions.note(attributes: next.marks.unkept, of: next.links)
      let hasPlace = meaning.hasPlace(for: next.links)
      unheld.note(
        attributes: hasPlace ? next.marks.unheld : next.marks.unkept, of: next.links)
    }
    found.append(next)
  }

  private mutating func spend(pathBytes count: Int) throws(StorageError) {
    pathRoom -= count
    guard pathRoom >= 0 else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of paths besides those of the file (H-5)", maximum: HDF5Limits.pathBytes,
          found: "more"), file: file.path)
    }
  }

  private mutating func describe(
    _ header: ObjectHeader, at address: UInt64, _ links: [[UInt8]]
  ) throws(StorageError) -> Found {
    var marks = DatasetMarks()
    var places = DatasetMarks.Places()
    var others: [Attribute] = []
    for attribute in try Attribute.all(of: header, in: file) {
      if attribute.isNamed(Reserved.index) {
        marks.index = try attribute.integers().first
        places.number = attribute.placeOfNumber
      } else if meaning == .ours, attribute.isNamed(Reserved.shape) {
        marks.shape = try attribute.integers()
      } else if meaning != .ours, attribute.isNamed(Reserved.name) {
        marks.name = try attribute.texts(heaps)?.first
        places.name = attribute.placeOfText
      } else if meaning == .foreign, attribute.isNamed("dtype") {
        marks.spelling = try attribute.text(heaps)
        places.spelling = attribute.placeOfHeapText
        if marks.spelling == nil { others.append(attribute) }
      } else {
        others.append(attribute)
      }
    }
    if !others.isEmpty {
      others = others.others { _ in false }
      marks.unkept = others.map(\.name)
      marks.unheld = others.filter { !$0.canBeCopied }.map(\.name)
    }
    let spelling = meaning == .legacyKeras ? "bfloat16" : marks.spelling
    var dataset = try StoredDataset(
      header, at: address, spelling: spelling, in: file, { TensorName(Self.text(links)) })
    dataset.isAnnotated = marks.unheld.count < marks.unkept.count
    // A name in the heap isn't read out of a header like this one.
    if marks.name == nil || places.name != nil {
      try patterns.learn(header, at: address, dataset, marks, places)
    }
    return Found(
      groups: Array(links.dropLast()), link: links.last ?? [], dataset: dataset, marks: marks)
  }

  // MARK: - Parts

  private func text(_ links: [[UInt8]]) -> String { Self.text(links) }

  private static func text(_ links: [[UInt8]]) -> String {
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

  /// Whether the object has attributes, or a place for them.
  var hasAttributes: Bool {
    messages.contains { $0.kind == .attribute || $0.kind == .attributeInfo }
  }

  /// Whether the object is a dataset: it says where its elements are.
  var isDataset: Bool { first(.layout) != nil }
}
