internal import CHDF5
internal import GraftCore

/// A file opened by libhdf5 and everything found in it.
struct OpenTree {
  let file: OpenFile
  /// Whether the file says that it follows Graft's layout.
  let isOurs: Bool
  let found: [TreeWalk.Found]
  /// The text attributes of the root.
  let attributes: [MetadataEntry]

  /// Opens and walks a file; inside ``HDF5Library/enter(_:)``.
  init(_ input: InputFile, _ status: HDF5Status) throws(StorageError) {
    let access = try makeAccessProperties(status)
    let signal = unsafe graft_rehearse(status.file, access.id, Int32(HDF5Limits.depth))
    guard signal == 0 else {
      throw status.malformed(
        "H-3", expected: "what libhdf5 can open", found: "signal \(signal) when a child opened it")
    }
    let id = unsafe H5Fopen(status.file, graft_h5f_read_only(), access.id)
    guard id >= 0 else { throw status.failure("H5Fopen") }
    // Until the walk is over the file has an owner that closes it inside the gate.
    let opened = Handle(id)
    let root = try status.handle(unsafe H5Gopen2(id, "/", HDF5Library.defaults), "H5Gopen2")
    let version = try Attribute.integers(Reserved.version, of: root.id, status)
    isOurs = version != nil
    guard version == nil || version == [1] else {
      throw StorageError(
        .unsupported(feature: "version of the layout (H-13)", found: "\(version ?? [])"),
        file: status.file)
    }
    attributes = isOurs ? [] : try Attribute.texts(of: root.id, status)
    var walk = TreeWalk(input, status, readsAttributes: isOurs)
    try walk.walk(root.id)
    found = walk.found
    H5Iinc_ref(opened.id)
    file = OpenFile(opened.id)
  }
}

/// What the datasets of a file mean.
struct TreeContents {
  private(set) var tensors: [(info: TensorInfo, dataset: StoredDataset)] = []
  private(set) var metadata: [MetadataEntry] = []
  private(set) var files: [HDF5Attachment] = []
  private(set) var shards: [HDF5Attachment] = []
  private(set) var vocabulary: (bytes: HDF5Attachment, ends: HDF5Attachment)?

  init(_ tree: OpenTree, _ store: DatasetStore) throws(StorageError) {
    let path = store.input.path
    var indexed: [(index: Int, info: TensorInfo, dataset: StoredDataset)] = []
    var reserved: [String: HDF5Attachment] = [:]
    for found in tree.found {
      if tree.isOurs, let first = found.links.first, first.first == UInt8(ascii: ".") {
        let names = found.links.map { String(decoding: $0, as: UTF8.self) }
        let attachment = HDF5Attachment(
          name: names.dropFirst().joined(separator: "/"), found.dataset, in: store)
        try file(attachment, under: names[0], &reserved, path)
      } else {
        // Tensors that someone added to a file of Graft's come after those that have a number.
        indexed.append(
          (found.index ?? Int.max, try Self.info(found, isOurs: tree.isOurs, path), found.dataset))
      }
    }
    let numbers = indexed.map(\.index).filter { $0 != Int.max }
    guard Set(numbers).count == numbers.count else {
      throw StorageError(
        .malformed(rule: "HDF5 H-15", expected: "each number once", found: "one twice"), file: path)
    }
    // A stable order: what has no number stays as the links stand.
    let order = indexed.indices.sorted { (indexed[$0].index, $0) < (indexed[$1].index, $1) }
    tensors = order.map { (indexed[$0].info, indexed[$0].dataset) }
    var names: Set<TensorName> = []
    for tensor in tensors where !names.insert(tensor.info.name).inserted {
      throw StorageError(
        .malformed(rule: "HDF5 H-14", expected: "distinct names", found: "one twice"), file: path,
        tensor: tensor.info.name)
    }
    metadata = try tree.isOurs ? Self.metadata(reserved[Reserved.metadata], path) : tree.attributes
    if let bytes = reserved[Reserved.vocabularyBytes], let ends = reserved[Reserved.vocabularyEnds]
    {
      vocabulary = (bytes, ends)
    }
  }

  private mutating func file(
    _ attachment: HDF5Attachment, under folder: String,
    _ reserved: inout [String: HDF5Attachment], _ path: String
  ) throws(StorageError) {
    switch folder {
    case Reserved.files, Reserved.shards:
      guard Directory.isSafeRelativePath(attachment.name) else {
        throw StorageError(
          .refused(policy: "a file name that leaves its directory (H-17)", found: attachment.name),
          file: path)
      }
      if folder == Reserved.files { files.append(attachment) } else { shards.append(attachment) }
    default:
      reserved[attachment.name.isEmpty ? folder : folder + "/" + attachment.name] = attachment
    }
  }

  private static func info(
    _ found: TreeWalk.Found, isOurs: Bool, _ path: String
  ) throws(StorageError) -> TensorInfo {
    let joined = TensorName(utf8: found.links.joined(separator: [UInt8(ascii: ".")]))
    func malformed(_ rule: String, _ expected: String, _ found: String) -> StorageError {
      StorageError(
        .malformed(rule: "HDF5 \(rule)", expected: expected, found: found), file: path,
        tensor: joined)
    }
    guard let name = isOurs ? DatasetPath.name(links: found.links) : joined else {
      throw malformed("H-14", "an escape after %", joined.text)
    }
    let dtype = found.dataset.type.dtype
    guard found.shape != nil || dtype.layout.elements == 1 else {
      throw malformed("H-16", "the attribute \(Reserved.shape)", "none")
    }
    let info: TensorInfo
    do {
      info = try TensorInfo(
        name: name, dtype: dtype, shape: Shape(found.shape ?? found.dimensions))
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
    let bytes = try attachment.contents(atMost: HDF5Limits.textBytes, file: path)
    guard let object = try JSONValue.parse(bytes, file: path).object else {
      throw StorageError(
        .malformed(rule: "HDF5 H-18", expected: "a JSON object", found: "something else"),
        file: path)
    }
    return try object.members.map { member throws(StorageError) in
      guard let value = member.value.string else {
        throw StorageError(
          .malformed(rule: "HDF5 H-18", expected: "texts", found: "another value"), file: path)
      }
      return MetadataEntry(key: member.key, value: value)
    }
  }
}
