internal import GraftCore

extension PlannedTree {
  /// The tree of a Keras file.
  ///
  /// - Throws: ``StorageError`` when the layout can't hold a tensor, or the tensors are of another layout, which only
  ///   Keras can translate, for it alone knows the layers.
  init(
    keras layout: KerasLayout, _ tensors: [TensorInfo], _ metadata: [MetadataEntry],
    _ status: HDF5Status
  ) throws(StorageError) {
    try tensors.lazy.map(\.name).checkDiffer(inFormat: "HDF5", file: status.file)
    for tensor in tensors {
      guard tensor.dtype.layout.elements == 1, tensor.shape.rank <= Self.maximumRank else {
        throw StorageError(
          .notRepresentable(
            what: "\(tensor.dtype) of \(tensor.shape.rank) dimensions", inFormat: "Keras"),
          file: status.file, tensor: tensor.name)
      }
    }
    let source = KerasSource(metadata)
    let isOther = source.layout.map { ($0 == .weights) != (layout == .weights) } ?? false
    guard !isOther else {
      throw StorageError(
        .notRepresentable(
          what: source.layout?.words ?? "another layout", inFormat: layout.words),
        file: status.file,
        remedy: "load it in Keras and save it there: only the model knows which layer is which")
    }
    switch layout {
    case .weights: try addVariables(tensors, source, status)
    case .legacyModel, .legacyWeights: try addLegacy(tensors, source, layout, status)
    }
    let taken = Set(attributes.map(\.name))
    for entry in metadata where !KerasKey.all.contains(entry.key) {
      guard !KerasGroup.isList(entry.key) else {
        throw StorageError(
          .notRepresentable(what: "the metadata \(entry.key)", inFormat: "Keras"),
          file: status.file, remedy: "Keras would take it for the names of its layers: rename it")
      }
      guard entry.key != Reserved.version, !taken.contains(entry.key) else { continue }
      guard (1...HDF5Limits.nameBytes).contains(entry.key.utf8.count),
        !entry.key.utf8.contains(0), !entry.value.utf8.contains(0)
      else {
        throw StorageError(
          .notRepresentable(
            what:
              "the metadata '\(entry.key.escapedShortened)', as a name or value with a zero byte, or a name of no or too many bytes",
            inFormat: "Keras's HDF5"), file: status.file)
      }
      attributes.append(PlannedAttribute(name: entry.key, value: .text(entry.value)))
    }
  }

  /// A tensor at a path, with its name where the links don't say it.
  private static func dataset(
    _ tensor: TensorInfo, _ index: Int, at place: PlannedPlace, isNumbered: Bool,
    _ status: HDF5Status
  ) throws(StorageError) -> PlannedDataset {
    let path = place.path
    let links = path.links
    guard links.count <= HDF5Limits.depth, path.isShort, !path.bytes.contains(0) else {
      throw StorageError(
        .notRepresentable(what: "a name so long, or with a zero byte", inFormat: "HDF5"),
        file: status.file, tensor: tensor.name)
    }
    let isSaid = KerasPath.name(links: links) == tensor.name
    return PlannedDataset(
      place: place, dimensions: tensor.shape.dimensions, number: isNumbered ? index : nil,
      dtype: tensor.dtype, keepsName: !isSaid, tensor: tensor.name)
  }

  /// Makes places for the groups that a source's annotations are of, by the names of the tensors below; the root has none.
  ///
  /// - Throws: ``StorageError`` when the layout can't hold a name.
  mutating func annotate(
    _ groups: [TensorName?], keras status: HDF5Status
  ) throws(StorageError) {
    for name in groups {
      guard let name else {
        annotated.append(LinkPath())
        continue
      }
      guard let links = KerasPath.links(name) else {
        throw StorageError(
          .notRepresentable(what: "the group \(name)", inFormat: "Keras"), file: status.file)
      }
      annotated.append(LinkPath(links))
    }
  }

  // MARK: - Keras 3

  /// Keras 3: a tensor named `….vars.N` stands where its name says; another one becomes a variable of its module.
  private mutating func addVariables(
    _ tensors: [TensorInfo], _ source: KerasSource, _ status: HDF5Status
  ) throws(StorageError) {
    var places = tensors.map { tensor in
      KerasPath.links(tensor.name).flatMap { KerasPath.isVariable($0) ? LinkPath($0) : nil }
    }
    let isKeras = places.allSatisfy { $0 != nil }
    if !isKeras { Self.number(tensors, &places) }
    datasets.reserveCapacity(tensors.count)
    for (index, tensor) in tensors.enumerated() {
      guard let path = places[index] else { continue }
      var dataset = try Self.dataset(
        tensor, index, at: PlannedPlace(base: path), isNumbered: !isKeras, status)
      dataset.isSpelled = Self.spelling(of: tensor.dtype) != nil
      datasets.append(dataset)
    }
    for (path, name) in source.names {
      let links = KerasContents.components(Array(path.utf8))
      guard !links.isEmpty else { continue }
      groups.append(
        PlannedGroup(
          place: PlannedPlace(base: LinkPath(links)),
          ownAttributes: [PlannedAttribute(name: "name", value: .text(name))]))
    }
  }

