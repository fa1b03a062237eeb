internal import GraftCore

/// A table of chunks by number: what the fixed and the extensible array have in common.
struct ChunkArrayElements {
  private let isFiltered: Bool
  /// The bytes of an element.
  let elementBytes: Int
  private let sizeBytes: Int
  private let chunkBytes: Int

  /// An element: nil for a chunk that was never written.
  typealias Element = (address: UInt64, byteCount: Int, skipped: UInt32)

  /// - Parameters:
  ///   - client: 0 for chunks as they are, 1 for filtered ones.
  ///   - elementBytes: what the table says of its elements.
  init(client: Int, elementBytes: Int, _ builder: ChunkIndexBuilder) throws(StorageError) {
    isFiltered = builder.isFiltered
    chunkBytes = builder.grid.chunkBytes
    self.elementBytes = elementBytes
    sizeBytes = isFiltered ? elementBytes - 12 : 0
    guard client == (isFiltered ? 1 : 0),
      isFiltered ? (1...8).contains(sizeBytes) : elementBytes == 8
    else {
      throw builder.malformed(
        "a table of \(isFiltered ? "filtered " : "")chunks",
        found: "kind \(client) with \(elementBytes) bytes each")
    }
  }

  /// Reads the next element.
  func read(_ cursor: inout StructureCursor) throws(StorageError) -> Element? {
    let address = try cursor.address()
    let byteCount = isFiltered ? try cursor.size(sizeBytes) : chunkBytes
    let skipped = isFiltered ? UInt32(try cursor.number(4)) : 0
    return address.map { ($0, byteCount, skipped) }
  }
}

extension ChunkIndexBuilder {
  // MARK: - Fixed array

  /// A table with a place for every chunk that the dataset can have; a long one has pages.
  mutating func readFixedArray(at address: UInt64) throws(StorageError) {
    var head = try file.cursor(at: address, count: 28, "fixed array", Self.rule)
    try head.signature("FAHD")
    try head.version(0...0)
    let client = try head.u8()
    let elements = try ChunkArrayElements(client: client, elementBytes: head.u8(), self)
    let pageBits = try head.u8()
    let count = try head.size()
    let block = try head.address()
    try head.checksum()
    guard let block else { return }
    guard count > 0, count <= HDF5Limits.chunks, (1...32).contains(pageBits) else {
      throw malformed("a table of at most \(HDF5Limits.chunks) chunks", found: "\(count)")
    }
    let table = try readFixedBlock(
      at: block, of: address, elements, count: count, pageElements: 1 << pageBits)
    let numbering = self
    try numbering.forEachNumber(of: maximumCounts) { position, number throws(StorageError) in
      guard number < count else {
        throw numbering.malformed("a table of every chunk", found: "\(count) places")
      }
      guard let element = table[number] else { return }
      try add(at: position, element.address, element.byteCount, skipped: element.skipped)
    }
  }

  private func readFixedBlock(
    at address: UInt64, of head: UInt64, _ elements: ChunkArrayElements, count: Int,
    pageElements: Int
  ) throws(StorageError) -> [ChunkArrayElements.Element?] {
    let pages = count > pageElements ? (count + pageElements - 1) / pageElements : 0
    let mapBytes = (pages + 7) / 8
    let prefix = 14 + mapBytes
    let bytes = prefix + (pages == 0 ? count * elements.elementBytes : 0) + 4
    var block = try file.cursor(at: address, count: bytes, "fixed array", Self.rule)
    try block.signature("FADB")
    try checkOwner(&block, head)
    let map = Array(try block.take(mapBytes))
    var table = [ChunkArrayElements.Element?](repeating: nil, count: count)
    guard pages > 0 else {
      for number in 0..<count { table[number] = try elements.read(&block) }
      try block.checksum()
      return table
    }
    try block.checksum()
    var place = address &+ UInt64(prefix + 4)
    for page in 0..<pages {
      let first = page * pageElements
      let length = min(pageElements, count - first)
      if map[page / 8] & 0x80 >> UInt8(page % 8) != 0 {
        var cursor = try file.cursor(
          at: place, count: length * elements.elementBytes + 4, "fixed array", Self.rule)
        for number in first..<first + length { table[number] = try elements.read(&cursor) }
        try cursor.checksum()
      }
      place = place &+ UInt64(pageElements * elements.elementBytes + 4)
    }
    return table
  }

  // MARK: - Extensible array

