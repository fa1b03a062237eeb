import Foundation
import Graft
import TestSupport
import Testing

@Suite struct `Converting a checkpoint` {
  private let workspace = TemporaryFolder()

  private func open(_ name: String) throws -> OpenedCheckpoint {
    try OpenedCheckpoint(path: workspace(name))
  }

  /// The files of a directory with their contents.
  private func contents(of directory: String) throws -> [String: Data] {
    var result: [String: Data] = [:]
    for name in try workspace.names(in: directory) {
      result[name] = try Data(contentsOf: URL(filePath: directory + "/" + name))
    }
    return result
  }

  @Test(
    arguments: [
      "families/llama-bf16", "families/qwen3", "lora/llama-tied", "shards",
    ], [HDF5Compression.none, .zstd(level: 3)])
  func `a directory comes back from HDF5 bit for bit`(
    name: String, compression: HDF5Compression
  ) throws {
    let source = try workspace.copy(golden(name), to: "source")
    // The golden values beside a model aren't part of it.
    try? FileManager.default.removeItem(atPath: source + "/golden.safetensors")
    _ = try convert(
      OpenedCheckpoint(path: source), to: workspace("model.h5"),
      options: ConversionOptions(form: .hdf5(compression)))
    _ = try convert(open("model.h5"), to: workspace("back"))
    #expect(try contents(of: workspace("back")) == contents(of: source))
  }

  @Test func `a sharded copy holds the same values and becomes one file again`() throws {
    let source = try OpenedCheckpoint(path: golden("families/qwen3"))
    let report = try convert(
      source, to: workspace("shards"),
      options: ConversionOptions(form: .directory(maximumShardByteCount: 10_000)))
    #expect(report.fileNames.count { $0.hasSuffix(".safetensors") } > 3)
    #expect(try diff(source, open("shards")).isWithinTolerance)
    _ = try convert(open("shards"), to: workspace("one"))
    #expect(try workspace.names(in: workspace("one")).contains("model.safetensors"))
    #expect(try diff(source, open("one")).isWithinTolerance)
  }

