internal import CHDF5
internal import GraftCore

/// A dataset of an open file: what it means and where its bytes are.
struct StoredDataset: Sendable {
  /// The address of its header, by which it is opened again.
  let address: haddr_t
  let type: StoredType
  /// The bytes of the elements.
  let byteCount: Int
  let storage: Storage

  /// How the bytes are kept.
  enum Storage: Sendable {
    /// In one piece of the file.
    case contiguous(offset: Int)
    /// In the header, at most 64 KiB.
    case compact
    /// In chunks, each encoded by filters of which some may be optional.
    case chunked(ChunkGrid, filters: [Filter], optional: UInt32, fill: [UInt8])
    /// Nowhere: every element is the fill value.
    case fill([UInt8])
  }

  /// Describes an open dataset and its extents.
  ///
  /// - Throws: ``StorageError`` when its bytes are outside the file, more than a limit, or of an unknown kind.
  static func describe(
    _ dataset: hid_t, at address: haddr_t, in file: InputFile, _ status: HDF5Status
  ) throws(StorageError) -> (dataset: StoredDataset, dimensions: [Int]) {
    let properties = try status.handle(H5Dget_create_plist(dataset), "H5Dget_create_plist")
    let layout = H5Pget_layout(properties.id)
    try refuseDataElsewhere(properties.id, layout, status)
    let typeHandle = try status.handle(H5Dget_type(dataset), "H5Dget_type")
    let type = try StoredType(reading: typeHandle.id, status)
    let dimensions = try extents(of: dataset, status)
    let byteCount = try checkedBytes(dimensions, type, file, status)
    func made(_ storage: Storage) -> (StoredDataset, [Int]) {
      (
        StoredDataset(address: address, type: type, byteCount: byteCount, storage: storage),
        dimensions
      )
    }
    guard byteCount > 0 else { return made(.fill([])) }
    switch layout {
    case H5D_COMPACT:
      guard byteCount <= 65_536 else {
        throw status.malformed("H-8", expected: "at most 65536 bytes", found: "\(byteCount) bytes")
      }
      return made(.compact)
    case H5D_CONTIGUOUS:
      let offset = H5Dget_offset(dataset)
      guard offset != graft_h5_no_address() else {
        return made(.fill(try fillValue(properties.id, typeHandle.id, type, status)))
      }
      guard let start = Int(exactly: offset), start <= file.byteCount,
        byteCount <= file.byteCount - start
      else {
        throw StorageError(
          .truncated(
            part: "tensor data (H-8)", expectedBytes: byteCount,
            foundBytes: max(0, file.byteCount - Int(clamping: offset))),
          file: file.path, tensor: status.tensor, offset: Int(clamping: offset))
      }
      return made(.contiguous(offset: start))
    case H5D_CHUNKED:
      let grid = try chunkGrid(properties.id, dimensions, type, status)
      let (filters, optional) = try pipeline(properties.id, type, status)
      return made(
        .chunked(
          grid, filters: filters, optional: optional,
          fill: try fillValue(properties.id, typeHandle.id, type, status)))
    default:
      throw StorageError(
        .unsupported(feature: "HDF5 layout (H-8)", found: "class \(layout.rawValue)"),
        file: status.file,
        tensor: status.tensor)
    }
  }

  // MARK: - Parts

  private static func refuseDataElsewhere(
    _ properties: hid_t, _ layout: H5D_layout_t, _ status: HDF5Status
  ) throws(StorageError) {
    guard layout != H5D_VIRTUAL else {
      throw StorageError(
        .refused(policy: "data in other files (H-6)", found: "a virtual dataset"),
        file: status.file, tensor: status.tensor)
    }
    let external = H5Pget_external_count(properties)
    guard external == 0 else {
      throw StorageError(
        .refused(policy: "data in other files (H-6)", found: "external storage"),
        file: status.file, tensor: status.tensor)
    }
  }

  private static func extents(
    of dataset: hid_t, _ status: HDF5Status
  ) throws(StorageError) -> [Int] {
    let space = try status.handle(H5Dget_space(dataset), "H5Dget_space")
    switch H5Sget_simple_extent_type(space.id) {
    case H5S_SCALAR: return []
    case H5S_SIMPLE: break
    default:
      throw StorageError(
        .unsupported(feature: "HDF5 dataspace (H-8)", found: "no extents"), file: status.file,
        tensor: status.tensor)
    }
    var dimensions = [hsize_t](repeating: 0, count: Int(H5S_MAX_RANK))
    let rank = H5Sget_simple_extent_ndims(space.id)
    guard (0...H5S_MAX_RANK).contains(rank),
      unsafe H5Sget_simple_extent_dims(space.id, &dimensions, nil) == rank
    else { throw status.failure("H5Sget_simple_extent_dims") }
    return try dimensions.prefix(Int(rank)).map { extent throws(StorageError) in
      guard let extent = Int(exactly: extent) else {
        throw StorageError(
          .overflow(part: "tensor (H-8)"), file: status.file, tensor: status.tensor)
      }
      return extent
    }
  }

