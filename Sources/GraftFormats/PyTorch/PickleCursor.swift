internal import GraftCore

/// Reads a pickle's opcodes and their arguments, inside its frames.
struct PickleCursor {
  let bytes: [UInt8]
  let file: String
  /// Where the bytes begin in the file; nil where they don't stand in it as they are.
  let base: Int?
  /// The next byte.
  private(set) var position: Int
  /// The end of the frame that is being read.
  private var frameEnd: Int?

  init(_ bytes: [UInt8], at position: Int = 0, file: String, base: Int?) {
    self.bytes = bytes
    self.file = file
    self.base = base
    self.position = position
  }

  /// The bytes that may be read next.
  private var end: Int { frameEnd ?? bytes.count }

  /// The next opcode; frames end where an opcode does.
  mutating func opcode() throws(StorageError) -> UInt8 {
    if position == frameEnd { frameEnd = nil }
    return try byte()
  }

  mutating func byte() throws(StorageError) -> UInt8 {
    guard position < end else { throw cut(1) }
    defer { position += 1 }
    return bytes[position]
  }

  /// A little-endian number of 1 to 8 bytes.
  mutating func number(_ width: Int) throws(StorageError) -> UInt64 {
    guard width <= end - position else { throw cut(width) }
    var value: UInt64 = 0
    for place in position..<position + width {
      value |= UInt64(bytes[place]) << UInt64(8 * (place - position))
    }
    position += width
    return value
  }

  /// A run of so many bytes.
  mutating func run(_ count: Int) throws(StorageError) -> PickleSlice {
    guard count <= end - position else { throw cut(count) }
    defer { position += count }
    return PickleSlice(position..<position + count)
  }

  /// A run of bytes behind its length, which has `width` bytes.
  mutating func counted(_ width: Int) throws(StorageError) -> PickleSlice {
    let declared = try number(width)
    guard let count = Int(exactly: declared) else {
      throw StorageError(
        .truncated(part: "pickle (pytorch P-5)", expectedBytes: .max, foundBytes: end - position),
        file: file, offset: offset)
    }
    return try run(count)
  }

  /// A line without its end.
  mutating func line() throws(StorageError) -> PickleSlice {
    let start = position
    while try byte() != 0x0A {}
    return PickleSlice(start..<position - 1)
  }

  /// Begins a frame of so many bytes.
  mutating func beginFrame() throws(StorageError) {
    let start = position - 1
    let declared = try number(8)
    guard frameEnd == nil, let count = Int(exactly: declared), count <= bytes.count - position
    else {
      throw StorageError(
        .malformed(
          rule: "pytorch P-6", expected: "a frame inside the pickle and in no other",
          found: "\(declared) bytes"),
        file: file, offset: base.map { $0 + start })
    }
    frameEnd = position + count
  }

  /// Checks that a frame doesn't go on behind the end.
  func checkFrameEnd() throws(StorageError) {
    guard let frameEnd, frameEnd != position else { return }
    throw StorageError(
      .malformed(
        rule: "pytorch P-6", expected: "a frame that ends with its pickle",
        found: "\(frameEnd - position) more bytes"),
      file: file, offset: offset)
  }

  /// Where the next byte stands in the file.
  var offset: Int? { base.map { $0 + position } }

  private func cut(_ count: Int) -> StorageError {
    if let frameEnd, frameEnd < bytes.count {
      return StorageError(
        .malformed(
          rule: "pytorch P-6", expected: "opcodes that end inside their frame",
          found: "\(count) bytes of which \(frameEnd - position) are in it"),
        file: file, offset: offset)
    }
    return StorageError(
      .truncated(
        part: "pickle (pytorch P-5)", expectedBytes: count, foundBytes: bytes.count - position),
      file: file, offset: offset)
  }
}
