import Foundation
import GraftCore
import TestSupport
import Testing

/// Files at the limits of the formats, made here as they are too large to keep: each is opened, or refused, in linear time and little memory.
@Suite(.serialized) struct HostileSizeTests {
  /// A file to be made, and what becomes of it.
  struct Case: Sendable, CustomTestStringConvertible {
    /// The row of `Formats/catalogue.md`.
    let row: String
    let name: String
    let status: Int32
    /// Seconds of processors.
    let seconds: Double
    /// What the error says, if there is one.
    let error: String?
    let make: @Sendable (Writing) throws -> Void

    var testDescription: String { "\(row) \(name)" }

    init(
      _ row: String, _ name: String, status: Int32, seconds: Double = 5, error: String? = nil,
      make: @escaping @Sendable (Writing) throws -> Void
    ) {
      self.row = row
      self.name = name
      self.status = status
      self.seconds = seconds
      self.error = error
      self.make = make
    }
  }

  /// A file being made.
  struct Writing {
    let handle: FileHandle

    func text(_ text: String) { handle.write(Data(text.utf8)) }
    func bytes(_ bytes: [UInt8]) { handle.write(Data(bytes)) }

    /// A number of four bytes.
    func number(_ number: Float) {
      var block: [UInt8] = []
      block.append(Int(number.bitPattern), width: 4)
      bytes(block)
    }

    private static let blockByteCount = 1 << 20

    /// One character, many times over.
    func fill(_ character: Character, _ count: Int) {
      let block = Data(repeating: character.asciiValue ?? 0, count: Self.blockByteCount)
      for start in stride(from: 0, to: count, by: block.count) {
        handle.write(block.prefix(count - start))
      }
    }

    /// What a row is made of, row after row.
    func repeated(_ count: Int, _ append: (_ index: Int, _ block: inout [UInt8]) -> Void) {
      var block: [UInt8] = []
      block.reserveCapacity(Self.blockByteCount + 1024)
      for index in 0..<count {
        append(index, &block)
        guard block.count >= Self.blockByteCount else { continue }
        bytes(block)
        block.removeAll(keepingCapacity: true)
      }
      bytes(block)
    }

    /// A safetensors header of a length, whatever is in it.
    func header(_ byteCount: Int) {
      var length: [UInt8] = []
      length.append(byteCount, width: 8)
      bytes(length)
    }

    /// A safetensors header, with its length.
    func header(_ write: () -> Void) throws {
      header(0)
      write()
      let end = try handle.offset()
      try handle.seek(toOffset: 0)
      header(Int(end) - 8)
      try handle.seek(toOffset: end)
    }

    /// Lets the file be of a size; what wasn't written are zeros that take no room.
    func extend(to byteCount: Int) throws { try handle.truncate(atOffset: UInt64(byteCount)) }
  }

  /// A row of an object, which opens in the first one.
  static func member(
    _ index: Int, named key: StaticString = "", radix: Int = 36, _ value: StaticString,
    to block: inout [UInt8]
  ) {
    block.append(index == 0 ? "{\"" : ",\"")
    block.append(key)
    block.append(number: index, radix: radix)
    block.append("\":")
    block.append(value)
  }