  /// A table that grows along the one axis without a bound: in its head block, then in blocks that double.
  mutating func readExtensibleArray(at address: UInt64) throws(StorageError) {
    var head = try file.cursor(at: address, count: 72, "extensible array", Self.rule)
    try head.signature("EAHD")
    try head.version(0...0)
    let client = try head.u8()
    let elements = try ChunkArrayElements(client: client, elementBytes: head.u8(), self)
    let array = try ExtensibleArray(&head, at: address, elements, self)
    try head.checksum()
    guard let index = array.indexBlock else { return }
    var table: [Int: ChunkArrayElements.Element] = [:]
    try array.forEach(from: index, in: file) { number, element throws(StorageError) in
      guard table.count < HDF5Limits.chunks else {
        throw malformed("at most \(HDF5Limits.chunks) chunks", found: "more")
      }
      table[number] = element
    }
    // The axis that grows comes first in the table's order.
    guard let growing = maximumCounts.firstIndex(where: { $0 == nil }) else {
      throw malformed("an axis that grows", found: "none")
    }
    let order = [growing] + counts.indices.filter { $0 != growing }
    let numbering = self
    try numbering.forEachNumber(of: maximumCounts, order: order) {
      position, number throws(StorageError) in
      guard let element = table[number] else { return }
      try add(at: position, element.address, element.byteCount, skipped: element.skipped)
    }
  }

  /// Passes the version, the kind and the owner of a block of a table.
  func checkOwner(_ cursor: inout StructureCursor, _ head: UInt64) throws(StorageError) {
    try cursor.version(0...0)
    guard try cursor.u8() == (isFiltered ? 1 : 0) else {
      throw cursor.malformed("a block of the table's kind", found: "another")
    }
    let owner = try cursor.number(8)
    guard owner == head else {
      throw cursor.malformed("a block of the table at \(head)", found: "one of \(owner)")
    }
  }
}

/// The geometry of an extensible array.
private struct ExtensibleArray {
  let indexBlock: UInt64?
  private let head: UInt64
  private let elements: ChunkArrayElements
  private let builder: ChunkIndexBuilder
  private let indexElements: Int
  private let minimumBlockElements: Int
  private let pointers: Int
  private let pageElements: Int
  private let offsetBytes: Int
  private let groupCount: Int
  /// One more than the last element that was written.
  private let length: Int

  init(
    _ cursor: inout StructureCursor, at address: UInt64, _ elements: ChunkArrayElements,
    _ builder: ChunkIndexBuilder
  ) throws(StorageError) {
    head = address
    self.elements = elements
    self.builder = builder
    let maximumBits = try cursor.u8()
    indexElements = try cursor.u8()
    minimumBlockElements = try cursor.u8()
    pointers = try cursor.u8()
    let pageBits = try cursor.u8()
    try cursor.skip(32)
    length = try cursor.size()
    try cursor.skip(8)
    indexBlock = try cursor.address()
    func isPower(_ value: Int) -> Bool { value > 0 && value & (value - 1) == 0 }
    guard (1...64).contains(maximumBits), isPower(minimumBlockElements), isPower(pointers),
      pointers > 1, (1...32).contains(pageBits),
      maximumBits >= minimumBlockElements.trailingZeroBitCount
    else { throw cursor.malformed("a table of blocks that double", found: "other numbers") }
    pageElements = 1 << pageBits
    offsetBytes = (maximumBits + 7) / 8
    groupCount = 1 + maximumBits - minimumBlockElements.trailingZeroBitCount
  }

  /// The blocks of group `group`, and the elements of each.
  private func group(_ group: Int) -> (blocks: Int, elements: Int) {
    (1 << (group / 2), minimumBlockElements << ((group + 1) / 2))
  }

