import GraftCore
import GraftFormats
import TestSupport
import Testing

/// The usual spelling of a header is read without tokens: whatever it says, it says in any other spelling.
@Suite struct `Spellings of a safetensors header` {
  private let folder: TemporaryFolder

  init() throws { folder = TemporaryFolder() }

  /// What a reader makes of a header with a number of data bytes.
  private func outcome(_ text: String, dataBytes: Int) throws -> [String] {
    let header = Array(text.utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    let path = try folder.write(length + header + [UInt8](repeating: 0, count: dataBytes))
    do {
      let reader = try SafetensorsReader(path: path)
      return reader.tensors.enumerated().map { position, info in
        let start = reader.extent(of: position).map { $0.range.lowerBound - header.count - 8 }
        return "\(info.name) \(info.dtype) \(info.shape) \(info.byteCount) \(start ?? -1)"
      } + reader.metadata.map { "\($0.key)=\($0.value)" }
    } catch {
      // What was found is quoted as it is spelled.
      let reason = "\(error.reason)".replacing(/found: ".*"/, with: "")
      return [reason, "\(error.tensor.map(\.description) ?? "none")"]
    }
  }

  /// The header with a blank behind every brace that opens, which only the scanner reads.
  private func spaced(_ text: String) -> String { text.replacing("{", with: "{ ") }

  private static let fields = [
    #""dtype":"BF16""#, #""shape":[2,3]"#, #""data_offsets":[0,12]"#,
  ]

  @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
  func `take the fields in any order`(order: [Int]) throws {
    let first = #"{"a":{"dtype":"U8","shape":[],"data_offsets":[12,13]},"#
    let text = first + #""w":{"# + order.map { Self.fields[$0] }.joined(separator: ",") + "}}"
    #expect(
      try outcome(text, dataBytes: 13) == ["w BF16 [2, 3] 12 0", "a U8 [] 1 12"])
    #expect(try outcome(spaced(text), dataBytes: 13) == outcome(text, dataBytes: 13))
  }

  @Test(arguments: DType.allCases.filter(\.isSafetensorsType))
  func `have every dtype`(dtype: DType) throws {
    let bytes = 8 / dtype.layout.elements * dtype.layout.bytes
    let text =
      #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"\#(dtype)","shape":[8],"data_offsets":[0,\#(bytes)]}}"#
    #expect(try outcome(text, dataBytes: bytes).last == "w \(dtype) [8] \(bytes) 0")
    #expect(try outcome(spaced(text), dataBytes: bytes) == outcome(text, dataBytes: bytes))
  }

  /// Second entries behind a first one of four bytes, good and bad.
  @Test(arguments: [
    #""a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]},"a":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}"#,
    #""b":{"dtype":"U8","shape":[5],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[8,4]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}"#,
    #""b":{"dtype":"U8","shape":[04],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[4,],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[-4],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[4.0],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,8,9]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4]}"#,
    #""b":{"dtype":"U8","shape":[9223372036854775807,2],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,99999999999999999999]}"#,
    #""b":{"dtype":"u8","shape":[4],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"Q4_0","shape":[4],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,8],"x":{"y":[1]}}"#,
    #""b":{"dtype":"U8","shape":[4]}"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}},"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}x"#,
    #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,8"#,
    #""__metadata__":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""__metadata__":{"x":"y"},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""_b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""\u0061":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""é":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}"#,
    #""z":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"b":{"dtype":"U8","shape":[2],"data_offsets":[6,8]},"z":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}"#,
  ])
  func `say the same with blanks and without`(entry: String) throws {
    let text = #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"# + entry + "}"
    #expect(try outcome(text, dataBytes: 8) == outcome(spaced(text), dataBytes: 8))
  }

  @Test func `are read in linear time, with names that rise and names that fall`() throws {
    for isFalling in [false, true] {
      func header(_ count: Int) throws -> String {
        let entries = (0..<count).map { index in
          let name = String(1_000_000 + (isFalling ? count - index : index))
          return #""\#(name)":{"dtype":"U8","shape":[1],"data_offsets":[\#(index),\#(index + 1)]}"#
        }
        let text = Array(("{" + entries.joined(separator: ",") + "}").utf8)
        let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) }
        return try folder.write(
          length + text + [UInt8](repeating: 0, count: count), as: "\(isFalling)-\(count)")
      }
      let count = 80_000
      let paths = [count: try header(count), count / 8: try header(count / 8)]
      let growth = try growth(upTo: count) { count in
        let path = try #require(paths[count])
        #expect(try SafetensorsReader(path: path).tensors.count == count)
      }
      #expect(growth < linearGrowth)
    }
  }
}
