internal import CHDF5
internal import Glibc
internal import GraftCore

/// Creates the groups and datasets of a file, the same bytes for the same plan.
struct TreeBuilder {
  let file: OpenFile
  let status: HDF5Status
  private let level: Int32?
  private var groups: Set<LinkPath> = []

  /// The bytes of a chunk before compression, about.
  private static let chunkTarget = 1 << 20
  /// Below this, a dataset isn't worth an index of chunks.
  private static let compressedMinimum = 16 << 10
  /// Where the bytes of all but small datasets begin: at a multiple of a cache line.
  ///
  /// The library looks through all gaps for room, so that many small ones would take it quadratic time.
  private static let alignment: hsize_t = 64
  private static let alignedMinimum: hsize_t = 4096
  /// Structure is kept together in blocks, to be read together: about the bytes of an object's, and the most of a block.
  private static let objectBytes = 512
  private static let structureBlocks = 2048...1 << 20

  /// What the library keeps of the structure: by itself it takes as much as 32 MiB.
  private static let cachedBytes = 4 << 20

  /// Begins a tree in a file, which the caller keeps: it can't be closed during a visit.
  init(
    _ file: OpenFile, _ status: HDF5Status, attributes: [PlannedAttribute], level: Int32?
  ) throws(StorageError) {
    self.file = file
    self.status = status
    self.level = level
    for attribute in attributes { try attach(attribute, to: file.id) }
  }

  /// Creates the file at a path, over an empty one; errors name the status's.
  static func makeFile(
    _ path: String, _ status: HDF5Status, objectCount: Int
  ) throws(StorageError) -> OpenFile {
    let access = try makeAccessProperties(status)
    // Since 1.8 every piece of structure has a checksum; nothing later is needed.
    try status.done(
      H5Pset_libver_bounds(access.id, H5F_LIBVER_V18, H5F_LIBVER_V18), "H5Pset_libver_bounds")
    try status.done(
      H5Pset_alignment(access.id, alignedMinimum, alignment), "H5Pset_alignment")
    try status.done(H5Pset_small_data_block_size(access.id, 0), "H5Pset_small_data_block_size")
    let block = min(
      max(objectCount * objectBytes, structureBlocks.lowerBound), structureBlocks.upperBound)
    try status.done(
      H5Pset_meta_block_size(access.id, hsize_t(block)), "H5Pset_meta_block_size")
    try status.done(graft_h5p_limit_cache(access.id, cachedBytes), "H5Pset_mdc_config")
    let creation = try properties(graft_h5p_file_create(), status)
    var id: hid_t
    repeat {
      errno = 0
      id = unsafe H5Fcreate(path, graft_h5f_truncate(), creation.id, access.id)
      // libhdf5 doesn't make a call again that a signal interrupted.
    } while id < 0 && errno == EINTR
    guard id >= 0 else { throw status.failure("H5Fcreate") }
    return OpenFile(id)
  }

  /// Creates a group with attributes, and the groups above it.
  mutating func add(_ group: PlannedGroup) throws(StorageError) {
    let path = group.place.path
    try create(path)
    let id = try status.handle(
      unsafe H5Gopen2(file.id, path.cString, HDF5Library.defaults), "H5Gopen2")
    for attribute in group.attributes { try attach(attribute, to: id.id) }
  }

  /// Creates a dataset with attributes of a source, and the groups above it, and says where its bytes go.
  mutating func add(
    _ dataset: PlannedDataset, annotations: [HDF5Attribute]
  ) throws(StorageError) -> HDF5Writer.Place {
    var status = status
    status.tensor = dataset.tensor
    let path = dataset.place.path
    try create(path.group)
    let grid = level == nil ? nil : Self.grid(for: dataset)
    let type =
      dataset.isSpelled
      ? try DType.makePlainBytes(dataset.dtype.layout.bytes, status)
      : try dataset.dtype.makeStoredType(status)
    let space = try Self.space(dataset.dimensions, status)
    let properties = try layout(grid, status)
    let id = unsafe H5Dcreate2(
      file.id, path.cString, type.id, space.id, HDF5Library.defaults, properties.id,
      HDF5Library.defaults)
    guard id >= 0 else { throw status.failure("H5Dcreate2") }
    defer { H5Dclose(id) }
    for attribute in dataset.attributes { try attach(attribute, to: id) }
    try annotate(id, with: annotations)
    if let grid { return .chunked(grid, path) }
    guard dataset.byteCount > 0 else { return .nowhere }
    let offset = H5Dget_offset(id)
    guard offset != graft_h5_no_address(), let place = Int(exactly: offset) else {
      throw status.failure("H5Dget_offset")
    }
    return .contiguous(offset: place)
  }

