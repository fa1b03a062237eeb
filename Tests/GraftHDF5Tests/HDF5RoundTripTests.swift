import GraftCore
import GraftHDF5
import TestSupport
import Testing

@Suite struct `HDF5 round trip` {
  static let compressions: [HDF5Compression] = [.none, .zstd(), .zstd(level: 19)]

  @Test(arguments: compressions)
  func `keeps every element type, shape and byte`(compression: HDF5Compression) throws {
    let scratch = TemporaryFolder()
    let path = scratch.path + "/all.h5"
    var samples = try DType.allCases.enumerated().map { position, dtype in
      try Sample(
        TensorName("types.\(dtype)"), dtype, [3, 32 * 256], seed: UInt8(position))
    }
    samples += [
      try Sample("scalar", .bf16, []), try Sample("empty", .f32, [0, 4]),
      try Sample("rank40", .u8, Shape([Int](repeating: 1, count: 39) + [50_000])),
      try Sample("wide", .f32, [2, 3, 400_000]), try Sample("cube", .f16, [70, 50, 311]),
      try Sample("odd", .f4, [3, 7, 2]),
    ]
    try write(samples, to: path, compression: compression, tileBytes: 99_991)
    let reader = try HDF5Reader(path: path)
    #expect(reader.tensors == samples.map(\.info))
    for (index, sample) in samples.enumerated() {
      let read = try bytes(of: index, reader)
      #expect(read == sample.bytes, "\(sample.info.name)")
    }
  }

  @Test func `reads a tile at any offset of a compressed tensor`() throws {
    let scratch = TemporaryFolder()
    let sample = try Sample("x", .f32, [5, 70_001, 3])
    try write([sample], to: scratch.path + "/x.h5", compression: .zstd())
    let reader = try HDF5Reader(path: scratch.path + "/x.h5")
    for start in [0, 1, 12, 840_011, 1_048_573, 2_100_030, 4_200_059] {
      for count in [0, 1, 5, 40_000, 1_500_000] where start + count <= sample.bytes.count {
        let read = try bytes(of: 0, in: start..<start + count, reader)
        #expect(read == Array(sample.bytes[start..<start + count]), "\(start) \(count)")
      }
    }
  }

  static let awkward: [[UInt8]] =
    [
      "model.layers.0.self_attn.q_proj.weight", "a", "a.b", "a.b.c", "", ".", "..", "a.", ".a",
      "a..b",
      "with/slash", "/", "%", "%2F", "a%-", "%-", "100%.x", "line\nbreak", "nul\0inside", "日本語.重み",
      "é", "e\u{301}", ".files.config", ".metadata", "graft.index", " ",
    ].map { Array($0.utf8) } + [
      [0xFF, 0xFE], [0x61, 0x2E, 0xC3], Array(repeating: 0x2E, count: 100),
    ]

  @Test(arguments: compressions)
  func `keeps awkward names and the order of the tensors`(compression: HDF5Compression) throws {
    let scratch = TemporaryFolder()
    let path = scratch.path + "/names.h5"
    let samples = try Self.awkward.enumerated().map { position, name in
      try Sample(TensorName(utf8: name), .u8, [position], seed: UInt8(position))
    }
    try write(samples, to: path, compression: compression)
    let reader = try HDF5Reader(path: path)
    #expect(reader.tensors == samples.map(\.info))
    for (index, sample) in samples.enumerated() {
      #expect(try bytes(of: index, reader) == sample.bytes, "\(sample.info.name)")
    }
  }

