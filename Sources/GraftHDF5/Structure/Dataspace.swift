internal import GraftCore

/// The extents of a dataset or attribute.
struct Dataspace {
  /// The extents; empty for a scalar.
  let dimensions: [Int]
  /// The extents up to which it may grow, nil where there is no bound; without a list it doesn't grow.
  private let bounds: [Int?]?

  /// The extents up to which it may grow; nil where there is no bound.
  var maximum: [Int?] { bounds ?? dimensions }

  /// The values; the product is known to fit.
  var elementCount: Int { dimensions.reduce(1, *) }

  /// The most dimensions that HDF5 knows.
  static let maximumRank = 32

  /// One value.
  static let scalar = Dataspace(dimensions: [], bounds: nil)

  private init(dimensions: [Int], bounds: [Int?]?) {
    self.dimensions = dimensions
    self.bounds = bounds
  }

  /// Reads the message.
  ///
  /// - Throws: ``StorageError`` for a space without extents, or extents that no memory has.
  init(_ body: StructureCursor) throws(StorageError) {
    var cursor = body
    let version = try cursor.version(1...2)
    let rank = try cursor.u8()
    let flags = try cursor.u8()
    if version == 1 {
      try cursor.skip(5)
    } else {
      let kind = try cursor.u8()
      guard kind == 0 || kind == 1 else {
        throw cursor.unsupported("HDF5 dataspace", found: "no extents")
      }
    }
    guard rank <= Self.maximumRank else {
      throw cursor.malformed("at most \(Self.maximumRank) dimensions", found: "\(rank)")
    }
    var dimensions: [Int] = []
    dimensions.reserveCapacity(rank)
    for _ in 0..<rank { dimensions.append(try Self.extent(&cursor)) }
    var bounds: [Int?]?
    for axis in 0..<(flags & 1 != 0 ? rank : 0) {
      let bound = try cursor.u64()
      guard bound >= dimensions[axis] else {
        throw cursor.malformed("a bound of \(dimensions[axis]) or more", found: "\(bound)")
      }
      // Most datasets don't grow, and need no list.
      if bounds == nil, bound > dimensions[axis] { bounds = dimensions }
      bounds?[axis] = bound == .max ? nil : Int(clamping: bound)
    }
    do { _ = try Shape(dimensions) } catch {
      throw StorageError(
        .overflow(part: "\(body.part) (\(body.rule))"), file: body.file.path, offset: body.offset)
    }
    self.dimensions = dimensions
    self.bounds = bounds
  }

  private static func extent(_ cursor: inout StructureCursor) throws(StorageError) -> Int {
    let value = try cursor.u64()
    guard let extent = Int(exactly: value) else {
      throw StorageError(
        .overflow(part: "\(cursor.part) (\(cursor.rule))"), file: cursor.file.path,
        offset: cursor.offset - 8)
    }
    return extent
  }
}
