internal import GraftCore

/// The header of a group, dataset or named datatype: its messages, from all its blocks.
struct ObjectHeader {
  /// The messages that are read here, by their numbers in the specification.
  enum Kind: Int {
    case dataspace = 0x01
    case linkInfo = 0x02
    case datatype = 0x03
    case oldFillValue = 0x04
    case fillValue = 0x05
    case link = 0x06
    case externalFiles = 0x07
    case layout = 0x08
    case filters = 0x0B
    case attribute = 0x0C
    case continuation = 0x10
    case symbolTable = 0x11
    case attributeInfo = 0x15
  }

  /// A message: a fact about the object.
  struct Message {
    let kind: Kind
    /// Whether the body says where the message is instead of being it.
    let isShared: Bool
    /// The block that the body stands in, and its place there.
    fileprivate let block: Int32
    fileprivate let start: Int32
    fileprivate let count: Int32
  }

  /// The messages in the order of the file.
  private(set) var messages: [Message] = []
  private let file: StructureFile
  /// The messages of the first block, and of each further one.
  private var main: StructureCursor?
  private var others: [StructureCursor] = []
  /// Where in the file the first block is.
  private(set) var extent = 0..<0
  /// The second of two blocks with checksums: where in the file its address stands, where it is itself, and its bytes.
  private(set) var continuation: (place: Int, extent: Range<Int>, bytes: [UInt8])?
  /// Whether blocks end with a checksum.
  private(set) var hasChecksum = false

  private static let rule: StaticString = "H-20"
  /// The largest number that the specification gives to a message.
  private static let lastKnownNumber = 0x18

  /// Reads the header at an address.
  ///
  /// - Throws: ``StorageError`` when a block lies outside the file, is reached twice, or breaks its form.
  init(at address: UInt64, in file: StructureFile) throws(StorageError) {
    self.file = file
    var blocks = Blocks(first: address)
    messages.reserveCapacity(8)
    let start = try file.beginning(at: address, count: 64, "object header", Self.rule)
    if start.begins(with: "OHDR") {
      try readNew(start, at: address, &blocks)
    } else {
      try readOld(start, at: address, &blocks)
    }
  }

  /// Where in the file the whole header is; nil where it has several blocks.
  var place: Range<Int>? { others.isEmpty ? extent : nil }

  /// Whether the header has one block, or a second one with a checksum.
  var isShort: Bool { others.isEmpty || others.count == 1 && continuation != nil }

  /// The first message of a kind.
  func first(_ kind: Kind) -> Message? { messages.first { $0.kind == kind } }

  /// The body of a message.
  func body(of message: Message) -> StructureCursor {
    let place = Int(message.start)..<Int(message.start) + Int(message.count)
    guard message.block == 0, let main else {
      return others[Int(message.block) - 1].part(at: place)
    }
    return main.part(at: place)
  }

  /// The body of the first message of a kind, which stands here; nil when there is none.
  ///
  /// - Throws: ``StorageError/Reason/unsupported(feature:found:)`` when it is kept elsewhere.
  func body(_ kind: Kind) throws(StorageError) -> StructureCursor? {
    guard let message = first(kind) else { return nil }
    guard !message.isShared else {
      throw body(of: message).unsupported(
        "header message", found: "one kept in a table of the file")
    }
    return body(of: message)
  }

  // MARK: - Blocks

  /// The blocks that a header is known to have.
  private struct Blocks {
    let first: UInt64
    var others: Set<UInt64> = []
    /// Those that weren't read, and where in the file their addresses stand.
    var waiting: [(address: UInt64, count: Int, place: Int)] = []

    init(first: UInt64) { self.first = first }
  }