  /// The name that Keras gives a dtype which it stores as bytes.
  static func spelling(of dtype: DType) -> String? {
    switch dtype {
    case .bf16: "bfloat16"
    case .f8E4M3: "float8_e4m3fn"
    case .f8E5M2: "float8_e5m2"
    default: nil
    }
  }

  /// Makes variables of the tensors that have no place: kernels before biases, running statistics after both.
  private static func number(_ tensors: [TensorInfo], _ places: inout [LinkPath?]) {
    var modules: [LinkPath: [(rank: Int, index: Int)]] = [:]
    var used: [LinkPath: Set<Int>] = [:]
    for (index, tensor) in tensors.enumerated() {
      if let path = places[index] {
        if let number = KerasPath.number(path.last), let group = path.group {
          used[group, default: []].insert(number)
        }
      } else {
        modules[module(of: tensor.name), default: []].append((rank(tensor.name), index))
      }
    }
    for (module, members) in modules {
      let taken = used[module] ?? []
      var next = 0
      for member in members.sorted(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) {
        while taken.contains(next) { next += 1 }
        var path = module
        path.append("\(next)".utf8)
        places[member.index] = path
        next += 1
      }
    }
  }

  /// The group of a tensor's module and its variables.
  private static func module(of name: TensorName) -> LinkPath {
    let dot = UInt8(ascii: ".")
    var path = LinkPath()
    for part in name.utf8.split(separator: dot, omittingEmptySubsequences: true).dropLast() {
      path.append(part.map { $0 == UInt8(ascii: "/") || $0 == 0 ? UInt8(ascii: "_") : $0 })
    }
    path.append("vars".utf8)
    return path
  }

  /// Where PyTorch's name of a tensor stands among Keras's variables of a layer.
  private static func rank(_ name: TensorName) -> Int {
    let last = name.utf8[(name.utf8.lastIndex(of: UInt8(ascii: ".")).map { $0 + 1 } ?? 0)...]
    return ranks.firstIndex { last.elementsEqual($0.utf8) } ?? ranks.count
  }

  private static let ranks = [
    "weight", "kernel", "gamma", "bias", "beta", "running_mean", "running_var",
  ]

  // MARK: - Legacy

  /// The legacy layout: the lists of the source where its tensors are there, else a layer for each module in order.
  private mutating func addLegacy(
    _ tensors: [TensorInfo], _ source: KerasSource, _ layout: KerasLayout, _ status: HDF5Status
  ) throws(StorageError) {
    let base = LinkPath(layout == .legacyModel ? [KerasContents.modelWeights] : [])
    datasets.reserveCapacity(tensors.count)
    let lists: KerasLists
    if let known = source.lists {
      guard source.layout == layout else {
        throw StorageError(
          .notRepresentable(
            what: source.layout?.words ?? "another layout", inFormat: layout.words),
          file: status.file, remedy: "load it in Keras and save it there")
      }
      lists = known
      for (index, tensor) in tensors.enumerated() {
        guard let links = KerasPath.links(tensor.name) else {
          throw StorageError(
            .notRepresentable(what: "the name", inFormat: "Keras"), file: status.file,
            tensor: tensor.name)
        }
        datasets.append(
          try Self.dataset(
            tensor, index, at: PlannedPlace(base: LinkPath(links)), isNumbered: false, status))
      }
      try lists.check(datasets.map(\.place.path), base: base, status)
    } else {
      lists = KerasLists(tensors)
      for (index, tensor) in tensors.enumerated() {
        datasets.append(
          try Self.dataset(
            tensor, index, at: lists.place(of: index, below: base), isNumbered: true,
            status))
      }
    }
    let names = KerasLists.attributes("layer_names", lists.layers)
    if layout == .legacyModel {
      groups.append(
        PlannedGroup(
          place: PlannedPlace(base: base), ownAttributes: names + source.version))
    } else {
      attributes += names
    }
    attributes += source.version
    for list in lists.weights {
      groups.append(
        PlannedGroup(
          place: KerasLists.place(of: list.group, below: base), weightNames: list.names))
    }
  }
}

/// What a source's metadata tells of the Keras file that it was.
private struct KerasSource {
  let layout: KerasLayout?
  /// The names of layers by the group of their variables.
  let names: [(path: String, name: String)]
  let lists: KerasLists?
  /// The version and the backend that the legacy layout gives the root and the group of weights; without them a file is
  /// taken for one of Keras 1.
  let version: [PlannedAttribute]

  init(_ metadata: [MetadataEntry]) {
    func value(_ key: String) -> String? { metadata.first { $0.key == key }?.value }
    func json(_ key: String) -> JSONValue? {
      value(key).flatMap { try? JSONValue.parse(Array($0.utf8), file: key) }
    }
    layout = value(KerasKey.layout).flatMap(KerasLayout.init)
    names = (json(KerasKey.names)?.object?.members ?? []).compactMap { member in
      member.value.string.map { (member.key, $0) }
    }
    lists = KerasLists(metadata)
    version = [(KerasKey.version, "3.0.0"), ("backend", "torch")].map { key, usual in
      PlannedAttribute(name: key, value: .text(value(key) ?? usual))
    }
  }
}