  // MARK: - Parts

  /// Creates a group that isn't there yet, and those above it.
  mutating func create(_ group: LinkPath?) throws(StorageError) {
    guard let group, !groups.contains(group) else { return }
    guard group.links.count < HDF5Limits.depth, group.isShort else {
      throw StorageError(
        .notRepresentable(what: "so long a path of groups", inFormat: "HDF5"), file: status.file)
    }
    groups.insert(group)
    try create(group.group)
    let properties = try Self.properties(graft_h5p_group_create(), status)
    _ = try status.handle(
      unsafe H5Gcreate2(
        file.id, group.cString, HDF5Library.defaults, properties.id, HDF5Library.defaults),
      "H5Gcreate2")
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

  // MARK: - Attributes

  private func attach(_ attribute: PlannedAttribute, to object: hid_t) throws(StorageError) {
    try attribute.check(status)
    switch attribute.value {
    case .integer(let value): try attach(attribute.name, [value], [], to: object)
    case .integers(let values): try attach(attribute.name, values, [values.count], to: object)
    case .text(let text): try attach(attribute.name, text, to: object)
    case .texts(let texts): try attach(attribute.name, texts, to: object)
    }
  }

  private func attach(
    _ name: String, _ values: [Int], _ dimensions: [Int], to object: hid_t
  ) throws(StorageError) {
    let attribute = try create(name, graft_h5t_i64(), dimensions, on: object)
    let numbers = values.map { Int64($0) }
    try status.done(unsafe H5Awrite(attribute.id, graft_h5t_i64(), numbers), "H5Awrite")
  }

  private func attach(_ name: String, _ text: String, to object: hid_t) throws(StorageError) {
    let type = try textType(Self.variable)
    let attribute = try create(name, type.id, [], on: object)
    let result = unsafe text.withCString { pointer in
      var value: UnsafePointer<CChar>? = unsafe pointer
      return unsafe H5Awrite(attribute.id, type.id, &value)
    }
    try status.done(result, "H5Awrite")
  }

  private func attach(_ name: String, _ texts: [[UInt8]], to object: hid_t) throws(StorageError) {
    let width = max(1, texts.map(\.count).max() ?? 0)
    let type = try textType(width)
    let attribute = try create(name, type.id, [texts.count], on: object)
    guard !texts.isEmpty else { return }
    let padded = texts.flatMap { $0 + [UInt8](repeating: 0, count: width - $0.count) }
    try status.done(unsafe H5Awrite(attribute.id, type.id, padded), "H5Awrite")
  }

  /// A type of text, by default in UTF-8.
  func textType(
    _ width: Int, padding: H5T_str_t? = nil, characters: H5T_cset_t = H5T_CSET_UTF8
  ) throws(StorageError) -> Handle {
    let type = try status.handle(H5Tcopy(graft_h5t_text()), "H5Tcopy")
    try status.done(H5Tset_size(type.id, width), "H5Tset_size")
    try status.done(H5Tset_cset(type.id, characters), "H5Tset_cset")
    let usual = width == Self.variable ? H5T_STR_NULLTERM : H5T_STR_NULLPAD
    try status.done(H5Tset_strpad(type.id, padding ?? usual), "H5Tset_strpad")
    return type
  }

  /// The width of a type of text in the heap, H5T_VARIABLE.
  static let variable = -1

  /// Creates an attribute; one without extents has no value.
  func create(
    _ name: String, _ type: hid_t, _ dimensions: [Int]?, on object: hid_t
  ) throws(StorageError) -> Handle {
    let space =
      if let dimensions { try Self.space(dimensions, status) } else {
        try status.handle(H5Screate(H5S_NULL), "H5Screate")
      }
    return try status.handle(
      unsafe H5Acreate2(
        object, name, type, space.id, HDF5Library.defaults, HDF5Library.defaults), "H5Acreate2")
  }
}