  /// Version 1: no signature, no checksum.
  private mutating func readOld(
    _ start: StructureCursor, at address: UInt64, _ blocks: inout Blocks
  ) throws(StorageError) {
    var start = start
    let beginning = start.offset
    try start.version(1...1)
    try start.skip(7)
    let count = try start.u32()
    try start.skip(4)
    extent = beginning..<start.offset + count
    try read(
      file.cursor(at: address &+ 16, count: count, "object header", Self.rule),
      isNew: false, hasOrder: false, &blocks)
    while let block = blocks.waiting.popLast() {
      let cursor = try file.cursor(
        at: block.address, count: block.count, "object header", Self.rule)
      try read(cursor, isNew: false, hasOrder: false, &blocks)
    }
  }

  /// Version 2: every block has a signature and a checksum.
  private mutating func readNew(
    _ start: StructureCursor, at address: UInt64, _ blocks: inout Blocks
  ) throws(StorageError) {
    var start = start
    let beginning = start.offset
    try start.skip(4)
    try start.version(2...2)
    let flags = try start.u8()
    try start.skip((flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0))
    let count = try start.size(1 << (flags & 3))
    let prefix = start.offset - beginning
    guard count <= HDF5Limits.partBytes else {
      throw start.malformed("a header of at most \(HDF5Limits.partBytes) bytes", found: "\(count)")
    }
    var whole = try file.cursor(
      at: address, count: prefix + count + 4, "object header", Self.rule)
    extent = beginning..<beginning + prefix + count + 4
    hasChecksum = true
    try whole.skip(prefix)
    let hasOrder = flags & 0x04 != 0
    try read(try whole.part(count), isNew: true, hasOrder: hasOrder, &blocks)
    try whole.checksum()
    while let block = blocks.waiting.popLast() {
      var cursor = try file.cursor(
        at: block.address, count: block.count, "object header", Self.rule)
      let extent = cursor.offset..<cursor.offset + cursor.remaining
      continuation = others.isEmpty ? (block.place, extent, Array(cursor.rest)) : nil
      try cursor.signature("OCHK")
      try read(
        try cursor.part(cursor.remaining - 4), isNew: true, hasOrder: hasOrder, &blocks)
      try cursor.checksum()
    }
  }

  // MARK: - Messages

  private mutating func read(
    _ block: StructureCursor, isNew: Bool, hasOrder: Bool, _ blocks: inout Blocks
  ) throws(StorageError) {
    var block = block
    let number = main == nil ? 0 : others.count + 1
    if main == nil { main = block } else { others.append(block) }
    let prefixBytes = isNew ? (hasOrder ? 6 : 4) : 8
    // A rest that is too short for a message is a gap.
    while block.remaining >= prefixBytes {
      let kindNumber = isNew ? try block.u8() : try block.u16()
      let count = try block.u16()
      let flags = try block.u8()
      try block.skip(isNew ? (hasOrder ? 2 : 0) : 3)
      let place = try block.pass(count)
      guard let kind = Kind(rawValue: kindNumber) else {
        guard kindNumber <= Self.lastKnownNumber || flags & 0x80 == 0 else {
          throw block.part(at: place).unsupported(
            "header message", found: "number \(kindNumber), which must be known")
        }
        continue
      }
      if kind == .continuation {
        try add(block.part(at: place), to: &blocks)
      } else {
        messages.append(
          Message(
            kind: kind, isShared: flags & 0x02 != 0, block: Int32(number),
            start: Int32(place.lowerBound), count: Int32(count)))
      }
    }
  }

  private func add(_ body: StructureCursor, to blocks: inout Blocks) throws(StorageError) {
    var cursor = body
    let place = cursor.offset
    guard let address = try cursor.address() else {
      throw body.malformed("a place for the header's next block", found: "none")
    }
    let count = try cursor.size()
    guard address != blocks.first, blocks.others.insert(address).inserted else {
      throw body.malformed("each block of a header once", found: "a second way to \(address)")
    }
    guard blocks.others.count < HDF5Limits.headerBlocks else {
      throw StorageError(
        .limitExceeded(
          limit: "blocks of an object header (H-20)", maximum: HDF5Limits.headerBlocks,
          found: "more"), file: file.path, offset: body.offset)
    }
    blocks.waiting.append((address, count, place))
  }
}
