internal import GraftCore

/// Where the elements of a dataset are.
enum DataLayout {
  /// In the message itself, at a place in the file.
  case compact(offset: Int, byteCount: Int)
  /// In one piece; nil when they were never written.
  case contiguous(UInt64?)
  /// In chunks.
  case chunked(ChunkLayout)
  /// In other datasets.
  case virtual

  /// Reads the message.
  ///
  /// - Throws: ``StorageError`` for versions and classes that aren't read, and what breaks its form.
  init(_ body: StructureCursor) throws(StorageError) {
    var cursor = body
    // Version 5 is 4 with wider sizes of filtered chunks in the indexes, which say themselves how wide.
    let version = try cursor.version(1...5)
    guard version > 2 else {
      self = try Self.old(&cursor)
      return
    }
    let kind = try cursor.u8()
    switch kind {
    case 0:
      let count = try cursor.u16()
      let part = try cursor.part(count)
      self = .compact(offset: part.offset, byteCount: count)
    case 1: self = .contiguous(try cursor.address())
    case 2:
      self = .chunked(
        version == 3 ? try ChunkLayout.version3(&cursor) : try ChunkLayout.version4(&cursor))
    case 3: self = .virtual
    default: throw cursor.unsupported("HDF5 layout", found: "class \(kind)")
    }
  }

  /// Where in the file the message says where the elements are in one piece; nil for other forms.
  ///
  /// - Throws: ``StorageError`` when the message is cut short.
  static func placeOfAddress(_ body: StructureCursor?) throws(StorageError) -> Int? {
    guard var cursor = body, cursor.remaining >= 10 else { return nil }
    let (version, kind) = (try cursor.u8(), try cursor.u8())
    return (3...5).contains(version) && kind == 1 ? cursor.offset : nil
  }

  /// Versions 1 and 2.
  private static func old(_ cursor: inout StructureCursor) throws(StorageError) -> DataLayout {
    let rank = try cursor.u8()
    let kind = try cursor.u8()
    try cursor.skip(5)
    let address = kind == 0 ? nil : try cursor.address()
    var dimensions: [Int] = []
    for _ in 0..<rank { dimensions.append(try cursor.u32()) }
    switch kind {
    case 0:
      let count = try cursor.u32()
      let part = try cursor.part(count)
      return .compact(offset: part.offset, byteCount: count)
    case 1: return .contiguous(address)
    case 2: return .chunked(ChunkLayout(dimensions: dimensions, index: .tree1, address: address))
    default: throw cursor.unsupported("HDF5 layout", found: "class \(kind)")
    }
  }
}

/// How a dataset is cut into chunks, and how they are found.
struct ChunkLayout {
  /// The extents of a chunk; the last is the bytes of an element.
  let dimensions: [Int]
  let index: Index
  /// Where the index is, or the chunks themselves; nil when nothing was written.
  let address: UInt64?
  /// Whether the chunks that reach past the edge are stored as they are.
  var leavesEdges = false

  /// How chunks are found.
  enum Index {
    /// By a B-tree, version 1.
    case tree1
    /// There is one; with its size and mask where it is filtered.
    case single(byteCount: Int?, skipped: UInt32)
    /// They follow each other.
    case implicit
    /// By a table as long as the dataset can become.
    case fixedArray
    /// By a table that grows along one axis.
    case extensibleArray
    /// By a B-tree, version 2.
    case tree2
  }

  static func version3(_ cursor: inout StructureCursor) throws(StorageError) -> ChunkLayout {
    let rank = try cursor.u8()
    let address = try cursor.address()
    var dimensions: [Int] = []
    for _ in 0..<rank { dimensions.append(try cursor.u32()) }
    return ChunkLayout(dimensions: dimensions, index: .tree1, address: address)
  }

  static func version4(_ cursor: inout StructureCursor) throws(StorageError) -> ChunkLayout {
    let flags = try cursor.u8()
    let rank = try cursor.u8()
    let width = try cursor.u8()
    guard (1...8).contains(width) else {
      throw cursor.malformed("extents of 1 to 8 bytes", found: "\(width)")
    }
    var dimensions: [Int] = []
    for _ in 0..<rank { dimensions.append(try cursor.size(width)) }
    let kind = try cursor.u8()
    let index: Index
    switch kind {
    case 1:
      let isFiltered = flags & 2 != 0
      let byteCount = isFiltered ? try cursor.size() : nil
      index = .single(
        byteCount: byteCount, skipped: isFiltered ? UInt32(try cursor.number(4)) : 0)
    case 2: index = .implicit
    case 3:
      try cursor.skip(1)
      index = .fixedArray
    case 4:
      try cursor.skip(5)
      index = .extensibleArray
    case 5:
      try cursor.skip(6)
      index = .tree2
    default: throw cursor.unsupported("index of chunks", found: "number \(kind)")
    }
    return ChunkLayout(
      dimensions: dimensions, index: index, address: try cursor.address(),
      leavesEdges: flags & 1 != 0)
  }
}
