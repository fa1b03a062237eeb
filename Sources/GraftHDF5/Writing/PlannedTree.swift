internal import GraftCore

/// What is to be created in a file, in order.
struct PlannedTree {
  /// The attributes of the root.
  var attributes: [PlannedAttribute] = []
  /// The groups that have attributes, or nothing in them; others come with their datasets.
  var groups: [PlannedGroup] = []
  /// The tensors' datasets, then those of the files inside.
  var datasets: [PlannedDataset] = []
  /// Where the groups stand that a source's annotations are of, in their order; the root has no links.
  var annotated: [LinkPath] = []
}

/// A group to be created.
struct PlannedGroup {
  /// The links that lead to it.
  var place: PlannedPlace
  var ownAttributes: [PlannedAttribute] = []
  /// The weights that Keras's legacy layout lists; nil for other groups.
  var weightNames: [[UInt8]]?

  /// The attributes, the list among them made when it is asked for: there may be 100,000 groups with one.
  var attributes: [PlannedAttribute] {
    ownAttributes + (weightNames.map { KerasLists.attributes("weight_names", $0) } ?? [])
  }
}

/// A dataset to be created.
struct PlannedDataset {
  /// The links that lead to it.
  var place: PlannedPlace
  /// The extents that the dataset has.
  var dimensions: [Int]
  /// The number of the tensor; nil where it has none.
  var number: Int?
  var dtype: DType
  /// Whether the name of the tensor is kept, as the links don't say it.
  var keepsName = false
  /// Whether the elements are bytes without a description beside the name of the dtype, as Keras stores what numpy has no type for.
  var isSpelled = false
  /// The shape of the tensor, where the dataset has another one.
  var shape: [Int]?
  /// Who to name in an error.
  var tensor: TensorName?

  /// The size: the product of the extents is known to fit, though not every part of it times the size of an element.
  var byteCount: Int { dimensions.reduce(1, *) * dtype.layout.bytes }

  /// The name of the dtype that Keras gives to bytes.
  var spelling: String? { isSpelled ? PlannedTree.spelling(of: dtype) : nil }

  /// The attributes, made when they are asked for: lists of them for 100,000 datasets would take more than all else.
  var attributes: [PlannedAttribute] {
    [
      number.map { PlannedAttribute(name: Reserved.index, value: .integer($0)) },
      shape.map { PlannedAttribute(name: Reserved.shape, value: .integers($0)) },
      (keepsName ? tensor : nil).map {
        PlannedAttribute(name: Reserved.name, value: .texts([$0.utf8]))
      },
      spelling.map { PlannedAttribute(name: "dtype", value: .text($0)) },
    ].compactMap { $0 }
  }
}

/// An attribute to be created.
struct PlannedAttribute {
  var name: String
  var value: Value

  /// What an attribute holds.
  enum Value {
    /// An integer.
    case integer(Int)
    /// A list of integers.
    case integers([Int])
    /// A text in the file's heap, of any length.
    case text(String)
    /// A list of texts of one width.
    case texts([[UInt8]])
  }

  /// Whether libhdf5 can hold a name, which is text here.
  static func canHold(name: some Collection<UInt8>) -> Bool {
    !name.isEmpty && name.count < 1 << 15 && !name.contains(0)
      && String(validating: name, as: UTF8.self) != nil
  }

  /// Checks that libhdf5 can hold the name and the value.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)``.
  func check(_ status: HDF5Status) throws(StorageError) {
    let holdsNUL =
      switch value {
      case .integer, .integers: false
      case .text(let text): text.utf8.contains(0)
      case .texts(let texts): texts.contains { $0.contains(0) }
      }
    guard Self.canHold(name: name.utf8), !holdsNUL else {
      throw StorageError(
        .notRepresentable(what: "the metadata \(name.escapedShortened)", inFormat: "HDF5"),
        file: status.file)
    }
  }
}

extension PlannedTree {
  /// The most dimensions that HDF5 knows.
  static let maximumRank = 32

  /// The tree of Graft's layout.
  ///
  /// - Throws: ``StorageError`` when two tensors have one name or a name is too long for a link.
  init(
    _ tensors: [TensorInfo], annotatedGroups: [TensorName?] = [], _ status: HDF5Status
  ) throws(StorageError) {
    attributes = [PlannedAttribute(name: Reserved.version, value: .integer(1))]
    let paths = tensors.map { DatasetPath.path(of: $0.name) }
    annotated = annotatedGroups.map { $0.map(DatasetPath.path) ?? LinkPath() }
    var groups: Set<LinkPath> = []
    func enter(_ innermost: LinkPath?) {
      var next = innermost
      while let group = next, groups.insert(group).inserted { next = group.group }
    }
    for path in paths { enter(path.group) }
    for group in annotated { enter(group) }
    try tensors.lazy.map(\.name).checkDiffer(inFormat: "HDF5", file: status.file)
    datasets.reserveCapacity(tensors.count)
    for (index, tensor) in tensors.enumerated() {
      let own = paths[index]
      let path = groups.contains(own) ? DatasetPath.besideGroup(own) : own
      guard path.isShort else {
        throw StorageError(
          .notRepresentable(what: "so long a name", inFormat: "HDF5"), file: status.file,
          tensor: tensor.name)
      }
      let isBlocked = tensor.dtype.layout.elements > 1
      let isPlain = !isBlocked && tensor.shape.rank <= Self.maximumRank
      datasets.append(
        PlannedDataset(
          place: PlannedPlace(base: path),
          dimensions: isPlain
            ? tensor.shape.dimensions : [tensor.byteCount / tensor.dtype.layout.bytes],
          number: index, dtype: tensor.dtype, shape: isPlain ? nil : tensor.shape.dimensions,
          tensor: tensor.name))
    }
  }
}
