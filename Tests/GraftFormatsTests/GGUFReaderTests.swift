import GraftCore
import GraftFormats
import TestSupport
import Testing

/// Small GGUF files, written by hand.
struct GGUFBytes {
  var bytes: [UInt8] = []

  mutating func put<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }

  mutating func put(_ text: String) {
    put(UInt64(text.utf8.count))
    bytes += Array(text.utf8)
  }

  /// A file with `keys` of type u32 and one tensor of one f32 block a name.
  static func file(keys: [(String, UInt32)], tensors: [String]) -> [UInt8] {
    var file = GGUFBytes()
    file.bytes = Array("GGUF".utf8)
    file.put(UInt32(3))
    file.put(UInt64(tensors.count))
    file.put(UInt64(keys.count))
    for (key, value) in keys {
      file.put(key)
      file.put(UInt32(4))
      file.put(value)
    }
    for (position, name) in tensors.enumerated() {
      file.put(name)
      file.put(UInt32(1))
      file.put(UInt64(8))
      file.put(UInt32(0))
      file.put(UInt64(position * 32))
    }
    file.bytes += [UInt8](repeating: 0, count: (32 - file.bytes.count % 32) % 32)
    for position in tensors.indices {
      for element in 0..<8 { file.put(Float(position * 8 + element).bitPattern) }
    }
    return file.bytes
  }
}

struct GGUFReaderTests {
  let folder = TemporaryFolder()

  @Test(arguments: ["every-value-type", "every-tensor-type", "one-tensor", "alignment-4096"])
  func `a file cut anywhere is truncated and never accepted`(name: String) throws {
    let bytes = try Repository.bytes("Formats/gguf/accept/\(name).gguf")
    let whole = try GGUFReader(path: Repository.path("Formats/gguf/accept/\(name).gguf"))
    // What follows the last tensor's bytes, or the header of a file without tensors, is padding.
    let end = whole.tensors.indices.compactMap { whole.extent(of: $0)?.range.upperBound }.max()
    let lastUsed: Int = try #require(bytes.lastIndex { $0 != 0 })
    let needed = end ?? lastUsed + 1
    for count in 1..<needed {
      let path = try folder.write(Array(bytes[..<count]))
      let error = try #require(throws: StorageError.self) { try GGUFReader(path: path) }
      guard case .truncated = error.reason else {
        Issue.record("\(count) bytes: \(error)")
        continue
      }
    }
  }

  @Test func `metadata keeps its types`() throws {
    let reader = try GGUFReader(path: Repository.path("Formats/gguf/accept/every-value-type.gguf"))
    #expect(reader["k.0"] == .unsigned(1, bits: 8))
    #expect(reader["k.5"] == .signed(1, bits: 32))
    #expect(reader["k.6"] == .float32(1))
    #expect(reader["k.7"] == .bool(true))
    #expect(reader["k.8"] == .string("héllo"))
    #expect(reader["k.12"] == .float64(1))
    #expect(reader["a.3"] == .array(.signed([1, 2, 3], bits: 16)))
    #expect(reader["a.7"] == .array(.bools([false, true])))
    #expect(reader["a.8"] == .array(.strings(["", "x"])))
    #expect(reader.metadata.count == 24)
    #expect(reader.metadata.first { $0.key == "a.10" }?.value == "[1, 2, 3]")
  }

  @Test func `a file embedded in another opens at its offset`() throws {
    let bytes = try Repository.bytes("Formats/gguf/accept/one-tensor.gguf")
    let path = try folder.write([1, 2, 3, 4, 5, 6, 7] + bytes)
    #expect(throws: StorageError.self) { try GGUFReader(path: path) }
    let reader = try GGUFReader(path: path, at: 7)
    #expect(try floats(reader, 0) == (0..<8).map(Float.init))
  }

  @Test func `a million keys are read in linear time`() throws {
    let count = 1_000_000
    for count in [count, count / 8] {
      let keys = (0..<count).map { ("k\($0)", UInt32($0)) }
      _ = try folder.write(GGUFBytes.file(keys: keys, tensors: []), as: "\(count).gguf")
    }
    let growth = try growth(upTo: count) { count in
      let reader = try GGUFReader(path: folder.path + "/\(count).gguf")
      #expect(reader["k\(count - 1)"]?.int == count - 1)
    }
    #expect(growth < linearGrowth)
  }

  @Test(arguments: [1, 2, 3])
  func `split files open as one from any of them`(opened: Int) throws {
    for number in 1...3 {
      let keys = [("split.no", UInt32(number - 1)), ("split.count", 3), ("split.tensors.count", 3)]
      _ = try folder.write(
        GGUFBytes.file(keys: keys, tensors: ["t\(number)"]), as: "m-0000\(number)-of-00003.gguf")
    }
    let reader = try GGUFReader(path: folder.path + "/m-0000\(opened)-of-00003.gguf")
    #expect(reader.tensors.map(\.name) == ["t1", "t2", "t3"])
    #expect(reader["split.no"]?.int == 0)
    #expect(reader.extent(of: 2)?.file.path.hasSuffix("m-00003-of-00003.gguf") == true)
  }

  @Test(arguments: [
    ("count zero", [("split.no", 0), ("split.count", 0)], ["a"], "malformed"),
    ("a billion", [("split.no", 0), ("split.count", 1_000_000_000)], ["a"], "malformed"),
    ("number too big", [("split.no", 2), ("split.count", 2)], ["a"], "malformed"),
    ("second file missing", [("split.no", 0), ("split.count", 3)], ["a"], "mismatch"),
    ("number twice", [("split.no", 1), ("split.count", 2)], ["a"], "mismatch"),
    ("name twice", [("split.no", 0), ("split.count", 2)], ["b"], "malformed"),
    (
      "another model", [("split.no", 0), ("split.count", 2), ("split.tensors.count", 9)], ["a"],
      "mismatch"
    ),
  ])
  func `split files that don't fit are refused`(
    name: String, keys: [(String, Int)], tensors: [String], reason: String
  ) throws {
    let first = GGUFBytes.file(keys: keys.map { ($0, UInt32($1)) }, tensors: tensors)
    let second = GGUFBytes.file(keys: [("split.no", 1), ("split.count", 2)], tensors: ["b"])
    let path = try folder.write(first, as: "m-00001-of-00002.gguf")
    _ = try folder.write(second, as: "m-00002-of-00002.gguf")
    let error = try #require(throws: StorageError.self) { try GGUFReader(path: path) }
    #expect("\(error.reason)".hasPrefix(reason), "\(error)")
  }

  @Test func `a missing split file is not found`() throws {
    let first = GGUFBytes.file(keys: [("split.no", 0), ("split.count", 2)], tensors: ["a"])
    let path = try folder.write(first, as: "m-00001-of-00002.gguf")
    let error = try #require(throws: StorageError.self) { try GGUFReader(path: path) }
    #expect(error.reason == .notFound)
    #expect(error.file.hasSuffix("m-00002-of-00002.gguf"))
  }

  private func floats(_ reader: GGUFReader, _ tensor: Int) throws -> [Float] {
    var values = [Float](repeating: 0, count: reader.tensors[tensor].shape.elementCount)
    let count = values.count
    try values.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
      try reader.readValues(tensor, 0..<count, as: .f32, into: &bytes)
    }
    return values
  }
}
