internal import GraftCore

/// A dataset of an open file: what it means and where its bytes are.
struct StoredDataset: Sendable {
  /// The address of its header, which names it among all.
  private(set) var address: UInt64
  let type: StoredType
  /// The extents of the dataset itself.
  let dimensions: [Int]
  /// The bytes of the elements.
  let byteCount: Int
  private(set) var storage: Storage
  /// Whether the dataset has attributes that another file can hold as well.
  var isAnnotated = false

  /// The bytes as they count against the size of the file: small pieces of chunks count more.
  var countedBytes: Int {
    guard case .chunked(let storage) = storage else { return byteCount }
    let pieces = byteCount / storage.grid.runBytes
    let (counted, isTooMuch) = pieces.multipliedReportingOverflow(by: HDF5Limits.pieceBytes)
    return isTooMuch ? .max : max(byteCount, counted)
  }

  /// A dataset like this one at another address, whose bytes are in one piece from an offset on.
  func moved(to address: UInt64, offset: Int) -> StoredDataset {
    var moved = self
    moved.address = address
    moved.storage = .contiguous(offset: offset)
    return moved
  }

  /// How the bytes are kept.
  enum Storage: Sendable {
    /// In one piece of the file.
    case contiguous(offset: Int)
    /// In chunks.
    indirect case chunked(ChunkedStorage)
    /// Nowhere: every element is the fill value.
    case fill([UInt8])
  }

  /// Describes the dataset of a header.
  ///
  /// - Parameters:
  ///   - spelling: the dtype that Keras names in an attribute, where the type is just bytes.
  ///   - tensor: the name for an error, which is made only then.
  /// - Throws: ``StorageError`` when its bytes are outside the file, more than a limit, or of an unknown kind.
  init(
    _ header: ObjectHeader, at address: UInt64, spelling: String?, in file: StructureFile,
    _ tensor: () -> TensorName
  ) throws(StorageError) {
    let parts = try Parts(header, file, tensor)
    let datatype = try Self.datatype(header, file)
    guard let type = StoredType(datatype, spelling: spelling) else {
      throw StorageError(
        .unsupported(feature: "HDF5 element type (H-7)", found: datatype.words), file: file.path,
        tensor: tensor())
    }
    self.address = address
    self.type = type
    dimensions = parts.space.dimensions
    let (bytes, isTooMuch) = parts.space.elementCount.multipliedReportingOverflow(
      by: type.elementBytes)
    guard !isTooMuch else {
      throw StorageError(.overflow(part: "tensor (H-8)"), file: file.path, tensor: tensor())
    }
    byteCount = bytes
    guard bytes > 0 else {
      storage = .fill([])
      return
    }
    switch parts.layout {
    case .compact(let offset, let count):
      guard bytes <= count else {
        throw StorageError(
          .truncated(part: "tensor data (H-8)", expectedBytes: bytes, foundBytes: count),
          file: file.path, tensor: tensor(), offset: offset)
      }
      storage = .contiguous(offset: offset)
    case .contiguous(nil): storage = .fill(try parts.fill(type))
    case .contiguous(let place?):
      storage = .contiguous(
        offset: try file.offset(of: place, count: bytes, "tensor data (H-8)", tensor: tensor()))
    case .chunked(let layout):
      storage = .chunked(
        try ChunkedStorage(
          layout, parts.space, type, try parts.pipeline(), fill: try parts.fill(type), file, tensor)
      )
    case .virtual:
      throw StorageError(
        .refused(policy: "data in other files (H-6)", found: "a virtual dataset"), file: file.path,
        tensor: tensor())
    }
  }

  /// What the messages of a header say of a dataset.
  private struct Parts {
    let layout: DataLayout
    let space: Dataspace
    let header: ObjectHeader

    init(
      _ header: ObjectHeader, _ file: StructureFile, _ tensor: () -> TensorName
    ) throws(StorageError) {
      guard header.first(.externalFiles) == nil else {
        throw StorageError(
          .refused(policy: "data in other files (H-6)", found: "external storage"), file: file.path,
          tensor: tensor())
      }
      guard let layout = try header.body(.layout), let space = try header.body(.dataspace) else {
        throw StorageError(
          .malformed(
            rule: "HDF5 H-21", expected: "a layout and extents", found: "a header without"),
          file: file.path, tensor: tensor())
      }
      self.header = header
      self.layout = try DataLayout(layout.under("layout", "H-8"))
      // Extents of data elsewhere needn't be read.
      self.space =
        if case .virtual = self.layout { Dataspace.scalar } else {
          try Dataspace(space.under("dataspace", "H-8"))
        }
    }

