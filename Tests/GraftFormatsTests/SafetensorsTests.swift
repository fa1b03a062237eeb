import Glibc
import GraftCore
import GraftFormats
import TestSupport
import Testing

struct SafetensorsTests {
  let folder = TemporaryFolder()

  /// Writes what a reader holds and returns the bytes of the new file.
  func rewritten(_ reader: SafetensorsReader, _ order: [Int]) throws -> [UInt8] {
    let file = try AtomicFile(path: folder.path + "/again.safetensors")
    let writer = try SafetensorsWriter(
      order.map { reader.tensors[$0] }, metadata: reader.metadata, to: file.output)
    for (position, info) in writer.tensors.enumerated() {
      let source = try #require(reader.index(of: info.name))
      if position % 2 == 0 {
        let contents = try reader.contents(of: source)
        try writer.write(contents.bytes, of: position, at: 0)
      } else {
        try writer.copy(#require(reader.extent(of: source)), to: position)
      }
    }
    try writer.finish()
    try file.commit()
    return try InputFile.contents(of: file.path, atMost: 1 << 20)
  }

  @Test(arguments: ["dtypes", "names"])
  func `writes the bytes that the reference implementation writes`(name: String) throws {
    let path = Repository.path("Fixtures/golden/safetensors/\(name).safetensors")
    let reader = try SafetensorsReader(path: path)
    let expected = try InputFile.contents(of: path, atMost: 1 << 20)
    let order = Array(reader.tensors.indices)
    #expect(try rewritten(reader, order) == expected)
    #expect(try rewritten(reader, order.reversed()) == expected)
  }

  @Test func `reads the values that torch wrote`() throws {
    let reader = try SafetensorsReader(
      path: Repository.path("Fixtures/golden/safetensors/dtypes.safetensors"))
    #expect(reader.metadata == [MetadataEntry(key: "format", value: "pt")])
    #expect(reader.tensors.count == 20)
    let packed = try #require(reader.index(of: "layer.float4_e2m1fn_x2"))
    #expect(reader.tensors[packed].dtype == .f4)
    #expect(reader.tensors[packed].shape == [3, 64])
    var part: [UInt8] = [0, 0, 0]
    try part.withMutableRawBytes { bytes throws(StorageError) in
      try reader.read(packed, at: 90, into: &bytes)
    }
    #expect(part == [90, 91, 92])
  }

  @Test func `rewrites every accepted vector to a canonical file with the same tensors`() throws {
    for vector in SafetensorsVectorTests.vectors where vector.isAccepted {
      let reader = try SafetensorsReader(path: vector.path)
      let once = try rewritten(reader, Array(reader.tensors.indices))
      let path = try folder.write(once, as: "once.safetensors")
      let again = try SafetensorsReader(path: path)
      #expect(try rewritten(again, Array(again.tensors.indices)) == once)
      for (position, info) in again.tensors.enumerated() {
        let start = try #require(again.extent(of: position)).range.lowerBound
        #expect(start % max(1, info.dtype.layout.bytes / info.dtype.layout.elements) == 0)
      }
      #expect(Set(again.tensors) == Set(reader.tensors))
      #expect(Set(again.metadata) == Set(reader.metadata))
    }
  }

  @Test func `keeps every bit pattern of sixteen-bit floats`() throws {
    let patterns = (0...UInt16.max).map { $0 }
    let file = try AtomicFile(path: folder.path + "/patterns.safetensors")
    let infos = [
      try TensorInfo(name: "f16", dtype: .f16, shape: [1 << 16]),
      try TensorInfo(name: "bf16", dtype: .bf16, shape: [1 << 16]),
    ]
    let writer = try SafetensorsWriter(infos, to: file.output)
    for tensor in 0..<2 { try writer.write(patterns, of: tensor, at: 0) }
    try writer.finish()
    try file.commit()
    let reader = try SafetensorsReader(path: file.path)
    for tensor in 0..<2 {
      let contents = try reader.contents(of: tensor)
      #expect(
        contents.bytes.withUnsafeBytes {
          $0.elementsEqual(patterns.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
        })
    }
  }

  @Test func `refuses to write what readers would refuse`() throws {
    let file = try AtomicFile(path: folder.path + "/refused.safetensors")
    func refusal(_ infos: [TensorInfo], _ metadata: [MetadataEntry] = []) throws -> String {
      let error = try #require(throws: StorageError.self) {
        try SafetensorsWriter(infos, metadata: metadata, to: file.output)
      }
      return error.diagnosis.summary
    }
    let plain = try TensorInfo(name: "a", dtype: .f32, shape: [1])
    #expect(
      try refusal([TensorInfo(name: "__metadata__", dtype: .u8, shape: [1])])
        == "safetensors can't hold a tensor named like its metadata (S-18)")
    #expect(try refusal([plain, plain]) == "safetensors can't hold two tensors of one name")
    #expect(
      try refusal([TensorInfo(name: "q", dtype: .q4_0, shape: [32])])
        == "safetensors can't hold Q4_0 (S-7)")
    #expect(
      try refusal([TensorInfo(name: TensorName(utf8: [0xFF]), dtype: .u8, shape: [1])])
        == "safetensors can't hold a name that isn't UTF-8 (S-4)")
    let key = MetadataEntry(key: "k", value: "")
    #expect(
      try refusal([plain], [key, key])
        == "safetensors can't hold two metadata entries of one key (S-5)")
    var limits = FormatLimits()
    limits.safetensorsHeaderBytes = 64
    #expect(throws: StorageError.self) {
      try SafetensorsWriter([plain, plain], to: file.output, limits: limits)
    }
  }

  @Test func `a writer that was not given every byte does not finish`() throws {
    let file = try AtomicFile(path: folder.path + "/short.safetensors")
    let writer = try SafetensorsWriter(
      [TensorInfo(name: "a", dtype: .f32, shape: [4])], to: file.output)
    try writer.write([Float](repeating: 1, count: 3), of: 0, at: 0)
    #expect(throws: StorageError.self) { try writer.finish() }
  }

  @Test func `limits hold where they are lowered`() throws {
    let path = Repository.path("Formats/safetensors/accept/shape-zero.safetensors")
    var limits = FormatLimits()
    limits.tensors = 4
    let error = try #require(throws: StorageError.self) {
      try SafetensorsReader(path: path, limits: limits)
    }
    #expect(error.citation == "safetensors S-14")
    limits.tensors = 5
    #expect(try SafetensorsReader(path: path, limits: limits).tensors.count == 5)
  }

  @Test func `a file that shrinks after opening is an error of its tensor`() throws {
    let bytes = try Repository.bytes("Formats/safetensors/accept/order-reversed.safetensors")
    let path = try folder.write(bytes, as: "shrinks")
    let reader = try SafetensorsReader(path: path)
    try #require(truncate(path, bytes.count - 20) == 0)
    let error = try #require(throws: StorageError.self) { try reader.contents(of: 0) }
    #expect(error.tensor == "b")
    guard case .truncated = error.reason else {
      Issue.record("\(error)")
      return
    }
  }

  @Test(arguments: ["/dev/zero", "/proc/self/mem", "/tmp", "/nonexistent"])
  func `opens nothing but regular files`(path: String) {
    #expect(throws: StorageError.self) { try SafetensorsReader(path: path) }
  }

  @Test func `a hundred thousand tensors over the same bytes are refused in linear time`() throws {
    let entry = #":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}"#
    let headers = TemporaryFolderOfHeaders()
    let count = 100_000
    var paths: [Int: String] = [:]
    for count in [count, count / 8] {
      let text = "{" + (0..<count).map { "\"t\($0)\"" + entry }.joined(separator: ",") + "}"
      paths[count] = try headers.header(
        Array(text.utf8), data: [UInt8](repeating: 0, count: 16), as: "\(count)")
    }
    let growth = try growth(upTo: count) { count in
      let path = try #require(paths[count])
      let error = try #require(throws: StorageError.self) { try SafetensorsReader(path: path) }
      #expect(error.citation == "safetensors S-12")
    }
    #expect(growth < linearGrowth)
  }
}
