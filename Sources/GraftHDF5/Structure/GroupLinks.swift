internal import GraftCore

/// The links of a group, of the old kind (a tree and a heap of names) or the new one (messages, or a heap of them).
struct GroupLinks {
  /// A link: a name, and the address of the object; nil when it leads anywhere but to an object of the file.
  struct Link {
    let name: [UInt8]
    let target: UInt64?
    /// Where in the file the address stands; 0 where that doesn't matter.
    let place: Int
  }

  /// The links in the order of their names.
  private(set) var links: [Link] = []
  private let file: StructureFile
  private let room: Int

  /// Reads the links of a group.
  ///
  /// - Parameter room: the links that the file may still have.
  /// - Throws: ``StorageError`` when there are more, or the structure that holds them is broken.
  init(_ header: ObjectHeader, in file: StructureFile, room: Int) throws(StorageError) {
    self.file = file
    self.room = room
    if let table = try header.body(.symbolTable) { try readOld(table.under("group", "H-22")) }
    for message in header.messages where message.kind == .link {
      guard !message.isShared else {
        throw header.body(of: message).unsupported("link", found: "one kept in a table of the file")
      }
      try read(header.body(of: message).under("link", "H-22"))
    }
    if let info = try header.body(.linkInfo) { try readHeap(info.under("group", "H-22")) }
    // Old groups have this order already.
    let isOrdered = links.indices.dropFirst().allSatisfy {
      links[$0 - 1].name.precedes(links[$0].name)
    }
    if !isOrdered { links.sort { $0.name.precedes($1.name) } }
  }

  private mutating func add(_ link: Link, _ cursor: StructureCursor) throws(StorageError) {
    guard !link.name.isEmpty, !link.name.contains(where: { $0 == 0 || $0 == UInt8(ascii: "/") })
    else {
      throw cursor.malformed("a name without / and NUL", found: "another")
    }
    guard links.count < room else {
      throw StorageError(
        .limitExceeded(limit: "objects (H-5)", maximum: HDF5Limits.objects, found: "more"),
        file: file.path)
    }
    guard link.name.count <= HDF5Limits.nameBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a name (H-5)", maximum: HDF5Limits.nameBytes,
          found: "\(link.name.count)"), file: file.path)
    }
    try file.spend(link.name.count)
    links.append(link)
  }

  // MARK: - Old groups

  private mutating func readOld(_ body: StructureCursor) throws(StorageError) {
    var cursor = body
    guard let tree = try cursor.address(), let heap = try cursor.address() else {
      throw body.malformed("a tree and a heap", found: "none")
    }
    let names = try LocalHeap(at: heap, in: file)
    var nodes: [UInt64] = []
    var reader = BTree1(.links, in: file)
    try reader.forEachLeaf(from: tree) { _, child in nodes.append(child) }
    var seen: Set<UInt64> = []
    for node in nodes {
      guard seen.insert(node).inserted else {
        throw body.malformed("each table of links once", found: "a second way to \(node)")
      }
      try readTable(at: node, names)
    }
  }

  private mutating func readTable(at address: UInt64, _ names: LocalHeap) throws(StorageError) {
    var head = try file.cursor(at: address, count: 8, "table of links", "H-22")
    try head.signature("SNOD")
    try head.version(1...1)
    try head.skip(1)
    let count = try head.u16()
    var table = try file.cursor(at: address, count: 8 + 40 * count, "table of links", "H-22")
    try table.skip(8)
    for _ in 0..<count {
      let name = try names.text(at: try table.number(8))
      let target = try table.address()
      let kind = try table.u32()
      try table.skip(20)
      // 2 is a soft link; 0 and 1 are objects, the latter with what a group's header says as well.
      guard kind <= 2 else { throw table.malformed("a link of kind 0 to 2", found: "\(kind)") }
      try add(Link(name: Array(name), target: kind == 2 ? nil : target, place: 0), table)
    }
  }

  // MARK: - New groups

  private mutating func readHeap(_ body: StructureCursor) throws(StorageError) {
    var cursor = body
    try cursor.version(0...0)
    let flags = try cursor.u8()
    try cursor.skip(flags & 1 != 0 ? 8 : 0)
    guard let address = try cursor.address(), let names = try cursor.address() else { return }
    let heap = try FractalHeap(at: address, in: file)
    let tree = try BTree2(at: names, in: file)
    guard tree.kind == 5 else {
      throw body.malformed("a tree of names", found: "kind \(tree.kind)")
    }
    try tree.forEachRecord { record throws(StorageError) in
      var record = record
      try record.skip(4)
      let identifier = try record.part(heap.identifierBytes)
      try read(try heap.object(identifier, "link", "H-22"))
    }
  }

  private mutating func read(_ body: StructureCursor) throws(StorageError) {
    var cursor = body
    try cursor.version(1...1)
    let flags = try cursor.u8()
    let kind = flags & 0x08 != 0 ? try cursor.u8() : 0
    try cursor.skip((flags & 0x04 != 0 ? 8 : 0) + (flags & 0x10 != 0 ? 1 : 0))
    let count = try cursor.size(1 << (flags & 3))
    let name = Array(try cursor.take(count))
    let place = cursor.offset
    try add(Link(name: name, target: kind == 0 ? try cursor.address() : nil, place: place), body)
  }
}

/// The names of the links of an old group.
private struct LocalHeap {
  private let data: StructureCursor

  init(at address: UInt64, in file: StructureFile) throws(StorageError) {
    var head = try file.cursor(at: address, count: 32, "heap of names", "H-22")
    try head.signature("HEAP")
    try head.version(0...0)
    try head.skip(3)
    let count = try head.size()
    try head.skip(8)
    guard let place = try head.address() else {
      throw head.malformed("a place for the names", found: "none")
    }
    data = try file.cursor(at: place, count: count, "heap of names", "H-22")
  }

  /// The name at an offset.
  func text(at offset: UInt64) throws(StorageError) -> ArraySlice<UInt8> {
    var cursor = data
    guard let offset = Int(exactly: offset), offset <= cursor.remaining else {
      throw data.malformed("names inside \(data.remaining) bytes", found: "one at \(offset)")
    }
    try cursor.skip(offset)
    return try cursor.text()
  }
}