  @Test(arguments: compressions)
  func `keeps metadata, files, shard headers and the vocabulary`(compression: HDF5Compression)
    throws
  {
    let scratch = TemporaryFolder()
    let path = scratch.path + "/model.h5"
    let metadata = [
      MetadataEntry(key: "z", value: "1"), MetadataEntry(key: "", value: "\u{0}\"\n"),
      MetadataEntry(key: "a", value: ""),
    ]
    let large = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 1000) })
    try AtomicFile.write(large, to: scratch.path + "/source")
    let files = [
      HDF5Attachment(name: "tokenizer.json", file: try InputFile(path: scratch.path + "/source")),
      HDF5Attachment(name: "1_Pooling/config.json", bytes: Array("{}".utf8)),
      HDF5Attachment(name: "empty", bytes: []), HDF5Attachment(name: ".gitattributes", bytes: [0]),
    ]
    let vocabulary = ["the", "", "é", "\0"].map { Array($0.utf8) } + [[0xFF]]
    try write(
      [try Sample("x", .f32, [2])], to: path, metadata: metadata, files: files,
      shards: [HDF5Attachment(name: "model.safetensors", bytes: [1, 2, 3])],
      vocabulary: vocabulary, compression: compression)
    let reader = try HDF5Reader(path: path)
    #expect(reader.metadata == metadata)
    #expect(
      reader.files.map(\.name) == [
        ".gitattributes", "1_Pooling/config.json", "empty", "tokenizer.json",
      ])
    #expect(
      try reader.files.map { try $0.bytes(in: 0..<$0.byteCount) } == [
        [0], Array("{}".utf8), [], large,
      ])
    #expect(reader.shards.map(\.name) == ["model.safetensors"])
    #expect(try reader.shards[0].bytes(in: 0..<3) == [1, 2, 3])
    #expect(try reader.vocabulary() == vocabulary)
    #expect(reader.tensors.map(\.name) == ["x"])
  }

  @Test(arguments: compressions)
  func `writes the same bytes for the same input`(compression: HDF5Compression) throws {
    let scratch = TemporaryFolder()
    let samples = try (0..<40).map {
      try Sample(TensorName("layer.\($0).weight"), .bf16, [64, 300])
    }
    for name in ["a", "b"] {
      try write(
        samples, to: scratch.path + "/" + name,
        files: [HDF5Attachment(name: "config.json", bytes: Array("{}".utf8))],
        compression: compression)
    }
    #expect(try contents(scratch.path + "/a") == contents(scratch.path + "/b"))
  }

  @Test func `stores plain tensors in one aligned piece and compresses what can be`() throws {
    let scratch = TemporaryFolder()
    let sample = try Sample("x.y", .f32, [1000, 100])
    try write([try Sample("s", .u8, [3]), sample], to: scratch.path + "/plain.h5")
    let reader = try HDF5Reader(path: scratch.path + "/plain.h5")
    let extent = try #require(reader.extent(of: 1))
    #expect(extent.range.lowerBound % 64 == 0)
    #expect(try extent.file.bytes(at: extent.range.lowerBound, count: 400_000) == sample.bytes)
    try write([sample], to: scratch.path + "/small.h5", compression: .zstd())
    let compressed = try HDF5Reader(path: scratch.path + "/small.h5")
    #expect(compressed.extent(of: 0) == nil)
    #expect(try contents(scratch.path + "/small.h5").count < 100_000)
  }

  @Test(arguments: compressions)
  func `copies a tensor from another file`(compression: HDF5Compression) throws {
    let scratch = TemporaryFolder()
    let sample = try Sample("x", .f32, [1000, 1000])
    try AtomicFile.write([1, 2, 3] + sample.bytes, to: scratch.path + "/source")
    let source = try InputFile(path: scratch.path + "/source")
    let file = try AtomicFile(path: scratch.path + "/copy.h5")
    let writer = try HDF5Writer(file.output, tensors: [sample.info], compression: compression)
    try writer.copy(FileExtent(file: source, range: 3..<4_000_003), to: 0)
    try writer.finish()
    try file.commit()
    let reader = try HDF5Reader(path: scratch.path + "/copy.h5")
    #expect(try bytes(of: 0, reader) == sample.bytes)
  }

  @Test func `what compresses to nothing can be read again`() throws {
    let scratch = TemporaryFolder()
    let info = try TensorInfo(name: "zeros", dtype: .f32, shape: [40, 1 << 20])
    let file = try AtomicFile(path: scratch.path + "/x.h5")
    let writer = try HDF5Writer(file.output, tensors: [info], compression: .zstd(level: 1))
    let tile = [UInt8](repeating: 0, count: 4 << 20)
    for row in 0..<40 { try writer.write(tile, of: 0, at: row * tile.count) }
    try writer.finish()
    try file.commit()
    let reader = try HDF5Reader(path: scratch.path + "/x.h5")
    #expect(try bytes(of: 0, in: 160_000_000..<160_000_004, reader) == [0, 0, 0, 0])
    #expect(try InputFile(path: scratch.path + "/x.h5").byteCount < 250_000)
  }

  @Test func `notices a compressed tensor that was never completed`() throws {
    let scratch = TemporaryFolder()
    let sample = try Sample("x", .f32, [1000, 1000])
    let file = try AtomicFile(path: scratch.path + "/x.h5")
    let writer = try HDF5Writer(file.output, tensors: [sample.info], compression: .zstd())
    try writer.write(Array(sample.bytes[0..<1000]), of: 0, at: 0)
    let error = #expect(throws: StorageError.self) { try writer.finish() }
    #expect(error?.tensor == "x")
  }

  @Test func `refuses two tensors of one name`() throws {
    let scratch = TemporaryFolder()
    let file = try AtomicFile(path: scratch.path + "/x.h5")
    let info = try TensorInfo(name: "x", dtype: .u8, shape: [1])
    #expect(throws: StorageError.self) { try HDF5Writer(file.output, tensors: [info, info]) }
  }
}
