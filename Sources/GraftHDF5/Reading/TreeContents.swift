internal import GraftCore

/// Everything found in a file.
struct OpenTree {
  let store: DatasetStore
  /// Whether the file says that it follows Graft's layout.
  let isOurs: Bool
  let found: [TreeWalk.Found]
  /// The places among them, in the order of the file or in Keras's.
  let order: [Int]
  /// The text attributes of the root.
  let attributes: [MetadataEntry]
  /// What is neither a tensor nor metadata, in words.
  let omissions: [String]
  /// What of that another file can hold as well.
  let annotated: AnnotatedTree
  /// What Keras wrote beside the tensors; nil for other files.
  let keras: KerasContents?

  /// Opens and walks a file, or one inside another.
  init(_ input: InputFile, _ region: Range<Int>) throws(StorageError) {
    let superblock = try Superblock(input, region)
    let file = StructureFile(input, base: superblock.start, end: superblock.end)
    let heaps = GlobalHeap(file)
    let root = try ObjectHeader(at: superblock.root, in: file)
    guard root.isGroup else {
      throw StorageError(
        .malformed(rule: "HDF5 H-21", expected: "a group at the root", found: "something else"),
        file: input.path)
    }
    let rootAttributes = try Attribute.all(of: root, in: file)
    var version: [Int]?
    var entries: [MetadataEntry] = []
    for attribute in rootAttributes {
      let name = String(decoding: attribute.name, as: UTF8.self)
      if name == Reserved.version {
        version = try attribute.integers()
      } else if let text = try attribute.text(heaps) {
        entries.append(MetadataEntry(key: name, value: text))
      }
    }
    guard version == nil || version == [1] else {
      throw StorageError(
        .unsupported(feature: "version of the layout (H-13)", found: "\(version ?? [])"),
        file: input.path)
    }
    isOurs = version != nil
    attributes = isOurs ? [] : entries
    let links = try GroupLinks(root, in: file, room: HDF5Limits.objects)
    let isLegacy = isOurs ? false : try KerasContents.isLegacy(links, rootAttributes, file)
    var walk = TreeWalk(file, isOurs ? .ours : isLegacy ? .legacyKeras : .foreign, heaps)
    try walk.walk(root, at: superblock.root, holding: links)
    store = DatasetStore(file)
    keras = isOurs ? nil : try KerasContents(walk.found, walk.keras, isLegacy: isLegacy, file)
    omissions = walk.omissions.words(namingGroups: keras == nil)
    annotated = AnnotatedTree(walk, isKeras: keras != nil, file)
    found = walk.found
    order = keras?.order ?? Array(walk.found.indices)
  }
}

/// What the datasets of a file mean.
struct TreeContents {
  private(set) var tensors: [TensorInfo] = []
  /// The dataset of each tensor.
  private(set) var datasets: [StoredDataset] = []
  private(set) var metadata: [MetadataEntry] = []
  private(set) var files: [HDF5Attachment] = []
  private(set) var shards: [HDF5Attachment] = []
  private(set) var vocabulary: (bytes: HDF5Attachment, ends: HDF5Attachment)?

  init(_ tree: OpenTree) throws(StorageError) {
    let path = tree.store.input.path
    var reserved: [String: HDF5Attachment] = [:]
    // Of each tensor its number and its place among what was found.
    var (numbers, places): ([Int], [Int]) = ([], [])
    for place in tree.order {
      let found = tree.found[place]
      let outermost = found.groups.first ?? found.link
      if tree.isOurs, outermost.first == UInt8(ascii: ".") {
        let names = found.links.map { String(decoding: $0, as: UTF8.self) }
        let attachment = HDF5Attachment(
          name: names.dropFirst().joined(separator: "/"), found.dataset, in: tree.store)
        try file(attachment, under: names[0], &reserved, path)
      } else {
        // Tensors that someone added to a file of Graft's come after those that have a number.
        numbers.append(found.marks.index ?? Int.max)
        places.append(place)
        tensors.append(try Self.info(found, in: tree))
      }
    }
    if let order = try Self.order(of: numbers, path) {
      tensors = order.map { tensors[$0] }
      places = order.map { places[$0] }
    }
    datasets = places.map { tree.found[$0].dataset }
    var names = NameTable(reserving: tensors.count)
    for (position, tensor) in tensors.enumerated() {
      guard names.insert(tensor.name, at: position, among: { tensors[$0].name }) else {
        throw .repeated(tensor.name, rule: "HDF5 H-14", file: path, tensor: tensor.name)
      }
    }
    metadata =
      try tree.isOurs
      ? Self.metadata(reserved[Reserved.metadata], path)
      : tree.attributes + (tree.keras?.metadata ?? [])
    if let bytes = reserved[Reserved.vocabularyBytes], let ends = reserved[Reserved.vocabularyEnds]
    {
      vocabulary = (bytes, ends)
    }
  }