  @Test(arguments: [
    OutputForm.directory(maximumShardByteCount: 2_000),
    .pyTorchDirectory(maximumShardByteCount: 2_000),
  ])
  func `an adapter stays the one file that PEFT reads`(form: OutputForm) throws {
    let source = try OpenedCheckpoint(path: golden("lora/llama-tied"))
    var options = ConversionOptions(form: form)
    options.allowsLoss = true
    let error = try #require(throws: StorageError.self) {
      try convert(source, to: workspace("out"), options: options)
    }
    guard case .unsupported(feature: "sharding of an adapter", _) = error.reason else {
      Issue.record("\(error.reason)")
      return
    }
    #expect(error.file == source.path)
    #expect(error.diagnosis.kind == .badInput)
    #expect(error.remedy?.contains("--max-shard-size") == true)
    #expect(workspace.names.isEmpty)
    // A limit that the adapter doesn't reach is none.
    options.form = .directory(maximumShardByteCount: 1 << 20)
    _ = try convert(source, to: workspace("out"), options: options)
    #expect(
      try workspace.names(in: workspace("out"))
        == ["adapter_config.json", "adapter_model.safetensors"])
  }

  @Test func `another dtype rounds once, and config.json says so`() throws {
    let source = try OpenedCheckpoint(path: golden("families/qwen3"))
    let report = try convert(
      source, to: workspace("bf16"), options: ConversionOptions(dtype: .bf16))
    #expect(report.convertedCount == source.reader.tensors.count)
    let opened = try open("bf16")
    let name: TensorName = "model.embed_tokens.weight"
    let wide = try source.reader.bits(name, as: UInt32.self)
    let narrow = try opened.reader.bits(name, as: UInt16.self)
    // To nearest, ties to even, by the definition.
    #expect(narrow == wide.map { UInt16(truncatingIfNeeded: ($0 + 0x7FFF + ($0 >> 16 & 1)) >> 16) })
    let config = try JSONValue.parse(opened.requiredFile("config.json"), file: "config.json")
    #expect((config["dtype"] ?? config["torch_dtype"])?.string == "bfloat16")
  }

  /// A file with one tensor of floats.
  private func floats(_ values: [Double], _ dtype: DType) throws -> OpenedCheckpoint {
    let bytes = values.flatMap { value -> [UInt8] in
      let bits: UInt64 =
        switch dtype {
        case .bf16: UInt64(Float(value).bitPattern >> 16)
        case .f32: UInt64(Float(value).bitPattern)
        default: value.bitPattern
        }
      return (0..<dtype.layout.bytes).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) }
    }
    let file = try AtomicFile(path: workspace("source.safetensors"))
    let writer = try SafetensorsWriter(
      [TensorInfo(name: "x", dtype: dtype, shape: [values.count])], to: file.output)
    try writer.write(bytes, of: 0, at: 0)
    try writer.finish()
    try file.commit()
    return try open("source.safetensors")
  }

  @Test(
    arguments: [
      (.f32, [1, 65519, 65520, .infinity], .f16, 2, "write bf16 or f32: --dtype bf16"),
      (.f32, [.nan, .infinity, -1e6], .f16, 2, "write bf16 or f32: --dtype bf16"),
      (.bf16, [0, 65536], .f16, 1, "write bf16 or f32: --dtype bf16"),
      (.f64, [1e5], .f16, 0, "write bf16 or f32: --dtype bf16"),
      (.f64, [0, 1e39], .f16, 1, "keep the type of the tensors"),
      (.f32, [0x1.fffffep127], .f16, 0, "write f32: --dtype f32"),
      (.f32, [1, -0x1.ffp127], .bf16, 1, "write f32: --dtype f32"),
      (.f64, [0, 0, 1e39], .bf16, 2, "keep the type of the tensors"),
      (.f64, [0x1.ffffffp127], .f32, 0, "keep the type of the tensors"),
    ] as [(DType, [Double], DType, Int, String)])
  func `a finite value that the dtype has no number for is an error, and nothing is written`(
    from: DType, values: [Double], to: DType, element: Int, remedy: String
  ) throws {
    let source = try floats(values, from)
    for target in ["out", "out.safetensors", "out.h5"] {
      let error = #expect(throws: StorageError.self) {
        try convert(source, to: workspace(target), options: ConversionOptions(dtype: to))
      }
      #expect(
        error
          == StorageError(
            .notRepresentable(
              what: "the value \(values[element]) of element \(element)", inFormat: "\(to)"),
            file: source.path, tensor: "x", remedy: remedy))
    }
    #expect(try workspace.names(in: workspace.path) == ["source.safetensors"])
  }

  @Test func `the element is the tensor's, in whatever tile`() throws {
    var values = [Double](repeating: 1, count: 1 << 20 + 9)
    values[1 << 20 + 5] = 1e6
    let source = try floats(values, .f32)
    let error = #expect(throws: StorageError.self) {
      try convert(source, to: workspace("out"), options: ConversionOptions(dtype: .f16))
    }
    let what = "the value 1000000.0 of element \(1 << 20 + 5)"
    #expect(error?.reason == .notRepresentable(what: what, inFormat: "F16"))
  }

  @Test func `one value that becomes infinite is found among many that are`() throws {
    var values = [Double](repeating: .infinity, count: 9999)
    (values[4], values[9000]) = (.nan, 65520)
    let source = try floats(values, .f32)
    let error = #expect(throws: StorageError.self) {
      try convert(source, to: workspace("out"), options: ConversionOptions(dtype: .f16))
    }
    let what = "the value 65520.0 of element 9000"
    #expect(error?.reason == .notRepresentable(what: what, inFormat: "F16"))
  }

  @Test func `the largest values, infinity and NaN pass`() throws {
    let source = try floats([65519, -65519, .infinity, -.infinity, .nan], .f32)
    _ = try convert(source, to: workspace("out"), options: ConversionOptions(dtype: .f16))
    let bits = try open("out").reader.bits("x", as: UInt16.self)
    #expect(bits.prefix(4) == [0x7BFF, 0xFBFF, 0x7C00, 0xFC00])
    #expect(bits[4] & 0x7FFF > 0x7C00)
  }

  @Test func `values of GGUF that f16 has no number for are an error, too`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    try? FileManager.default.removeItem(atPath: path + "/golden.safetensors")
    let name: TensorName = "model.layers.0.mlp.up_proj.weight"
    let reader = try OpenedCheckpoint(path: path).reader
    let index = try #require(reader.index(of: name))
    let extent = try #require(reader.extent(of: index))
    let handle = try FileHandle(forUpdating: URL(filePath: extent.file.path))
    try handle.seek(toOffset: UInt64(extent.range.lowerBound + 3 * 4))
    try handle.write(contentsOf: withUnsafeBytes(of: Float(1e6)) { Data($0) })
    try handle.close()
    var options = ConversionOptions(form: .gguf())
    options.allowsLoss = true
    _ = try convert(OpenedCheckpoint(path: path), to: workspace("model.gguf"), options: options)
    let source = try open("model.gguf")
    let narrow = ConversionOptions(dtype: .f16)
    var mixed = ConversionOptions(form: .gguf(.f16))
    mixed.allowsLoss = true
    for (target, options) in [("out", narrow), ("out.h5", narrow), ("out.gguf", mixed)] {
      let error = #expect(throws: StorageError.self) {
        try convert(source, to: workspace(target), options: options)
      }
      let what = "the value 1000000.0 of element 3"
      #expect(error?.reason == .notRepresentable(what: what, inFormat: "F16"))
      #expect(error?.tensor == "blk.0.ffn_up.weight")
    }
    #expect(try workspace.names(in: workspace.path) == ["model", "model.gguf"])
  }

  @Test func `source and target may be one path`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    try? FileManager.default.removeItem(atPath: path + "/golden.safetensors")
    let before = try workspace.names(in: path)
    _ = try convert(OpenedCheckpoint(path: path), to: path, options: ConversionOptions(dtype: .f16))
    #expect(try workspace.names(in: path) == before)
    #expect(try Set(OpenedCheckpoint(path: path).reader.tensors.map(\.dtype)) == [.f16])
    #expect(try workspace.names(in: workspace("")) == ["model"])
  }

  @Test func `word vectors survive HDF5 and their binary form`() throws {
    let source = fixture("vectors/newtestament-50.w2v.txt")
    _ = try convert(OpenedCheckpoint(path: source), to: workspace("table.h5"))
    _ = try convert(
      open("table.h5"), to: workspace("table.bin"),
      options: ConversionOptions(form: .wordVectors(.word2vecBinary)))
    let first = try EmbeddingTable(path: source)
    let second = try EmbeddingTable(path: workspace("table.bin"))
    #expect(first.words.elementsEqual(second.words))
    #expect(first.vectors.floats() == second.vectors.floats())
  }

  @Test func `a model gives its words with their vectors`() throws {
    let model = try OpenedCheckpoint(path: fixture("model"))
    var options = ConversionOptions(form: .wordVectors(.word2vecText))
    options.allowsLoss = true
    _ = try convert(model, to: workspace("words.txt"), options: options)
    let table = try EmbeddingTable(path: workspace("words.txt"))
    let words = table.words.map { String(decoding: $0, as: UTF8.self) }
    #expect(Set(words).count == words.count)
    let tokenizer = try Tokenizer(
      tokenizerJSON: model.requiredFile("tokenizer.json"), file: "tokenizer.json")
    let row = try #require(words.firstIndex(of: "Jesus"))
    let id = try #require(tokenizer.id(of: "ĠJesus"))
    let bits = try model.reader.bits("model.embed_tokens.weight", as: UInt16.self)
    let width = table.dimensions
    let expected = bits[Int(id) * width..<(Int(id) + 1) * width].map {
      Float(bitPattern: UInt32($0) << 16)
    }
    #expect(Array(table.vectors.floats()[row * width..<(row + 1) * width]) == expected)
  }

  @Test func `what the target has no place for is named and needs the flag`() throws {
    let model = try OpenedCheckpoint(path: fixture("model"))
    let names = model.files.map(\.name)
    let error = #expect(throws: StorageError.self) {
      try convert(model, to: workspace("weights.safetensors"))
    }
    let what = names.prefix(4).joined(separator: ", ") + ", 1 more"
    #expect(error?.reason == .notRepresentable(what: what, inFormat: "one safetensors file"))
    #expect(error?.remedy?.contains("--allow-loss") == true)
    #expect(try workspace.names(in: workspace("")).isEmpty)
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(model, to: workspace("weights.safetensors"), options: options)
    #expect(report.losses.map(\.what) == names)
    #expect(report.json["losses"]?.array?.map(\.string) == names)
    #expect(try open("weights.safetensors").reader.tensors.count == 56)
    // A file without others beside it loses nothing.
    _ = try convert(open("weights.safetensors"), to: workspace("again.safetensors"))
  }

  @Test(arguments: ["copy", "copy.h5", "torch"])
  func `what a training run keeps beside an adapter is named, and stays behind`(
    target: String
  ) throws {
    let path = try workspace.copy(golden("lora/llama-tied"), to: "adapter")
    try FileManager.default.removeItem(atPath: path + "/golden.safetensors")
    let form: OutputForm? = target == "torch" ? .pyTorchDirectory() : nil
    var options = ConversionOptions(form: form)
    // PyTorch's form has no place for metadata.
    options.allowsLoss = target == "torch"
    let before = try convert(
      OpenedCheckpoint(path: path), to: workspace("before-" + target), options: options)
    let records = [
      "optimizer.pt", "rng_state_0.pth", "training_log.jsonl", "training_run.json",
      "training_state/",
    ]
    try Directory.create(path + "/training_state")
    for name in records {
      let file = name.hasSuffix("/") ? name + "state.json" : name
      try AtomicFile.write(Array("{}".utf8), to: path + "/" + file)
    }
    let report = try convert(OpenedCheckpoint(path: path), to: workspace(target), options: options)
    #expect(report.losses == before.losses)
    #expect(report.notes == records.map { ConversionLoss($0) })
    #expect(report.json["notes"]?.array?.map(\.string) == records)
    #expect(report.json["losses"]?.array?.count == before.losses.count)
    #expect(report.fileNames == before.fileNames)
    #expect(
      try OpenedCheckpoint(path: workspace(target)).files.map(\.name)
        == OpenedCheckpoint(path: workspace("before-" + target)).files.map(\.name))
  }

  @Test func `the hash of sd-scripts is that of the result, or is left out`() throws {
    let file = try AtomicFile(path: workspace("lora.safetensors"))
    let tensors = try ["down", "up"].map {
      try TensorInfo(
        name: TensorName("lora_unet_x.lora_\($0).weight"), dtype: .f32,
        shape: $0 == "down" ? [1, 3] : [3, 1])
    }
    let writer = try SafetensorsWriter(
      tensors,
      metadata: [
        // hashlib.sha256(struct.pack("<6f", 0, 1, 2, 3, 4, 5)).hexdigest()
        MetadataEntry(
          key: "sshs_model_hash",
          value: "e2c0a71510b5394df7773b63fb5f54372b84c3564e67811bde7d665be227976d"),
        MetadataEntry(key: "ss_network_dim", value: "1"),
      ], to: file.output)
    try writer.write([0, 1, 2] as [Float], of: 0, at: 0)
    try writer.write([3, 4, 5] as [Float], of: 1, at: 0)
    try writer.finish()
    try file.commit()

    let report = try convert(
      open("lora.safetensors"), to: workspace("half.safetensors"),
      options: ConversionOptions(dtype: .f16))
    #expect(report.notes.isEmpty)
    let half = try open("half.safetensors")
    // hashlib.sha256(struct.pack("<6e", 0, 1, 2, 3, 4, 5)).hexdigest()
    #expect(
      half.reader.metadata == [
        MetadataEntry(key: "ss_network_dim", value: "1"),
        MetadataEntry(
          key: "sshs_model_hash",
          value: "77a8786460d746828615fecedade38a1ad421cd6150788e75ac48cede8e7bd5b"),
      ])
    #expect(
      try !verify(workspace("half.safetensors")).defects.contains { $0.problem.contains("hash") })
    // Nothing changed: nothing changes.
    _ = try convert(open("lora.safetensors"), to: workspace("same.safetensors"))
    #expect(
      try Data(contentsOf: URL(filePath: workspace("same.safetensors")))
        == Data(contentsOf: URL(filePath: workspace("lora.safetensors"))))
    for target in ["x.h5", "folder"] {
      let report = try convert(open("lora.safetensors"), to: workspace(target))
      #expect(
        report.notes.map(\.what) == ["the metadata sshs_model_hash, a hash of the source's bytes"])
      #expect(try open(target).reader.metadata.map(\.key) == ["ss_network_dim"])
    }
  }

  @Test(arguments: [
    ("kohya", nil, 0), ("kohya-changed", nil, 1), ("kohya-changed", DType.bf16, 1),
  ])
  func `a hash that isn't that of its file is noted, and the result has its own`(
    name: String, dtype: DType?, count: Int
  ) throws {
    let source = try OpenedCheckpoint(path: golden("layouts/\(name).safetensors"))
    let report = try convert(
      source, to: workspace("x.safetensors"), options: ConversionOptions(dtype: dtype))
    #expect(
      report.notes.map(\.what).filter { $0.contains("hash") }
        == [String](
          repeating:
            "the metadata sshs_model_hash, which isn't the hash of the source's bytes",
          count: count))
    #expect(report.losses.isEmpty)
    let result = try verify(workspace("x.safetensors"))
    #expect(result.checks.contains("sshs_model_hash"))
    #expect(!result.defects.contains { $0.problem.contains("hash") })
  }

  @Test func `the name that a .npy file has no place for is noted`() throws {
    let source = try floats([1, 2], .f32)
    #expect(try convert(source, to: workspace("x.npy")).notes.map(\.what) == ["the name x"])
    #expect(try convert(open("x.npy"), to: workspace("y.npy")).notes.isEmpty)
    #expect(try convert(source, to: workspace("x.npz")).notes.isEmpty)
  }

  @Test func `what an index says beside its tensors is named`() throws {
    let folder = try workspace.copy(golden("shards"), to: "model")
    let path = folder + "/model.safetensors.index.json"
    let index = try JSONValue.parse(Data(contentsOf: URL(filePath: path)).map { $0 }, file: path)
    let map = try #require(index["weight_map"])
    let changed: JSONValue = [
      "metadata": ["total_size": 928, "total_parameters": 232, "foo": "bar"],
      "weight_map": map, "extra": [1, 2],
    ]
    try Data(changed.serialized().utf8).write(to: URL(filePath: path))
    let source = try open("model")
    let error = #expect(throws: StorageError.self) { try convert(source, to: workspace("one")) }
    #expect(
      error?.diagnosis.summary.contains(
        "metadata.foo of the shard index, extra of the shard index") == true)
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(source, to: workspace("one"), options: options)
    #expect(
      report.losses.map(\.what) == [
        "metadata.foo of the shard index", "extra of the shard index",
      ])
    #expect(
      report.notes.map(\.what) == ["bookkeeping of the shard index: metadata.total_parameters"])
    // HDF5 keeps the index.
    #expect(try convert(source, to: workspace("model.h5")).notes.isEmpty)
  }

  @Test func `whatever of a directory stays behind is noted, and a program stays one`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    let names = [
      ".gitattributes", ".cache/x", "flax_model.msgpack", "onnx/model.onnx", "onnx/config.json",
      "docs/.hidden", "pytorch_model.bin", "run.sh", "optimizer.pt",
    ]
    for name in names {
      let file = URL(filePath: path + "/" + name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data("x".utf8).write(to: file)
    }
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o755], ofItemAtPath: path + "/run.sh")
    try Directory.create(path + "/empty")
    for (name, target) in [("linked", "docs"), ("nowhere", "gone")] {
      try FileManager.default.createSymbolicLink(
        atPath: path + "/" + name, withDestinationPath: target)
    }
    try #require(mkfifo(path + "/pipe", 0o600) == 0)
    // A name in Latin-1.
    let latin = Array((path + "/na").utf8CString.dropLast()) + [CChar(bitPattern: 0xEF), 0]
    let descriptor = creat(latin, 0o600)
    try #require(descriptor >= 0)
    close(descriptor)
    defer { unlink(latin) }

    let report = try convert(OpenedCheckpoint(path: path), to: workspace("copy"))
    #expect(report.losses.isEmpty)
    #expect(
      report.notes.map(\.what) == [
        "optimizer.pt", ".cache/", ".gitattributes", "docs/.hidden", "empty/, an empty directory",
        "flax_model.msgpack", "golden.safetensors", "linked/, behind a link",
        "na\u{FFFD}, which can't be reached by its name",
        "nowhere, a symbolic link that leads nowhere", "onnx/model.onnx", "pipe, a FIFO",
        "pytorch_model.bin",
      ])
    #expect(
      try FileManager.default.subpathsOfDirectory(atPath: workspace("copy")).sorted() == [
        "config.json", "generation_config.json", "model.safetensors", "onnx", "onnx/config.json",
        "run.sh",
      ])
    #expect(FileManager.default.isExecutableFile(atPath: workspace("copy/run.sh")))
    #expect(!FileManager.default.isExecutableFile(atPath: workspace("copy/config.json")))
    // Of many hidden files a part is told.
    for number in 0..<100 {
      try Data().write(to: URL(filePath: path + "/.file\(number)"))
    }
    let notes = try convert(OpenedCheckpoint(path: path), to: workspace("again")).notes
    #expect(notes.count == 66)
    #expect(notes.last?.what == "48 more")
  }

  @Test func `metadata of which shards have other values is named`() throws {
    let folder = workspace("model")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (tensor, part) in [("a", "first"), ("b", "second")] {
      let file = try AtomicFile(path: folder + "/\(tensor).safetensors")
      let info = try TensorInfo(name: TensorName(tensor), dtype: .u8, shape: [1])
      let metadata = [("format", "pt"), ("part", part)].map { MetadataEntry(key: $0, value: $1) }
      let writer = try SafetensorsWriter([info], metadata: metadata, to: file.output)
      try writer.write([7] as [UInt8], of: 0, at: 0)
      try writer.finish()
      try file.commit()
    }
    let index = #"{"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}"#
    try Data(index.utf8).write(to: URL(filePath: folder + "/model.safetensors.index.json"))
    let source = try open("model")
    #expect((source.reader as? ShardedReader)?.disputedKeys == ["part"])
    let loss = "other values of the metadata part in later shards"
    let error = #expect(throws: StorageError.self) { try convert(source, to: workspace("one")) }
    #expect(error?.reason == .notRepresentable(what: loss, inFormat: "a model directory"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(source, to: workspace("one"), options: options)
    #expect(report.losses == [ConversionLoss(loss)])
    #expect(
      try open("one").reader.metadata.contains(MetadataEntry(key: "part", value: "first")))
    // HDF5 keeps the header of each shard.
    _ = try convert(source, to: workspace("model.h5"))
    _ = try convert(open("model.h5"), to: workspace("back"))
    #expect(try contents(of: workspace("back")) == contents(of: folder))
  }

  @Test func `refuses to replace a directory that holds something else`() throws {
    let other = workspace("photos")
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    try "x".write(toFile: other + "/holiday.jpg", atomically: true, encoding: .utf8)
    #expect(throws: StorageError.self) {
      try convert(OpenedCheckpoint(path: golden("families/qwen3")), to: other)
    }
    #expect(try workspace.names(in: workspace("")) == ["photos"])
    #expect(try workspace.names(in: other) == ["holiday.jpg"])
  }

  @Test func `refuses headers in an HDF5 file that aren't those of its tensors`() throws {
    let header = #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
    let file = try AtomicFile(path: workspace("false.h5"))
    let tensor = try TensorInfo(name: "b", dtype: .u8, shape: [1])
    let writer = try HDF5Writer(
      file.output, tensors: [tensor],
      shards: [HDF5Attachment(name: "model.safetensors", bytes: bytes + Array(header.utf8))])
    try writer.write([7] as [UInt8], of: 0, at: 0)
    try writer.finish()
    try file.commit()
    #expect(throws: StorageError.self) { try convert(open("false.h5"), to: workspace("out")) }
    #expect(try workspace.names(in: workspace("")) == ["false.h5"])
  }

  @Test func `refuses a header in an HDF5 file that is longer than the format's are`() throws {
    let limit = 8 + FormatLimits.standard.safetensorsHeaderBytes
    let header = workspace("header")
    try Data().write(to: URL(filePath: header))
    let handle = try FileHandle(forUpdating: URL(filePath: header))
    try handle.truncate(atOffset: UInt64(limit + 1))
    try handle.close()
    let file = try AtomicFile(path: workspace("long.h5"))
    let writer = try HDF5Writer(
      file.output, tensors: [TensorInfo(name: "b", dtype: .u8, shape: [1])],
      shards: [HDF5Attachment(name: "model.safetensors", file: InputFile(path: header))])
    try writer.write([7] as [UInt8], of: 0, at: 0)
    try writer.finish()
    try file.commit()
    let error = try #require(throws: StorageError.self) {
      try convert(open("long.h5"), to: workspace("out"))
    }
    let found = "\(limit + 1) bytes of model.safetensors"
    #expect(error.reason == .limitExceeded(limit: "bytes", maximum: limit, found: found))
  }
}
