internal import GraftCore

/// What the two forms of PyTorch's files have in common: a tree of values, and the bytes of storages by key.
struct PyTorchContents {
  let machine: PickleMachine
  let root: PickleValue
  /// The bytes of the storages that the pickle names.
  let storages: [String: ElementBytes]
  /// Whether numbers have their high byte first.
  let isBigEndian: Bool
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
  /// The key of each tensor's storage.
  let keys: [String]

  /// Places every tensor.
  ///
  /// - Throws: ``StorageError`` with the broken rule of `Formats/pytorch/SPEC.md`.
  init(_ contents: PyTorchContents, limits: FormatLimits) throws(StorageError) {
    let machine = contents.machine
    let tree = try PickleTree(contents.root, of: machine, limits: limits)
    var placements: [StoredArrays.Placement] = []
    var keys: [String] = []
    var unreadable = tree.unreadable
    var places: [PickledTensor: Int] = [:]
    var ties: [Int: [Int]] = [:]
    var excess = -contents.storages.values.reduce(0) { $0 + $1.byteCount }
    var total = 0
    for (name, place) in tree.tensors {
      let tensor = machine.tensors[place]
      let storage = machine.storages[tensor.storage]
      let placement = try Self.placement(of: tensor, named: name, in: contents, storage)
      guard let placement else {
        unreadable.append(UnreadableTensor(name: name, kind: "a \(tensor.type.rawValue) tensor"))
        continue
      }
      let position = placements.count
      let (sum, overflow) = total.addingReportingOverflow(placement.info.byteCount)
      guard !overflow else {
        throw StorageError(.overflow(part: "file (pytorch P-15)"), file: machine.cursor.file)
      }
      total = sum
      if placement.info.byteCount > 0, let first = places[tensor] {
        ties[first, default: [first]].append(position)
      } else {
        places[tensor] = position
        excess += placement.info.byteCount
        guard excess <= limits.repeatedBytes else {
          throw StorageError(
            .limitExceeded(
              limit: "bytes of views beyond those of the storages (pytorch P-16)",
              maximum: limits.repeatedBytes, found: "another \(placement.info.byteCount)"),
            file: machine.cursor.file, tensor: name)
        }
      }
      placements.append(placement)
      keys.append(storage.key)
    }
    self.placements = placements
    (metadata, cutKeys) = (tree.metadata, tree.cutKeys)
    self.unreadable = unreadable
    self.ties = ties.values.sorted { $0[0] < $1[0] }
    self.keys = keys
  }

  /// Where a tensor lies; nil for a type that isn't read.
  private static func placement(
    of tensor: PickledTensor, named name: TensorName, in contents: PyTorchContents,
    _ storage: PickledStorage
  ) throws(StorageError) -> StoredArrays.Placement? {
    let file = contents.machine.cursor.file
    func failure(_ reason: StorageError.Reason) -> StorageError {
      StorageError(reason, file: file, tensor: name, offset: contents.machine.cursor.base)
    }
    guard let record = contents.storages[storage.key] else {
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
