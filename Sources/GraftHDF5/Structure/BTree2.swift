internal import GraftCore

/// A B-tree of version 2: records of one size, every node with a checksum.
struct BTree2 {
  /// The number of what the records are.
  let kind: Int
  /// The bytes of a record.
  let recordBytes: Int
  private let file: StructureFile
  private let nodeBytes: Int
  private let depth: Int
  private let root: UInt64?
  private let rootCount: Int

  private static let rule: StaticString = "H-23"
  /// Signature, version, kind and checksum of a node.
  private static let nodeOverhead = 10
  /// The most levels; a real tree has 5.
  private static let maximumDepth = 16

  /// Reads the head of a tree.
  init(at address: UInt64, in file: StructureFile) throws(StorageError) {
    self.file = file
    var cursor = try file.cursor(at: address, count: 38, "B-tree", Self.rule)
    try cursor.signature("BTHD")
    try cursor.version(0...0)
    kind = try cursor.u8()
    nodeBytes = try cursor.u32()
    recordBytes = try cursor.u16()
    depth = try cursor.u16()
    try cursor.skip(2)
    root = try cursor.address()
    rootCount = try cursor.u16()
    try cursor.skip(8)
    try cursor.checksum()
    guard recordBytes > 0, nodeBytes > Self.nodeOverhead + recordBytes,
      nodeBytes <= HDF5Limits.partBytes, depth <= Self.maximumDepth
    else {
      throw cursor.malformed(
        "nodes with room for records, at most \(Self.maximumDepth) levels",
        found: "\(nodeBytes) bytes, records of \(recordBytes), depth \(depth)")
    }
  }

  /// Visits all records in order.
  ///
  /// - Throws: ``StorageError`` when a node is reached twice or breaks its form.
  func forEachRecord(
    _ body: (StructureCursor) throws(StorageError) -> Void
  ) throws(StorageError) {
    guard let root, rootCount > 0 else { return }
    var seen: Set<UInt64> = []
    try visit(root, count: rootCount, depth: depth, pointers(), &seen, body)
  }

  /// How a level points to the one below.
  private struct Pointer {
    /// The bytes of the number of records of a child, and of those below it altogether.
    let countBytes: Int
    let totalBytes: Int
    /// The most records of a node of the level itself.
    let maximumCount: Int
  }

  /// The pointers of each level, the leaves' first.
  private func pointers() throws(StorageError) -> [Pointer] {
    let leafCount = (nodeBytes - Self.nodeOverhead) / recordBytes
    let countBytes = Datatype.width(of: UInt64(leafCount))
    var result = [Pointer(countBytes: 0, totalBytes: 0, maximumCount: leafCount)]
    var (total, totalBytes) = (UInt64(leafCount), 0)
    for _ in 0..<depth {
      let pointerBytes = 8 + countBytes + totalBytes
      let count = (nodeBytes - Self.nodeOverhead - pointerBytes) / (recordBytes + pointerBytes)
      let (product, isTooMany) = UInt64(max(0, count) + 1).multipliedReportingOverflow(by: total)
      let (sum, isTooMuch) = product.addingReportingOverflow(UInt64(max(0, count)))
      guard count > 0, !isTooMany, !isTooMuch else {
        throw StorageError(
          .malformed(
            rule: "HDF5 \(Self.rule)", expected: "nodes with room for records on every level",
            found: "nodes of \(nodeBytes) bytes"), file: file.path)
      }
      result.append(
        Pointer(countBytes: countBytes, totalBytes: totalBytes, maximumCount: count))
      total = sum
      totalBytes = Datatype.width(of: total)
    }
    return result
  }

  private func visit(
    _ address: UInt64, count: Int, depth: Int, _ levels: [Pointer], _ seen: inout Set<UInt64>,
    _ body: (StructureCursor) throws(StorageError) -> Void
  ) throws(StorageError) {
    let level = levels[depth]
    let pointerBytes = depth > 0 ? 8 + level.countBytes + level.totalBytes : 0
    let used = 6 + count * recordBytes + (depth > 0 ? (count + 1) * pointerBytes : 0) + 4
    guard count <= level.maximumCount, used <= nodeBytes else {
      throw StorageError(
        .malformed(
          rule: "HDF5 \(Self.rule)", expected: "at most \(level.maximumCount) records in a node",
          found: "\(count)"), file: file.path)
    }
    var node = try file.cursor(at: address, count: used, "B-tree", Self.rule)
    guard seen.insert(address).inserted else {
      throw node.malformed("each node of a tree once", found: "a second way to \(address)")
    }
    try node.signature(depth > 0 ? "BTIN" : "BTLF")
    try node.version(0...0)
    guard try node.u8() == kind else {
      throw node.malformed("nodes of the tree's kind, \(kind)", found: "another")
    }
    var records = try node.part(count * recordBytes)
    var children: [(address: UInt64, count: Int)] = []
    for _ in 0..<(depth > 0 ? count + 1 : 0) {
      guard let child = try node.address() else {
        throw node.malformed("a place for each child", found: "none")
      }
      children.append((child, try node.size(level.countBytes)))
      try node.skip(level.totalBytes)
    }
    try node.checksum()
    for position in 0..<max(count, children.count) {
      if depth > 0 {
        let child = children[position]
        try visit(child.address, count: child.count, depth: depth - 1, levels, &seen, body)
      }
      if position < count { try body(try records.part(recordBytes)) }
    }
  }
}
