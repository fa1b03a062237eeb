internal import CHDF5
internal import GraftCore

/// A dataset to be created.
struct PlannedDataset {
  /// The links that lead to it, outermost first.
  var links: [[UInt8]]
  var dtype: DType
  /// The extents that the dataset has.
  var dimensions: [Int]
  /// The tensor's position, which orders it among all.
  var index: Int?
  /// The tensor's extents, where the dataset has others.
  var shape: [Int]?
  /// Who to name in an error.
  var tensor: TensorName?

  var byteCount: Int { dimensions.reduce(dtype.layout.bytes, *) }
}

/// Creates the groups and datasets of a file, the same bytes for the same plan.
struct TreeBuilder {
  let file: OpenFile
  private let status: HDF5Status
  private let level: Int32?
  private var groups: Set<[[UInt8]]> = []

  /// The bytes of a chunk before compression, about.
  private static let chunkTarget = 1 << 20
  /// Below this, a dataset isn't worth an index of chunks.
  private static let compressedMinimum = 16 << 10
  /// The most dimensions that HDF5 knows.
  private static let maximumRank = 32
  /// Where every dataset's bytes begin: at a multiple of a cache line.
  private static let alignment: hsize_t = 64

  /// Creates the file at a path, over an empty one; errors name the status's.
  init(_ path: String, _ status: HDF5Status, level: Int32?) throws(StorageError) {
    self.status = status
    self.level = level
    let access = try makeAccessProperties(status)
    // Since 1.8 every piece of structure has a checksum; nothing later is needed.
    try status.done(
      H5Pset_libver_bounds(access.id, H5F_LIBVER_V18, H5F_LIBVER_V18), "H5Pset_libver_bounds")
    try status.done(H5Pset_alignment(access.id, 1, Self.alignment), "H5Pset_alignment")
    try status.done(H5Pset_small_data_block_size(access.id, 0), "H5Pset_small_data_block_size")
    let creation = try Self.properties(graft_h5p_file_create(), status)
    let id = unsafe H5Fcreate(path, graft_h5f_truncate(), creation.id, access.id)
    guard id >= 0 else { throw status.failure("H5Fcreate") }
    file = OpenFile(id)
    try attach(Reserved.version, [1], to: id, isScalar: true)
  }

  /// The places of tensors in the tree.
  ///
  /// - Throws: ``StorageError`` when two tensors have one name or a name is too long for a link.
  static func datasets(
    for tensors: [TensorInfo], _ status: HDF5Status
  ) throws(StorageError) -> [PlannedDataset] {
    let paths = tensors.map { DatasetPath($0.name, isGroup: false).links }
    var groups: Set<[[UInt8]]> = []
    for path in paths {
      var path = path.dropLast()
      while !path.isEmpty, groups.insert(Array(path)).inserted { path = path.dropLast() }
    }
    var seen: Set<TensorName> = []
    var plan: [PlannedDataset] = []
    for (index, (tensor, path)) in zip(tensors, paths).enumerated() {
      guard seen.insert(tensor.name).inserted else {
        throw StorageError(
          .mismatch(subject: "tensor names", expected: "distinct names", found: "one twice"),
          file: status.file, tensor: tensor.name)
      }
      let links = DatasetPath(tensor.name, isGroup: groups.contains(path)).links
      guard links.allSatisfy({ $0.count <= HDF5Limits.nameBytes }) else {
        throw StorageError(
          .notRepresentable(what: "so long a name", inFormat: "HDF5"), file: status.file,
          tensor: tensor.name)
      }
      let isBlocked = tensor.dtype.layout.elements > 1
      let isPlain = !isBlocked && tensor.shape.rank <= maximumRank
      plan.append(
        PlannedDataset(
          links: links, dtype: tensor.dtype,
          dimensions: isPlain
            ? tensor.shape.dimensions : [tensor.byteCount / tensor.dtype.layout.bytes],
          index: index, shape: isPlain ? nil : tensor.shape.dimensions, tensor: tensor.name))
    }
    return plan
  }

