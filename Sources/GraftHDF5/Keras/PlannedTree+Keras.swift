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
      guard entry.key != Reserved.version, !taken.contains(entry.key) else { continue }
      attributes.append(PlannedAttribute(name: entry.key, value: .text(entry.value)))
    }
  }

  /// A tensor at links, with its name where the links don't say it.
  private static func dataset(
    _ tensor: TensorInfo, _ index: Int, at links: [[UInt8]], isNumbered: Bool,
    _ status: HDF5Status
  ) throws(StorageError) -> PlannedDataset {
    guard links.count <= HDF5Limits.depth, links.allSatisfy({ $0.count <= HDF5Limits.nameBytes })
    else {
      throw StorageError(
        .notRepresentable(what: "so long a name", inFormat: "HDF5"), file: status.file,
        tensor: tensor.name)
    }
    var attributes: [PlannedAttribute] = []
    if isNumbered {
      attributes.append(PlannedAttribute(name: Reserved.index, value: .integer(index)))
    }
    if KerasPath.name(links: links) != tensor.name {
      attributes.append(
        PlannedAttribute(name: Reserved.name, value: .texts([tensor.name.utf8])))
    }
    return PlannedDataset(
      links: links, dtype: tensor.dtype, dimensions: tensor.shape.dimensions,
      attributes: attributes, tensor: tensor.name)
  }

  // MARK: - Keras 3

  /// Keras 3: a tensor named `….vars.N` stands where its name says; another one becomes a variable of its module.
  private mutating func addVariables(
    _ tensors: [TensorInfo], _ source: KerasSource, _ status: HDF5Status
  ) throws(StorageError) {
    var places = tensors.map {
      KerasPath.links($0.name).flatMap { KerasPath.isVariable($0) ? $0 : nil }
    }
    let isKeras = places.allSatisfy { $0 != nil }
    if !isKeras { Self.number(tensors, &places) }
    for (index, tensor) in tensors.enumerated() {
      guard let links = places[index] else { continue }
      var dataset = try Self.dataset(
        tensor, index, at: links, isNumbered: !isKeras, status)
      if let spelling = Self.spelling(of: tensor.dtype) {
        dataset.isPlainBytes = true
        dataset.attributes.append(PlannedAttribute(name: "dtype", value: .text(spelling)))
      }
      datasets.append(dataset)
    }
    for (path, name) in source.names {
      let links = KerasContents.components(Array(path.utf8))
      guard !links.isEmpty else { continue }
      groups.append(
        PlannedGroup(
          links: links, attributes: [PlannedAttribute(name: "name", value: .text(name))]))
    }
  }

  /// The name that Keras gives a dtype which it stores as bytes.
  private static func spelling(of dtype: DType) -> String? {
    switch dtype {
    case .bf16: "bfloat16"
    case .f8E4M3: "float8_e4m3fn"
    case .f8E5M2: "float8_e5m2"
    default: nil
    }
  }

  /// Makes variables of the tensors that have no place: kernels before biases, running statistics after both.
  private static func number(_ tensors: [TensorInfo], _ places: inout [[[UInt8]]?]) {
    var modules: [[[UInt8]]: [Int]] = [:]
    var used: [[[UInt8]]: Set<Int>] = [:]
    for (index, tensor) in tensors.enumerated() {
      if let links = places[index] {
        if let number = KerasPath.number(links) {
          used[links.dropLast(), default: []].insert(number)
        }
      } else {
        modules[module(of: tensor.name), default: []].append(index)
      }
    }
    for (module, members) in modules {
      var next = 0
      let ordered = members.sorted { left, right in
        let (first, second) = (rank(tensors[left].name), rank(tensors[right].name))
        return first != second ? first < second : left < right
      }
      for index in ordered {
        while used[module]?.contains(next) == true { next += 1 }
        places[index] = module + [Array("\(next)".utf8)]
        next += 1
      }
    }
  }

  /// The group of a tensor's module and its variables.
  private static func module(of name: TensorName) -> [[UInt8]] {
    let dot = UInt8(ascii: ".")
    let module = name.utf8.split(separator: dot, omittingEmptySubsequences: true).dropLast()
    let links = module.map { part in
      part.map { $0 == UInt8(ascii: "/") || $0 == 0 ? UInt8(ascii: "_") : $0 }
    }
    return links + [Array("vars".utf8)]
  }

  /// Where PyTorch's name of a tensor stands among Keras's variables of a layer.
  private static func rank(_ name: TensorName) -> Int {
    let order = ["weight", "kernel", "gamma", "bias", "beta", "running_mean", "running_var"]
    return order.firstIndex { name == TensorName($0) || name.hasSuffix("." + $0) } ?? order.count
  }

  // MARK: - Legacy

  /// The legacy layout: the lists of the source where its tensors are there, else a layer for each module in order.
  private mutating func addLegacy(
    _ tensors: [TensorInfo], _ source: KerasSource, _ layout: KerasLayout, _ status: HDF5Status
  ) throws(StorageError) {
    let base = layout == .legacyModel ? [KerasContents.modelWeights] : []
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
          try Self.dataset(tensor, index, at: links, isNumbered: false, status))
      }
      try lists.check(datasets.map(\.links), base: base, status)
    } else {
      lists = KerasLists(tensors)
      for (index, tensor) in tensors.enumerated() {
        datasets.append(
          try Self.dataset(
            tensor, index, at: base + lists.links(of: index), isNumbered: true, status))
      }
    }
    let names = KerasLists.attributes("layer_names", lists.layers)
    if base.isEmpty {
      attributes += names
    } else {
      groups.append(PlannedGroup(links: base, attributes: names + source.version))
    }
    attributes += source.version
    for list in lists.weights {
      let isOptimizer = list.group == KerasContents.optimizerWeights
      groups.append(
        PlannedGroup(
          links: (isOptimizer ? [] : base) + KerasContents.components(list.group),
          attributes: KerasLists.attributes("weight_names", list.names)))
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