    func pipeline() throws(StorageError) -> FilterPipeline {
      guard let body = try header.body(.filters) else { return FilterPipeline() }
      return try FilterPipeline(body.under("filter", "H-10"))
    }

    /// The value of elements that were never written, in native byte order.
    func fill(_ type: StoredType) throws(StorageError) -> [UInt8] {
      var value = try FillValue.bytes(header, elementBytes: type.elementBytes)
      value.swapBytes(of: type.swappedBytes)
      return value
    }
  }

  /// The element type, which may stand in the header of a named datatype.
  private static func datatype(
    _ header: ObjectHeader, _ file: StructureFile
  ) throws(StorageError) -> Datatype {
    guard let message = header.first(.datatype) else {
      throw StorageError(
        .malformed(rule: "HDF5 H-21", expected: "an element type", found: "a header without"),
        file: file.path)
    }
    if message.isShared {
      var cursor = header.body(of: message).under("shared message", "H-21")
      let version = try cursor.version(1...3)
      let kind = try cursor.u8()
      guard version < 3 || kind == 2 else {
        throw cursor.unsupported("element type", found: "one kept in a table of the file")
      }
      // Version 1 has an entry of a group's table: two reserved words, then the address.
      try cursor.skip(version == 1 ? 14 : 0)
      let named = try ObjectHeader(at: try cursor.number(8), in: file)
      guard let found = named.first(.datatype), !found.isShared else {
        throw cursor.malformed("a named datatype", found: "another object")
      }
      var type = named.body(of: found).under("datatype", "H-7")
      return try Datatype(&type)
    }
    var cursor = header.body(of: message).under("datatype", "H-7")
    return try Datatype(&cursor)
  }
}

/// A dataset in chunks, each encoded by filters of which some may be optional.
struct ChunkedStorage: Sendable {
  let grid: ChunkGrid
  let filters: [Filter]
  /// Bit `i` says that filter `i` may be missing.
  let optional: UInt32
  /// The bytes of an element that was never written.
  let fill: [UInt8]
  let layout: ChunkLayout
  /// The extents up to which the dataset may grow.
  let maximum: [Int?]

  init(
    _ layout: ChunkLayout, _ space: Dataspace, _ type: StoredType, _ pipeline: FilterPipeline,
    fill: [UInt8], _ file: StructureFile, _ tensor: () -> TensorName
  ) throws(StorageError) {
    let extents = Array(layout.dimensions.dropLast())
    guard extents.count == space.dimensions.count, !extents.isEmpty,
      extents.allSatisfy({ $0 > 0 }), layout.dimensions.last == type.elementBytes
    else {
      throw StorageError(
        .malformed(
          rule: "HDF5 H-9",
          expected: "a chunk of \(space.dimensions.count) extents above 0 and \(type.elementBytes)",
          found: "\(layout.dimensions)"), file: file.path, tensor: tensor())
    }
    let bytes = layout.dimensions.reduce(1) { product, extent in
      let (next, isTooMuch) = product.multipliedReportingOverflow(by: extent)
      return isTooMuch ? .max : next
    }
    let limit = max(
      HDF5Limits.usualChunkBytes, min(HDF5Limits.chunkBytes, file.end - file.base))
    guard bytes <= limit else {
      throw StorageError(
        .limitExceeded(limit: "bytes of a chunk (H-9)", maximum: limit, found: "\(bytes)"),
        file: file.path, tensor: tensor())
    }
    if case .single = layout.index, zip(extents, space.dimensions).contains(where: { $0 < $1 }) {
      throw StorageError(
        .malformed(rule: "HDF5 H-9", expected: "one chunk over all", found: "\(extents)"),
        file: file.path, tensor: tensor())
    }
    grid = ChunkGrid(shape: space.dimensions, chunk: extents, elementBytes: type.elementBytes)
    filters = pipeline.filters
    optional = pipeline.optional
    self.fill = fill
    self.layout = layout
    maximum = space.maximum
  }

  /// The filters of a chunk: none for one that reaches past the edge, where the layout says so.
  func filters(ofChunk index: Int) -> [Filter] {
    layout.leavesEdges && grid.usedBytes(of: index) < grid.chunkBytes ? [] : filters
  }
}

extension [UInt8] {
  /// Reverses the bytes of every group of `width`.
  mutating func swapBytes(of width: Int) {
    guard width > 1 else { return }
    for start in stride(from: 0, to: count - width + 1, by: width) {
      for byte in 0..<width / 2 { swapAt(start + byte, start + width - 1 - byte) }
    }
  }
}
