internal import GraftCore

/// The filters that a dataset's chunks went through, first step first.
struct FilterPipeline {
  /// The filters.
  private(set) var filters: [Filter] = []
  /// Bit `i` says that step `i` may be missing.
  private(set) var optional: UInt32 = 0

  /// No filters.
  init() {}

  /// Reads the message.
  ///
  /// - Throws: ``StorageError`` for a filter that isn't one of those that are read, or too many.
  init(_ body: StructureCursor) throws(StorageError) {
    var cursor = body
    let version = try cursor.version(1...2)
    let count = try cursor.u8()
    guard count <= HDF5Limits.filters else {
      throw StorageError(
        .limitExceeded(limit: "filters (H-10)", maximum: HDF5Limits.filters, found: "\(count)"),
        file: body.file.path, offset: body.offset)
    }
    if version == 1 { try cursor.skip(6) }
    for position in 0..<count {
      let number = try cursor.u16()
      let nameBytes = version == 1 || number >= 256 ? try cursor.u16() : 0
      let flags = try cursor.u16()
      let parameterCount = try cursor.u16()
      try cursor.skip(version == 1 ? (nameBytes + 7) / 8 * 8 : nameBytes)
      guard 4 * parameterCount <= cursor.remaining else {
        throw cursor.malformed(
          "\(parameterCount) parameters of a filter", found: "\(cursor.remaining) bytes")
      }
      var parameters: [UInt32] = []
      for _ in 0..<parameterCount { parameters.append(UInt32(try cursor.number(4))) }
      if version == 1, parameterCount % 2 == 1 { try cursor.skip(4) }
      guard let filter = Filter(number: number, parameters: parameters) else {
        throw StorageError(
          .unsupported(feature: "HDF5 filter (H-10)", found: "number \(number)"),
          file: body.file.path, offset: body.offset,
          remedy: "store the dataset with gzip, shuffle or zstd")
      }
      filters.append(filter)
      if flags & 1 != 0 { optional |= 1 << UInt32(position) }
    }
  }
}