  /// The bytes that extents declare, refused where a small file declares a giant.
  private static func checkedBytes(
    _ dimensions: [Int], _ type: StoredType, _ file: InputFile, _ status: HDF5Status
  ) throws(StorageError) -> Int {
    let count = try product(dimensions + [type.elementBytes], status)
    guard
      count <= HDF5Limits.sparseBytes || count / HDF5Limits.expansion <= file.byteCount
    else {
      throw StorageError(
        .limitExceeded(
          limit: "declared bytes per byte of the file (H-8)", maximum: HDF5Limits.expansion,
          found: "\(count) bytes in a file of \(file.byteCount)"),
        file: status.file, tensor: status.tensor)
    }
    return count
  }

  private static func product(
    _ factors: [Int], _ status: HDF5Status
  ) throws(StorageError) -> Int {
    do { return try Shape(factors).elementCount } catch {
      throw StorageError(.overflow(part: "tensor (H-8)"), file: status.file, tensor: status.tensor)
    }
  }

  private static func chunkGrid(
    _ properties: hid_t, _ dimensions: [Int], _ type: StoredType, _ status: HDF5Status
  ) throws(StorageError) -> ChunkGrid {
    var chunk = [hsize_t](repeating: 0, count: Int(H5S_MAX_RANK))
    let rank = unsafe H5Pget_chunk(properties, H5S_MAX_RANK, &chunk)
    let extents = chunk.prefix(max(0, Int(rank))).map { Int(clamping: $0) }
    guard Int(rank) == dimensions.count, rank > 0, extents.allSatisfy({ $0 > 0 }) else {
      throw status.malformed(
        "H-9", expected: "a chunk of \(dimensions.count) extents above 0", found: "\(extents)")
    }
    let bytes = try product(extents + [type.elementBytes], status)
    guard bytes <= HDF5Limits.chunkBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a chunk (H-9)", maximum: HDF5Limits.chunkBytes, found: "\(bytes)"),
        file: status.file, tensor: status.tensor)
    }
    return ChunkGrid(shape: dimensions, chunk: extents, elementBytes: type.elementBytes)
  }

  private static func pipeline(
    _ properties: hid_t, _ type: StoredType, _ status: HDF5Status
  ) throws(StorageError) -> (filters: [Filter], optional: UInt32) {
    let count = H5Pget_nfilters(properties)
    guard count >= 0, Int(count) <= HDF5Limits.filters else {
      throw StorageError(
        .limitExceeded(limit: "filters (H-10)", maximum: HDF5Limits.filters, found: "\(count)"),
        file: status.file, tensor: status.tensor)
    }
    var filters: [Filter] = []
    var optional: UInt32 = 0
    for position in 0..<UInt32(count) {
      var flags: UInt32 = 0
      var configuration: UInt32 = 0
      var parameters = [UInt32](repeating: 0, count: 16)
      var parameterCount = parameters.count
      let number = unsafe H5Pget_filter2(
        properties, position, &flags, &parameterCount, &parameters, 0, nil, &configuration)
      guard number >= 0 else { throw status.failure("H5Pget_filter2") }
      guard
        let filter = Filter(
          number: number, parameters: Array(parameters.prefix(min(16, parameterCount))))
      else {
        throw StorageError(
          .unsupported(feature: "HDF5 filter (H-10)", found: "number \(number)"), file: status.file,
          tensor: status.tensor, remedy: "store the dataset with gzip, shuffle or zstd")
      }
      filters.append(filter)
      if flags & UInt32(H5Z_FLAG_OPTIONAL) != 0 { optional |= 1 << position }
    }
    return (filters, optional)
  }

  /// The value of elements that were never written, in native byte order.
  private static func fillValue(
    _ properties: hid_t, _ typeHandle: hid_t, _ type: StoredType, _ status: HDF5Status
  ) throws(StorageError) -> [UInt8] {
    var value = [UInt8](repeating: 0, count: type.elementBytes)
    var defined = H5D_FILL_VALUE_UNDEFINED
    try status.done(unsafe H5Pfill_value_defined(properties, &defined), "H5Pfill_value_defined")
    guard defined == H5D_FILL_VALUE_USER_DEFINED else { return value }
    try status.done(
      unsafe H5Pget_fill_value(properties, typeHandle, &value), "H5Pget_fill_value")
    value.swapBytes(of: type.swappedBytes)
    return value
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