  static let cases: [Case] = [
    Case("ST-04", "a header of the limit", status: 0) { file in
      file.header(100_000_000)
      file.text("{}")
      file.fill(" ", 99_999_998)
    },
    Case("ST-05", "a header above the limit", status: 3, error: "the format isn't recognized") {
      file in
      file.header(100_000_001)
      file.text("{}")
      try file.extend(to: 100_000_009)
    },
    Case("ST-26", "100,000 tensors of one range", status: 3, error: "safetensors S-12") { file in
      try file.header {
        file.repeated(100_000) {
          member($0, #"{"dtype":"U8","shape":[16],"data_offsets":[0,16]}"#, to: &$1)
        }
        file.text("}")
      }
      file.bytes([UInt8](repeating: 0, count: 16))
    },
    Case("ST-51", "more tensors than the limit", status: 3, error: "safetensors S-14") { file in
      try file.header {
        file.repeated(1_000_001) {
          member($0, #"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#, to: &$1)
        }
        file.text("}")
      }
    },
    Case("ST-52", "100 MB of nested arrays", status: 3, error: "json J-") { file in
      file.header(100_000_000)
      file.text(#"{"a":"#)
      file.fill("[", 99_999_995)
    },
    Case("ST-53", "a metadata value of 90 MB", status: 0) { file in
      try file.header {
        file.text(#"{"__metadata__":{"k":""#)
        file.fill("x", 90_000_000)
        file.text(#""}}"#)
      }
    },
    Case("ST-53", "a million metadata keys", status: 0) { file in
      try file.header {
        file.text(#"{"__metadata__":"#)
        file.repeated(1_000_000) { member($0, "\"\"", to: &$1) }
        file.text("}}")
      }
    },
    Case("ST-57", "a tensor of a terabyte", status: 0, seconds: 1) { file in
      let header =
        #"{"x":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}}"#
      file.header(header.utf8.count)
      file.text(header)
      try file.extend(to: 8 + header.utf8.count + 1 << 40)
    },
    Case("GG-06", "a million keys", status: 0) { file in
      file.text("GGUF")
      let count = 1_000_000
      var start: [UInt8] = []
      start.append(3, width: 4)
      start.append(0, width: 8)
      start.append(count, width: 8)
      file.bytes(start)
      file.repeated(count) { index, block in
        var key: [UInt8] = []
        key.append(number: index, radix: 36)
        block.append(key.count, width: 8)
        block += key
        block.append(0, width: 4)
        block.append(7)
      }
    },
    Case("IX-08", "an index with more files than the limit", status: 3, error: "shard-index I-1") {
      file in
      file.text(#"{"weight_map":"#)
      file.repeated(100_000) { index, block in
        member(index, named: "t", radix: 10, "\"m-", to: &block)
        block.append(number: index, radix: 10)
        block.append(".safetensors\"")
      }
      file.text("}}")
    },
    Case("IX-08", "an index with more tensors than the limit", status: 3, error: "shard-index I-1")
    {
      file in
      file.text(#"{"weight_map":"#)
      file.repeated(1_000_001) {
        member($0, named: "t", radix: 10, "\"m.safetensors\"", to: &$1)
      }
      file.text("}}")
    },
    Case("IX-08", "an index of a gigabyte", status: 3, seconds: 1, error: "shard-index I-1") {
      file in
      file.text(#"{"weight_map":{"a":"m.safetensors"}}"#)
      try file.extend(to: 1 << 30)
    },
    Case("EM-05", "a line of a gigabyte", status: 3, error: "word-vectors W-7") { file in
      file.text("2 3\na 1 2 3\nb 1 2 ")
      try file.extend(to: 1 << 30)
    },
    Case("EM-01", "a count that the file hasn't room for", status: 3, error: "word-vectors W-2") {
      file in
      file.text("99999999 300\na 1 2 3\n")
    },
  ]

  @Test(arguments: cases)
  func `is opened or refused within the bounds`(case: Case) throws {
    let scratch = TemporaryFolder()
    let path = scratch("file")
    try Data().write(to: scratch.url("file"))
    let handle = try FileHandle(forWritingTo: scratch.url("file"))
    try `case`.make(Writing(handle: handle))
    try handle.close()
    // Holes don't count.
    var status = stat()
    try #require(lstat(path, &status) == 0)
    let byteCount = Int(status.st_blocks) * 512
    let outcome = try Bounds.hold(
      "inspect", path, byteCount: byteCount, seconds: `case`.seconds,
      expecting: [`case`.status])
    if let error = `case`.error { #expect(outcome.error.contains(error), "\(outcome.error)") }
  }
}

extension [UInt8] {
  /// Appends a text that the program has in one piece.
  mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { append(contentsOf: $0) }
  }

  /// Appends a number in digits.
  mutating func append(number: Int, radix: Int) {
    append(contentsOf: String(number, radix: radix).utf8)
  }

  /// Appends a number in some bytes, the lowest first.
  mutating func append(_ number: Int, width: Int) {
    for place in 0..<width { append(UInt8(truncatingIfNeeded: number >> (place * 8))) }
  }
}