  /// Creates a dataset and the groups above it, and says where its bytes go.
  mutating func add(_ dataset: PlannedDataset) throws(StorageError) -> HDF5Writer.Place {
    var status = status
    status.tensor = dataset.tensor
    try createGroups(above: dataset.links)
    let grid = level == nil ? nil : Self.grid(for: dataset)
    let type = try dataset.dtype.makeStoredType(status)
    let space = try Self.space(dataset.dimensions, status)
    let properties = try layout(grid, status)
    let id = unsafe H5Dcreate2(
      file.id, Self.path(dataset.links), type.id, space.id, HDF5Library.defaults, properties.id,
      HDF5Library.defaults)
    guard id >= 0 else { throw status.failure("H5Dcreate2") }
    if let index = dataset.index {
      try attach(Reserved.index, [index], to: id, isScalar: true)
    }
    if let shape = dataset.shape { try attach(Reserved.shape, shape, to: id) }
    if let grid { return .chunked(grid, dataset: id) }
    defer { H5Dclose(id) }
    guard dataset.byteCount > 0 else { return .nowhere }
    let offset = H5Dget_offset(id)
    guard offset != graft_h5_no_address(), let place = Int(exactly: offset) else {
      throw status.failure("H5Dget_offset")
    }
    return .contiguous(offset: place)
  }

  // MARK: - Parts

  private mutating func createGroups(above links: [[UInt8]]) throws(StorageError) {
    for depth in links.indices.dropFirst() {
      let group = Array(links[..<depth])
      guard groups.insert(group).inserted else { continue }
      let properties = try Self.properties(graft_h5p_group_create(), status)
      _ = try status.handle(
        unsafe H5Gcreate2(
          file.id, Self.path(group), HDF5Library.defaults, properties.id, HDF5Library.defaults),
        "H5Gcreate2")
    }
  }

  private static func grid(for dataset: PlannedDataset) -> ChunkGrid? {
    guard dataset.byteCount >= compressedMinimum, !dataset.dimensions.isEmpty else { return nil }
    return ChunkGrid(
      cutting: dataset.dimensions, elementBytes: dataset.dtype.layout.bytes, target: chunkTarget)
  }

  private func layout(_ grid: ChunkGrid?, _ status: HDF5Status) throws(StorageError) -> Handle {
    let properties = try Self.properties(graft_h5p_dataset_create(), status)
    try status.done(H5Pset_fill_time(properties.id, H5D_FILL_TIME_NEVER), "H5Pset_fill_time")
    guard let grid, let level else {
      try status.done(H5Pset_alloc_time(properties.id, H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time")
      return properties
    }
    let chunk = grid.chunk.map { hsize_t($0) }
    try status.done(
      unsafe H5Pset_chunk(properties.id, Int32(chunk.count), chunk), "H5Pset_chunk")
    if grid.elementBytes > 1 { try status.done(H5Pset_shuffle(properties.id), "H5Pset_shuffle") }
    let parameters = [UInt32(level)]
    try status.done(
      unsafe H5Pset_filter(
        properties.id, Filter.zstdNumber, UInt32(H5Z_FLAG_MANDATORY), 1, parameters),
      "H5Pset_filter")
    return properties
  }

  private func attach(
    _ name: String, _ values: [Int], to object: hid_t, isScalar: Bool = false
  ) throws(StorageError) {
    let space = try Self.space(isScalar ? [] : [values.count], status)
    let attribute = try status.handle(
      unsafe H5Acreate2(
        object, name, graft_h5t_i64(), space.id, HDF5Library.defaults, HDF5Library.defaults),
      "H5Acreate2")
    let numbers = values.map { Int64($0) }
    try status.done(unsafe H5Awrite(attribute.id, graft_h5t_i64(), numbers), "H5Awrite")
  }

  /// Properties for creating something that keeps no times, which would differ from run to run.
  private static func properties(
    _ kind: hid_t, _ status: HDF5Status
  ) throws(StorageError) -> Handle {
    let properties = try status.handle(H5Pcreate(kind), "H5Pcreate")
    try status.done(H5Pset_obj_track_times(properties.id, false), "H5Pset_obj_track_times")
    return properties
  }

  private static func space(
    _ dimensions: [Int], _ status: HDF5Status
  ) throws(StorageError) -> Handle {
    guard !dimensions.isEmpty else { return try status.handle(H5Screate(H5S_SCALAR), "H5Screate") }
    let extents = dimensions.map { hsize_t($0) }
    return try status.handle(
      unsafe H5Screate_simple(Int32(extents.count), extents, nil), "H5Screate_simple")
  }

  private static func path(_ links: [[UInt8]]) -> [CChar] {
    links.flatMap { [CChar(bitPattern: UInt8(ascii: "/"))] + $0.map { CChar(bitPattern: $0) } }
      + [0]
  }
}
