internal import GraftCore

/// What the two forms of PyTorch's files have in common: named tensors, and the bytes of their storages.
///
/// Of what the pickle's machine had on the way nothing is kept: it takes several times as much.
struct PyTorchContents {
  /// The path, and where the pickle begins in it, for errors.
  let file: String
  let base: Int?
  /// The tensors by name, each with its place among those of the pickle.
  let names: [(name: TensorName, place: Int)]
  let tensors: [PickledTensor]
  /// The storages of the tensors, and the bytes of each; nil where there are none.
  let storages: [PickledStorage]
  let bytes: [ElementBytes?]
  /// The bytes of all storages, each once.
  let byteCount: Int
  let unreadable: [UnreadableTensor]
  let metadata: [MetadataEntry]
  /// The keys of metadata too long to be kept whole.
  let cutKeys: [String]
  /// Whether numbers have their high byte first.
  let isBigEndian: Bool

  /// Names what a machine read.
  ///
  /// - Throws: ``StorageError`` as ``PickleTree`` does.
  init(
    _ machine: PickleMachine, _ root: PickleValue, bytes: [ElementBytes?], byteCount: Int,
    isBigEndian: Bool, limits: FormatLimits
  ) throws(StorageError) {
    let tree = try PickleTree(root, of: machine, limits: limits)
    (file, base) = (machine.cursor.file, machine.cursor.base)
    (names, unreadable) = (tree.tensors, tree.unreadable)
    (metadata, cutKeys) = (tree.metadata, tree.cutKeys)
    (tensors, storages) = (machine.tensors, machine.storages)
    self.bytes = bytes
    self.byteCount = byteCount
    self.isBigEndian = isBigEndian
  }
}

/// The tensors of a PyTorch file, found to lie inside their storages.
struct PyTorchTensors {
  let placements: [StoredArrays.Placement]
  let metadata: [MetadataEntry]
  /// The keys of metadata too long to be kept whole.
  let cutKeys: [String]
  let unreadable: [UnreadableTensor]
  /// The sets of tensors that are one and the same.
  let ties: [[Int]]
  /// The storage of each tensor.
  let storages: [Int]

  /// Places every tensor.
  ///
  /// - Throws: ``StorageError`` with the broken rule of `Formats/pytorch/SPEC.md`.
  init(_ contents: PyTorchContents, limits: FormatLimits) throws(StorageError) {
    var placements: [StoredArrays.Placement] = []
    var storages: [Int] = []
    // The tensor of each placement among those of the pickle.
    var origins: [Int] = []
    placements.reserveCapacity(contents.names.count)
    storages.reserveCapacity(contents.names.count)
    origins.reserveCapacity(contents.names.count)
    var unreadable = contents.unreadable
    var places = NameTable()
    let isShared = Self.sharing(of: contents)
    var ties: [Int: [Int]] = [:]
    var excess = -contents.byteCount
    var total = 0
    for (name, place) in contents.names {
      let tensor = contents.tensors[place]
      let placement = try Self.placement(of: tensor, named: name, in: contents)
      guard let placement else {
        unreadable.append(UnreadableTensor(name: name, kind: "a \(tensor.type.rawValue) tensor"))
        continue
      }
      let position = placements.count
      let (sum, overflow) = total.addingReportingOverflow(placement.info.byteCount)
      guard !overflow else {
        throw StorageError(.overflow(part: "file (pytorch P-15)"), file: contents.file)
      }
      total = sum
      // What has a storage for itself is no other tensor.
      var first: Int?
      if isShared[tensor.storage] {
        let hash = tensor.tableHash
        first = places.position(hash) { contents.tensors[origins[$0]] == tensor }
        if first == nil { places.add(hash, at: position) }
      }
      if placement.info.byteCount > 0, let first {
        ties[first, default: [first]].append(position)
      } else {
        excess += placement.info.byteCount
        guard excess <= limits.repeatedBytes else {
          throw StorageError(
            .limitExceeded(
              limit: "bytes of views beyond those of the storages (pytorch P-16)",
              maximum: limits.repeatedBytes, found: "another \(placement.info.byteCount)"),
            file: contents.file, tensor: name)
        }
      }
      placements.append(placement)
      storages.append(tensor.storage)
      origins.append(place)
    }
    self.placements = placements
    (metadata, cutKeys) = (contents.metadata, contents.cutKeys)
    self.unreadable = unreadable
    self.ties = ties.values.sorted { $0[0] < $1[0] }
    self.storages = storages
  }

  /// Whether each storage has several tensors.
  private static func sharing(of contents: PyTorchContents) -> [Bool] {
    var isUsed = [Bool](repeating: false, count: contents.storages.count)
    var isShared = isUsed
    for (_, place) in contents.names {
      let storage = contents.tensors[place].storage
      if isUsed[storage] { isShared[storage] = true }
      isUsed[storage] = true
    }
    return isShared
  }

  /// Where a tensor lies; nil for a type that isn't read.
  private static func placement(
    of tensor: PickledTensor, named name: TensorName, in contents: PyTorchContents
  ) throws(StorageError) -> StoredArrays.Placement? {
    func failure(_ reason: StorageError.Reason) -> StorageError {
      StorageError(reason, file: contents.file, tensor: name, offset: contents.base)
    }
    let storage = contents.storages[tensor.storage]
    guard let record = contents.bytes[tensor.storage] else {
      throw failure(
        .malformed(
          rule: "pytorch P-14", expected: "a record of storage \(storage.key)", found: "none"))
    }
    guard let dtype = tensor.type.dtype else { return nil }
    // Two views of one record may differ in type; each was checked against the record's bytes.
    let start = storage.offset * storage.type.width
    let bytes = record.extracting(start..<start + storage.count * storage.type.width)
    let width = tensor.type.width
    let view: StridedView
    do throws(StridedView.Defect) {
      view = try StridedView(
        width: width, extents: tensor.extents, strides: tensor.strides, offset: tensor.offset,
        of: bytes.byteCount / width)
    } catch {
      switch error {
      case .overflow: throw failure(.overflow(part: "tensor (pytorch P-15)"))
      case .outside(let last):
        throw failure(
          .malformed(
            rule: "pytorch P-15",
            expected: "elements among the \(bytes.byteCount / width) of storage \(storage.key)",
            found: "element \(last)"))
      case .rank, .negative:
        throw failure(
          .malformed(rule: "pytorch P-15", expected: "a view", found: "\(tensor.extents)"))
      }
    }
    var extents = tensor.extents
    if dtype == .f4 {
      // A byte holds two values, which lie along the last dimension.
      guard let last = extents.popLast(), view.isContiguous else { return nil }
      let (values, overflow) = last.multipliedReportingOverflow(by: 2)
      guard !overflow else { throw failure(.overflow(part: "tensor (pytorch P-15)")) }
      extents.append(values)
    }
    let info: TensorInfo
    do throws(ShapeError) {
      info = try TensorInfo(name: name, dtype: dtype, shape: Shape(extents))
    } catch {
      throw failure(.overflow(part: "tensor (pytorch P-15)"))
    }
    let isSwapped = contents.isBigEndian && width > 1
    return StoredArrays.Placement(
      info: info, storage: bytes, view: isSwapped && dtype == .c64 ? view.halved : view,
      isSwapped: isSwapped)
  }
}
