internal import GraftCore

/// Where the chunks of a dataset are, in the order of the grid.
struct ChunkIndex: Sendable {
  /// A chunk that was written.
  struct Entry: Sendable {
    /// The chunk, counted in row-major order over the grid.
    let chunk: Int
    /// Its first byte in the file.
    let offset: Int
    /// Its bytes as stored.
    let byteCount: Int
    /// The filters that it skipped.
    let skipped: UInt32
  }

  private let entries: [Entry]

  /// The chunks that were written.
  var count: Int { entries.count }

  /// A chunk; nil when it was never written.
  subscript(chunk: Int) -> Entry? {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].chunk < chunk { low = middle + 1 } else { high = middle }
    }
    return low < entries.count && entries[low].chunk == chunk ? entries[low] : nil
  }

  /// Reads the index of a dataset.
  ///
  /// - Throws: ``StorageError`` when the index is broken, or a chunk is outside the grid or the file, or there twice.
  init(
    _ layout: ChunkLayout, _ grid: ChunkGrid, isFiltered: Bool, maximum: [Int?],
    in file: StructureFile, tensor: TensorName?
  ) throws(StorageError) {
    var builder = ChunkIndexBuilder(
      file, grid, isFiltered: isFiltered, maximum: maximum, tensor: tensor)
    if let address = layout.address {
      switch layout.index {
      case .tree1: try builder.readTree1(at: address, rank: layout.dimensions.count)
      case .single(let byteCount, let skipped):
        try builder.add(chunk: 0, address, byteCount ?? grid.chunkBytes, skipped: skipped)
      case .implicit: try builder.readImplicit(from: address)
      case .fixedArray: try builder.readFixedArray(at: address)
      case .extensibleArray: try builder.readExtensibleArray(at: address)
      case .tree2: try builder.readTree2(at: address)
      }
    }
    entries = try builder.sorted()
  }
}

/// Collects the chunks of an index, each checked against the grid and the file.
struct ChunkIndexBuilder {
  let file: StructureFile
  let grid: ChunkGrid
  let isFiltered: Bool
  /// The chunks along each axis, now and at most.
  let counts: [Int]
  let maximumCounts: [Int?]
  private let tensor: TensorName?
  private var entries: [ChunkIndex.Entry] = []

  static let rule: StaticString = "H-24"

  init(
    _ file: StructureFile, _ grid: ChunkGrid, isFiltered: Bool, maximum: [Int?],
    tensor: TensorName?
  ) {
    self.file = file
    self.grid = grid
    self.isFiltered = isFiltered
    self.tensor = tensor
    counts = grid.shape.indices.map { grid.chunkCount(along: $0) }
    maximumCounts = zip(maximum, grid.chunk).map { extent, chunk in
      extent.map { $0 / chunk + ($0 % chunk > 0 ? 1 : 0) }
    }
  }

  /// Adds a chunk by its position in the grid.
  mutating func add(
    at position: [Int], _ address: UInt64, _ byteCount: Int, skipped: UInt32
  ) throws(StorageError) {
    var chunk = 0
    for (axis, place) in position.enumerated() {
      guard place >= 0, place < counts[axis] else {
        throw malformed("chunks inside the grid \(counts)", found: "one at \(position)")
      }
      chunk = chunk * counts[axis] + place
    }
    try add(chunk: chunk, address, byteCount, skipped: skipped)
  }

  /// Adds a chunk by its number.
  mutating func add(
    chunk: Int, _ address: UInt64, _ byteCount: Int, skipped: UInt32
  ) throws(StorageError) {
    guard isFiltered || byteCount == grid.chunkBytes else {
      throw malformed("\(grid.chunkBytes) bytes of a chunk without filters", found: "\(byteCount)")
    }
    guard byteCount > 0, byteCount <= 2 * grid.chunkBytes + 65_536 else {
      throw malformed(
        "a chunk that decodes to \(grid.chunkBytes) bytes", found: "\(byteCount) bytes")
    }
    guard entries.count < HDF5Limits.chunks else {
      throw StorageError(
        .limitExceeded(
          limit: "chunks of a dataset (\(Self.rule))", maximum: HDF5Limits.chunks, found: "more"),
        file: file.path, tensor: tensor)
    }
    let offset = try file.offset(
      of: address, count: byteCount, "chunk (H-12)", tensor: tensor)
    entries.append(
      ChunkIndex.Entry(chunk: chunk, offset: offset, byteCount: byteCount, skipped: skipped))
  }

  /// The chunks in order.
  ///
  /// - Throws: ``StorageError`` when one is there twice.
  func sorted() throws(StorageError) -> [ChunkIndex.Entry] {
    let sorted = entries.sorted { $0.chunk < $1.chunk }
    for (entry, next) in zip(sorted, sorted.dropFirst()) where entry.chunk == next.chunk {
      throw malformed("each chunk once", found: "number \(entry.chunk) twice")
    }
    return sorted
  }

