import GraftCore
import GraftFormats
import TestSupport
import Testing

/// What is written, read back; and what GGUF can't hold.
struct GGUFWriterTests {
  let folder = TemporaryFolder()

  private func info(_ name: String, _ dtype: DType, _ shape: Shape) throws -> TensorInfo {
    try TensorInfo(name: TensorName(name), dtype: dtype, shape: shape)
  }

  /// Writes tensors whose bytes count up, and opens the file.
  private func written(
    _ tensors: [TensorInfo], _ entries: [(key: String, value: GGUFValue)] = []
  ) throws -> GGUFReader {
    let path = folder.path + "/written.gguf"
    let file = try AtomicFile(path: path)
    let writer = try GGUFWriter(tensors, entries: entries, to: file.output)
    for (index, tensor) in tensors.enumerated() {
      try writer.write(content(of: tensor), of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    return try GGUFReader(path: path)
  }

  private func content(of tensor: TensorInfo) -> [UInt8] {
    (0..<tensor.byteCount).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ tensor.name.utf8.count) }
  }

  @Test func `every type of value and of tensor comes back as it was`() throws {
    let every = try GGUFReader(path: Repository.path("Formats/gguf/accept/every-value-type.gguf"))
    let types = try GGUFReader(path: Repository.path("Formats/gguf/accept/every-tensor-type.gguf"))
    let odd = [
      try info("scalar", .f32, []), try info("empty", .f16, [0, 4]),
      try info(String(repeating: "n", count: 64), .i8, [3]), try info("four", .i16, [2, 1, 3, 5]),
    ]
    let reader = try written(types.tensors + odd, every.entries)
    #expect(reader.tensors == types.tensors + odd)
    #expect(reader.entries.map(\.key) == every.entries.map(\.key))
    #expect(reader.entries.map(\.value) == every.entries.map(\.value))
    for (index, tensor) in reader.tensors.enumerated() {
      let extent = try #require(reader.extent(of: index))
      #expect(extent.range.lowerBound % 32 == 0)
      let bytes = try extent.file.bytes(at: extent.range.lowerBound, count: extent.range.count)
      #expect(bytes == content(of: tensor), "\(tensor.name)")
    }
  }

  @Test func `a file without anything is one`() throws {
    let reader = try written([])
    #expect(reader.tensors.isEmpty)
    #expect(reader.entries.isEmpty)
  }

  @Test(arguments: [DType.u8, .bool, .f8E4M3, .f4, .u64, .c64])
  func `a type that GGUF hasn't is refused`(dtype: DType) throws {
    try expectRefusal([info("a", dtype, [4])], rule: "gguf G-15", what: "\(dtype)")
  }

  @Test func `names, ranks and keys that GGUF hasn't are refused`() throws {
    try expectRefusal([info(String(repeating: "n", count: 65), .f32, [1])], rule: "gguf G-11")
    try expectRefusal([info("", .f32, [1])], rule: "gguf G-11")
    let bytes = try TensorInfo(name: TensorName(utf8: [0x61, 0xFF]), dtype: .f32, shape: [1])
    try expectRefusal([bytes], rule: "gguf G-11")
    try expectRefusal([info("a", .f32, [1]), info("a", .f16, [2])], rule: "gguf G-12")
    try expectRefusal([info("a", .f32, [1, 1, 1, 1, 1])], rule: "gguf G-13")
    for key in ["", "a\0b", String(repeating: "k", count: 65536)] {
      try expectRefusal([], [(key, .bool(true))], rule: "gguf G-5")
    }
    try expectRefusal([], [("k", .bool(true)), ("k", .bool(false))], rule: "gguf G-6")
  }

  @Test func `bytes that are missing are noticed`() throws {
    let file = try AtomicFile(path: folder.path + "/short.gguf")
    let writer = try GGUFWriter([info("a", .f32, [8])], entries: [], to: file.output)
    try writer.write([UInt8](repeating: 1, count: 28), of: 0, at: 0)
    #expect(throws: StorageError.self) { try writer.finish() }
  }

  @Test(arguments: [1, 3, 7])
  func `split files are read as one`(perFile: Int) throws {
    let tensors = try (0..<7).map { try info("t\($0)", .f32, [8, $0 + 1]) }
    let plan = ShardPlan(
      tensors, maximumByteCount: perFile == 7 ? 1 << 20 : perFile == 3 ? 300 : 1)
    let path = folder.path + "/m.gguf"
    guard let paths = GGUFSplit.paths(for: plan, at: path) else {
      #expect(perFile == 7)
      return
    }
    let files = try paths.map { try AtomicFile(path: $0) }
    let writer = try ShardedWriter(
      gguf: tensors, entries: [("general.name", .string("m"))], plan: plan, to: files.map(\.output))
    for (index, tensor) in writer.tensors.enumerated() {
      try writer.write(content(of: tensor), of: index, at: 0)
    }
    try writer.finish()
    for file in files { try file.commit() }
    let reader = try GGUFReader(path: paths[paths.count / 2])
    #expect(reader.tensors == tensors)
    #expect(reader["general.name"] == .string("m"))
    #expect(reader["split.count"] == .unsigned(UInt64(paths.count), bits: 16))
    #expect(reader["split.tensors.count"] == .signed(7, bits: 32))
    for (index, tensor) in tensors.enumerated() {
      let extent = try #require(reader.extent(of: index))
      let bytes = try extent.file.bytes(at: extent.range.lowerBound, count: extent.range.count)
      #expect(bytes == content(of: tensor))
    }
    #expect(paths.count == plan.shards.count)
  }

  private func expectRefusal(
    _ tensors: [TensorInfo], _ entries: [(key: String, value: GGUFValue)] = [], rule: String,
    what: String = ""
  ) throws {
    let file = try AtomicFile(path: folder.path + "/refused.gguf")
    let error = #expect(throws: StorageError.self) {
      try GGUFWriter(tensors, entries: entries, to: file.output)
    }
    guard case .notRepresentable(let found, "GGUF") = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(found.contains(rule) && found.contains(what), "\(found)")
  }
}
