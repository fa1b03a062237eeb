import Foundation
import GraftCore
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

    /// Repeats what a row is made of, in blocks.
    func repeated(_ count: Int, _ row: (Int) -> String) {
      var block = ""
      for index in 0..<count {
        block += row(index)
        if block.utf8.count > 1 << 20 {
          text(block)
          block = ""
        }
      }
      text(block)
    }

    /// A safetensors header of a length, whatever is in it.
    func header(_ byteCount: Int) {
      bytes((0..<8).map { UInt8(truncatingIfNeeded: byteCount >> ($0 * 8)) })
    }

    /// Lets the file be of a size; what wasn't written are zeros that take no room.
    func extend(to byteCount: Int) throws { try handle.truncate(atOffset: UInt64(byteCount)) }
  }

  /// Tensors of no elements, as many bytes of header as are wanted.
  private static func header(of count: Int) -> (Int) -> String {
    { index in
      #"\#(index == 0 ? "{" : ",")"\#(String(index, radix: 36))":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
        + (index == count - 1 ? "}" : "")
    }
  }

  static let cases: [Case] = [
    Case("ST-04", "a header of the limit", status: 0) { file in
      file.header(100_000_000)
      file.text("{}")
      file.text(String(repeating: " ", count: 99_999_998))
    },
    Case("ST-05", "a header above the limit", status: 3, error: "the format isn't recognized") {
      file in
      file.header(100_000_001)
      file.text("{}")
      try file.extend(to: 100_000_009)
    },
    Case("ST-26", "100,000 tensors of one range", status: 3, error: "safetensors S-12") { file in
      let rows =
        (0..<100_000).map {
          #"\#($0 == 0 ? "{" : ",")"\#($0)":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}"#
        }.joined() + "}"
      file.header(rows.utf8.count)
      file.text(rows)
      file.bytes([UInt8](repeating: 0, count: 16))
    },
    Case("ST-51", "more tensors than the limit", status: 3, error: "safetensors S-14") { file in
      let count = 1_000_001
      let row = header(of: count)
      file.header((0..<count).reduce(0) { $0 + row($1).utf8.count })
      file.repeated(count, row)
    },
    Case("ST-52", "100 MB of nested arrays", status: 3, error: "json J-") { file in
      file.header(100_000_000)
      file.text(#"{"a":"#)
      file.text(String(repeating: "[", count: 99_999_995))
    },
    Case("ST-53", "a metadata value of 90 MB", status: 0) { file in
      file.header(90_000_000 + 25)
      file.text(#"{"__metadata__":{"k":""#)
      file.text(String(repeating: "x", count: 90_000_000))
      file.text(#""}}"#)
    },
    Case("ST-53", "a million metadata keys", status: 0) { file in
      let row = { (index: Int) in #"\#(index == 0 ? "" : ",")"\#(String(index, radix: 36))":"""# }
      let count = 1_000_000
      file.header((0..<count).reduce(0) { $0 + row($1).utf8.count } + 19)
      file.text(#"{"__metadata__":{"#)
      file.repeated(count, row)
      file.text("}}")
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
      let number = { (value: Int, width: Int) in
        (0..<width).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
      }
      let count = 1_000_000
      file.bytes(number(3, 4) + number(0, 8) + number(count, 8))
      var block: [UInt8] = []
      for index in 0..<count {
        let key = Array(String(index, radix: 36).utf8)
        block += number(key.count, 8) + key + number(0, 4) + [7]
      }
      file.bytes(block)
    },
    Case("IX-08", "an index with more files than the limit", status: 3, error: "shard-index I-1") {
      file in
      file.text(#"{"weight_map":{"#)
      file.repeated(100_000) {
        #"\#($0 == 0 ? "" : ",")"t\#($0)":"m-\#($0).safetensors""#
      }
      file.text("}}")
    },
    Case("IX-08", "an index with more tensors than the limit", status: 3, error: "shard-index I-1")
    {
      file in
      file.text(#"{"weight_map":{"#)
      file.repeated(1_000_001) { #"\#($0 == 0 ? "" : ",")"t\#($0)":"m.safetensors""# }
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
    let scratch = Scratch()
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