  /// The order by number, where it is another one; what has no number stays as the links stand, behind the others.
  private static func order(of numbers: [Int], _ path: String) throws(StorageError) -> [Int]? {
    guard numbers.contains(where: { $0 != Int.max }) else { return nil }
    // Graft's own files number all tensors, each with a place of its own.
    var places = [Int](repeating: -1, count: numbers.count)
    let isWhole = numbers.indices.allSatisfy { position in
      guard places.indices.contains(numbers[position]), places[numbers[position]] < 0 else {
        return false
      }
      places[numbers[position]] = position
      return true
    }
    guard !isWhole else { return places }
    let order = numbers.indices.sorted { (numbers[$0], $0) < (numbers[$1], $1) }
    for (left, right) in zip(order, order.dropFirst())
    where numbers[left] == numbers[right] && numbers[left] != Int.max {
      throw StorageError(
        .malformed(rule: "HDF5 H-15", expected: "each number once", found: "one twice"), file: path)
    }
    return order
  }

  private mutating func file(
    _ attachment: HDF5Attachment, under folder: String,
    _ reserved: inout [String: HDF5Attachment], _ path: String
  ) throws(StorageError) {
    switch folder {
    case Reserved.files, Reserved.shards:
      guard Directory.isSafeRelativePath(attachment.name) else {
        throw Directory.refusal(of: attachment.name, in: path, rule: " (H-17)")
      }
      if folder == Reserved.files { files.append(attachment) } else { shards.append(attachment) }
    default:
      reserved[attachment.name.isEmpty ? folder : folder + "/" + attachment.name] = attachment
    }
  }

  private static func info(
    _ found: TreeWalk.Found, in tree: OpenTree
  ) throws(StorageError) -> TensorInfo {
    let path = tree.store.input.path
    func malformed(_ rule: String, _ expected: String, _ wrong: String) -> StorageError {
      StorageError(
        .malformed(rule: "HDF5 \(rule)", expected: expected, found: wrong), file: path,
        tensor: found.joined)
    }
    let name: TensorName
    if tree.isOurs {
      guard let ours = DatasetPath.name(groups: found.groups, link: found.link) else {
        throw malformed("H-14", "an escape after %", found.joined.text)
      }
      name = ours
    } else if tree.keras != nil {
      name = found.marks.name.map { TensorName(utf8: $0) } ?? KerasPath.name(links: found.links)
    } else {
      name = found.joined
    }
    let dtype = found.dataset.type.dtype
    guard found.marks.shape != nil || dtype.layout.elements == 1 else {
      throw malformed("H-16", "the attribute \(Reserved.shape)", "none")
    }
    let info: TensorInfo
    do {
      info = try TensorInfo(
        name: name, dtype: dtype, shape: Shape(found.marks.shape ?? found.dataset.dimensions))
    } catch {
      throw malformed("H-16", "a shape", "\(error)")
    }
    guard info.byteCount == found.dataset.byteCount else {
      throw malformed(
        "H-16", "\(found.dataset.byteCount) bytes", "the shape \(info.shape) of \(dtype)")
    }
    return info
  }

  private static func metadata(
    _ attachment: HDF5Attachment?, _ path: String
  ) throws(StorageError) -> [MetadataEntry] {
    guard let attachment else { return [] }
    let bytes = try attachment.contents(atMost: HDF5Limits.metadataBytes, file: path)
    func malformed(_ expected: String, _ found: String) -> StorageError {
      StorageError(.malformed(rule: "HDF5 H-18", expected: expected, found: found), file: path)
    }
    var scanner = JSONScanner(bytes, file: path)
    guard try scanner.next().kind == .objectStart else {
      throw malformed("a JSON object", "something else")
    }
    let entries = try scanner.textMembers { _, _ in malformed("texts", "another value") }
    _ = try scanner.next()
    return entries
  }
}