  /// The error for an index that is wrong.
  func malformed(_ expected: String, found: String) -> StorageError {
    StorageError(
      .malformed(rule: "HDF5 \(Self.rule)", expected: expected, found: found), file: file.path,
      tensor: tensor)
  }

  // MARK: - Simple indexes

  /// Version 1 of the tree: the key of a chunk is its size, its mask and its corner.
  mutating func readTree1(at address: UInt64, rank: Int) throws(StorageError) {
    var reader = BTree1(.chunks(rank: rank), in: file)
    try reader.forEachLeaf(from: address) { key, child throws(StorageError) in
      var key = key
      let byteCount = try key.u32()
      let skipped = UInt32(try key.number(4))
      var position: [Int] = []
      for extent in grid.chunk {
        let corner = try key.size()
        guard corner % extent == 0 else {
          throw malformed("corners at multiples of \(extent)", found: "\(corner)")
        }
        position.append(corner / extent)
      }
      try add(at: position, child, byteCount, skipped: skipped)
    }
  }

  /// Version 2 of the tree: the address, the size and mask of a filtered chunk, and its place in the grid.
  mutating func readTree2(at address: UInt64) throws(StorageError) {
    let tree = try BTree2(at: address, in: file)
    guard tree.kind == (isFiltered ? 11 : 10) else {
      throw malformed("a tree of chunks", found: "one of kind \(tree.kind)")
    }
    let sizeBytes = tree.recordBytes - 8 - 8 * grid.shape.count - (isFiltered ? 4 : 0)
    guard isFiltered ? (1...8).contains(sizeBytes) : sizeBytes == 0 else {
      throw malformed("records of chunks", found: "records of \(tree.recordBytes) bytes")
    }
    try tree.forEachRecord { record throws(StorageError) in
      var record = record
      let address = try record.number(8)
      let byteCount = isFiltered ? try record.size(sizeBytes) : grid.chunkBytes
      let skipped = isFiltered ? UInt32(try record.number(4)) : 0
      var position: [Int] = []
      for _ in grid.shape { position.append(try record.size()) }
      try add(at: position, address, byteCount, skipped: skipped)
    }
  }

  /// All chunks that the dataset can have, one after the other.
  mutating func readImplicit(from address: UInt64) throws(StorageError) {
    let numbering = self
    try numbering.forEachNumber(of: maximumCounts) { position, number throws(StorageError) in
      let (distance, isTooMuch) = number.multipliedReportingOverflow(by: grid.chunkBytes)
      let (place, isOutside) = address.addingReportingOverflow(UInt64(clamping: distance))
      guard !isTooMuch, !isOutside else {
        throw numbering.malformed("chunks inside the file", found: "number \(number)")
      }
      try add(at: position, place, grid.chunkBytes, skipped: 0)
    }
  }

  /// Visits the chunks of the grid with their numbers in a table over axes that may be longer.
  ///
  /// - Parameter axes: the chunks along each axis of the table; the first one doesn't matter.
  func forEachNumber(
    of axes: [Int?], order: [Int]? = nil,
    _ body: (_ position: [Int], _ number: Int) throws(StorageError) -> Void
  ) throws(StorageError) {
    let order = order ?? Array(counts.indices)
    var strides = [Int](repeating: 1, count: counts.count)
    var stride = 1
    for (place, axis) in order.enumerated().reversed() {
      strides[axis] = stride
      guard place > 0 else { break }
      guard let count = axes[axis] else {
        throw malformed("an axis with a bound", found: "one that grows without end")
      }
      let (next, isTooMuch) = stride.multipliedReportingOverflow(by: count)
      guard !isTooMuch else { throw malformed("a table of chunks", found: "an endless one") }
      stride = next
    }
    let total = counts.reduce(1) { product, count in
      let (next, isTooMuch) = product.multipliedReportingOverflow(by: count)
      return isTooMuch ? .max : next
    }
    guard total <= HDF5Limits.chunks else {
      throw StorageError(
        .limitExceeded(
          limit: "chunks of a dataset (\(Self.rule))", maximum: HDF5Limits.chunks,
          found: "\(total)"), file: file.path, tensor: tensor)
    }
    var position = [Int](repeating: 0, count: counts.count)
    for _ in 0..<total {
      var number = 0
      for (place, stride) in zip(position, strides) {
        let (product, isTooMuch) = place.multipliedReportingOverflow(by: stride)
        let (sum, isTooMany) = number.addingReportingOverflow(product)
        guard !isTooMuch, !isTooMany else {
          throw malformed("a table of chunks", found: "an endless one")
        }
        number = sum
      }
      try body(position, number)
      for axis in counts.indices.reversed() {
        position[axis] += 1
        if position[axis] < counts[axis] { break }
        position[axis] = 0
      }
    }
  }
}