  /// Visits the elements that were written.
  func forEach(
    from address: UInt64, in file: StructureFile,
    _ body: (Int, ChunkArrayElements.Element) throws(StorageError) -> Void
  ) throws(StorageError) {
    var seen: Set<UInt64> = [address]
    let directGroups = min(2 * pointers.trailingZeroBitCount, groupCount)
    let directBlocks = 2 * (pointers - 1)
    let count =
      14 + indexElements * elements.elementBytes + 8 * directBlocks
      + 8 * (groupCount - directGroups) + 4
    var block = try file.cursor(
      at: address, count: count, "extensible array", ChunkIndexBuilder.rule)
    try block.signature("EAIB")
    try builder.checkOwner(&block, head)
    for number in 0..<indexElements {
      if let element = try elements.read(&block), number < length { try body(number, element) }
    }
    var first = indexElements
    var isOver = false
    // The blocks of the first groups are named here, those of the others in a block for each group.
    for number in 0..<directGroups {
      let (blocks, size) = group(number)
      for _ in 0..<blocks {
        let place = try block.address()
        isOver = isOver || first >= length
        if let place, !isOver {
          try readBlock(at: place, first: first, size, nil, in: file, &seen, body)
        }
        first = Self.sum(first, size)
      }
    }
    for number in directGroups..<max(directGroups, groupCount) {
      let (blocks, size) = group(number)
      let place = try block.address()
      isOver = isOver || first >= length || blocks <= 0 || size <= 0
      guard !isOver else { continue }
      if let place { try readGroup(at: place, first: first, blocks, size, in: file, &seen, body) }
      let (total, isTooMuch) = blocks.multipliedReportingOverflow(by: size)
      first = isTooMuch ? .max : Self.sum(first, total)
    }
    try block.checksum()
  }

  private static func sum(_ left: Int, _ right: Int) -> Int {
    let (sum, isTooMuch) = left.addingReportingOverflow(right)
    return isTooMuch ? .max : sum
  }

  private func note(_ address: UInt64, _ seen: inout Set<UInt64>) throws(StorageError) {
    guard seen.insert(address).inserted else {
      throw builder.malformed("each block of a table once", found: "a second way to \(address)")
    }
  }

  private func pages(_ size: Int) -> Int { size > pageElements ? size / pageElements : 0 }

  private func readGroup(
    at address: UInt64, first: Int, _ blocks: Int, _ size: Int, in file: StructureFile,
    _ seen: inout Set<UInt64>,
    _ body: (Int, ChunkArrayElements.Element) throws(StorageError) -> Void
  ) throws(StorageError) {
    let mapBytes = (pages(size) + 7) / 8
    guard blocks <= HDF5Limits.chunks, mapBytes <= HDF5Limits.partBytes / blocks else {
      throw builder.malformed("at most \(HDF5Limits.chunks) chunks", found: "more")
    }
    let count = 14 + offsetBytes + blocks * (mapBytes + 8) + 4
    var block = try file.cursor(
      at: address, count: count, "extensible array", ChunkIndexBuilder.rule)
    try block.signature("EASB")
    try builder.checkOwner(&block, head)
    try note(address, &seen)
    try block.skip(offsetBytes)
    var maps: [[UInt8]] = []
    for _ in 0..<blocks { maps.append(Array(try block.take(mapBytes))) }
    for number in 0..<blocks {
      let place = try block.address()
      let start = Self.sum(first, number * size)
      guard let place, start < length else { continue }
      try readBlock(
        at: place, first: start, size, mapBytes > 0 ? maps[number] : nil, in: file, &seen, body)
    }
    try block.checksum()
  }

  private func readBlock(
    at address: UInt64, first: Int, _ size: Int, _ map: [UInt8]?, in file: StructureFile,
    _ seen: inout Set<UInt64>,
    _ body: (Int, ChunkArrayElements.Element) throws(StorageError) -> Void
  ) throws(StorageError) {
    let prefix = 14 + offsetBytes
    let isPaged = pages(size) > 0
    guard size <= HDF5Limits.partBytes else {
      throw builder.malformed("at most \(HDF5Limits.chunks) chunks", found: "more")
    }
    var block = try file.cursor(
      at: address, count: prefix + (isPaged ? 0 : size * elements.elementBytes) + 4,
      "extensible array", ChunkIndexBuilder.rule)
    try block.signature("EADB")
    try builder.checkOwner(&block, head)
    try note(address, &seen)
    try block.skip(offsetBytes)
    guard isPaged else {
      for number in 0..<size {
        if let element = try elements.read(&block), first + number < length {
          try body(first + number, element)
        }
      }
      return try block.checksum()
    }
    try block.checksum()
    let pageBytes = pageElements * elements.elementBytes + 4
    for page in 0..<pages(size) {
      let start = first + page * pageElements
      guard start < length else { return }
      guard let map, map[page / 8] & 0x80 >> UInt8(page % 8) != 0 else { continue }
      var cursor = try file.cursor(
        at: address &+ UInt64(prefix + 4 + page * pageBytes), count: pageBytes, "extensible array",
        ChunkIndexBuilder.rule)
      for number in 0..<pageElements {
        if let element = try elements.read(&cursor), start + number < length {
          try body(start + number, element)
        }
      }
      try cursor.checksum()
    }
  }
}
