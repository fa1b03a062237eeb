import GraftCore
import GraftHDF5
import TestSupport
import Testing

@Suite struct `HDF5 files of Keras` {
  static let golden = Repository.root + "/Fixtures/golden/keras/"
  static let files: [(name: String, layout: KerasLayout)] = [
    ("model.weights.h5", .weights), ("model.h5", .legacyModel), ("weights.h5", .legacyWeights),
  ]

  /// What Keras's own reader, h5py, finds in a file: names, dtypes, shapes and bytes in Keras's order.
  static func expected(_ file: String) throws -> [(info: TensorInfo, bytes: String)] {
    let table = try JSONValue.parse(contents(golden + "tensors.json"), file: "tensors.json")[file]
    return try (table?.array ?? []).map { tensor in
      let info = try TensorInfo(
        name: TensorName(tensor["name"]?.string ?? ""),
        dtype: #require(DType(rawValue: tensor["dtype"]?.string ?? "")),
        shape: Shape(tensor["shape"]?.array?.compactMap(\.int) ?? []))
      return (info, tensor["bytes"]?.string ?? "")
    }
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Writes everything that a reader found into a file of Keras.
  func rewrite(
    _ reader: HDF5Reader, to path: String, as layout: KerasLayout,
    compression: HDF5Compression = .none
  ) throws {
    let file = try AtomicFile(path: path)
    let writer = try HDF5Writer(
      file.output, tensors: reader.tensors, metadata: reader.metadata, keras: layout,
      compression: compression)
    for tensor in reader.tensors.indices {
      let bytes = try bytes(of: tensor, reader)
      try writer.write(bytes, of: tensor, at: 0)
    }
    try writer.finish()
    try file.commit()
  }

  /// A file of Keras with samples, opened.
  private func written(
    _ samples: [Sample], to path: String, as layout: KerasLayout, metadata: [MetadataEntry] = []
  ) throws -> HDF5Reader {
    let file = try AtomicFile(path: path)
    let writer = try HDF5Writer(
      file.output, tensors: samples.map(\.info), metadata: metadata, keras: layout)
    for (tensor, sample) in samples.enumerated() {
      try writer.write(sample.bytes, of: tensor, at: 0)
    }
    try writer.finish()
    try file.commit()
    return try HDF5Reader(path: path)
  }

  @Test(arguments: files)
  func `tensors have Keras's names, order, types and bytes`(
    name: String, layout: KerasLayout
  ) throws {
    let reader = try HDF5Reader(path: Self.golden + name)
    let expected = try Self.expected(name)
    #expect(reader.kerasLayout == layout)
    #expect(expected.count >= 19)
    #expect(reader.tensors == expected.map(\.info))
    for (tensor, wanted) in expected.enumerated() {
      let found = try Self.hexadecimal(bytes(of: tensor, reader))
      #expect(found == wanted.bytes, "\(wanted.info.name)")
    }
  }

  @Test(arguments: files)
  func `a file comes back with all that Keras stores beside the tensors`(
    name: String, layout: KerasLayout
  ) throws {
    let scratch = TemporaryFolder()
    let original = try HDF5Reader(path: Self.golden + name)
    try rewrite(original, to: scratch.path + "/a.h5", as: layout)
    let copy = try HDF5Reader(path: scratch.path + "/a.h5")
    #expect(copy.kerasLayout == layout)
    #expect(copy.tensors == original.tensors)
    #expect(Set(copy.metadata) == Set(original.metadata))
    for tensor in original.tensors.indices {
      #expect(try bytes(of: tensor, copy) == bytes(of: tensor, original))
    }
    // The same input makes the same bytes.
    try rewrite(copy, to: scratch.path + "/b.h5", as: layout)
    try rewrite(copy, to: scratch.path + "/c.h5", as: layout)
    #expect(try contents(scratch.path + "/b.h5") == contents(scratch.path + "/c.h5"))
  }

  @Test func `the legacy layout keeps its lists and its configuration as metadata`() throws {
    let reader = try HDF5Reader(path: Self.golden + "model.h5")
    let metadata = Dictionary(
      reader.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    #expect(metadata["keras.layout"] == "legacy-model")
    #expect(
      metadata["keras.layer_names"]
        == #"["tokens","table","attention","norm","drop","mean","first","batch","last"]"#)
    let lists = try JSONValue.parse(
      Array(metadata["keras.weight_names", default: ""].utf8), file: "weight_names")
    #expect(lists["first"] == ["first/kernel", "first/bias"])
    #expect(lists["drop"] == [])
    #expect(lists["optimizer_weights"]?.array?.count == 36)
    #expect(metadata["backend"] == "torch")
    #expect(metadata["model_config"]?.hasPrefix(#"{"class_name": "Functional""#) == true)
  }

  @Test(arguments: [KerasLayout.weights, .legacyModel, .legacyWeights])
  func `tensors from elsewhere keep their names and order`(layout: KerasLayout) throws {
    let scratch = TemporaryFolder()
    let samples = try [
      Sample("model.layers.10.mlp.bias", .bf16, [3]),
      Sample("model.layers.10.mlp.weight", .bf16, [3, 5]),
      Sample("model.layers.2.norm.running_var", .f32, [4]),
      Sample("model.layers.2.norm.weight", .f32, [4]),
      Sample("model.layers.2.norm.bias", .f16, [4]), Sample("alone", .i64, []),
      Sample("odd/name.with%.é", .u8, [2]), Sample("odd_name.with%.é", .u8, [2], seed: 1),
      Sample("..", .f8E4M3, [9]), Sample("layers.dense.vars.1", .f64, [2, 2]),
    ]
    let reader = try written(
      samples, to: scratch("x.h5"), as: layout,
      metadata: [MetadataEntry(key: "format", value: "pt")])
    #expect(reader.kerasLayout == layout)
    #expect(reader.tensors == samples.map(\.info))
    #expect(reader.metadata.contains(MetadataEntry(key: "format", value: "pt")))
    for (tensor, sample) in samples.enumerated() {
      #expect(try bytes(of: tensor, reader) == sample.bytes, "\(sample.info.name)")
    }
  }

  @Test func `a name of more parts than groups may be deep is refused`() throws {
    let scratch = TemporaryFolder()
    for (count, layout) in [(100, KerasLayout.weights), (100, .legacyWeights)] {
      let name = TensorName(String(repeating: "a.", count: count) + "b")
      let tensor = try TensorInfo(name: name, dtype: .u8, shape: [1])
      let file = try AtomicFile(path: scratch.path + "/x.h5")
      let error = try #require(throws: StorageError.self) {
        try HDF5Writer(file.output, tensors: [tensor], keras: layout)
      }
      #expect(error.tensor == name)
    }
  }

  @Test(arguments: KerasLayout.allCases, ["", "a\u{0}b"])
  func `metadata that no attribute can hold is refused`(layout: KerasLayout, key: String) throws {
    let scratch = TemporaryFolder()
    let file = try AtomicFile(path: scratch.path + "/x.h5")
    // The file that was begun is closed on the way out.
    #expect(throws: StorageError.self) {
      try HDF5Writer(
        file.output, tensors: [], metadata: [MetadataEntry(key: key, value: "x")], keras: layout)
    }
  }

  @Test func `thousands of names that are one in a path come back`() throws {
    let scratch = TemporaryFolder()
    let samples = try (0..<4096).map { (number: Int) throws -> Sample in
      let letters = (0..<12).map { bit in (number >> bit) & 1 == 0 ? "_" : "/" }
      return try Sample(TensorName("m." + letters.joined()), .u8, [1], seed: UInt8(number % 251))
    }
    let reader = try written(samples, to: scratch("x.h5"), as: .legacyWeights)
    #expect(reader.tensors == samples.map(\.info))
    #expect(try bytes(of: 4095, reader) == samples[4095].bytes)
  }

  /// Groups that are like one before are known by their bytes, whose checksums count nevertheless.
  @Test func `damage in one of many groups that are alike is found`() throws {
    let scratch = TemporaryFolder()
    let samples = try (0..<64).map { try Sample(TensorName("layers.\($0 + 100).weight"), .u8, [3]) }
    #expect(
      try written(samples, to: scratch("x.h5"), as: .legacyWeights).tensors == samples.map(\.info))
    let whole = try contents(scratch("x.h5"))
    // The link of most groups stands in a second block of the header, behind the list of weights.
    let blocks = whole.indices.filter { whole[$0...].starts(with: "OCHK".utf8) }
    #expect(blocks.count > samples.count / 2)
    for block in blocks {
      var damaged = whole
      damaged[block + 12] ^= 1
      try overwrite(scratch("damaged.h5"), with: damaged)
      #expect(throws: StorageError.self) { try HDF5Reader(path: scratch("damaged.h5")) }
    }
  }

  @Test func `long lists of names stand in several attributes`() throws {
    let scratch = TemporaryFolder()
    let long = String(repeating: "x", count: 200)
    let samples = try (0..<900).map { try Sample(TensorName("\(long)\($0).kernel"), .u8, [1]) }
    let reader = try written(samples, to: scratch("x.h5"), as: .legacyWeights)
    #expect(reader.kerasLayout == .legacyWeights)
    #expect(reader.tensors == samples.map(\.info))
  }

  static let misfits: [(KerasLayout, KerasLayout)] = [
    (.weights, .legacyModel), (.legacyModel, .weights), (.legacyModel, .legacyWeights),
    (.legacyWeights, .weights),
  ]

  @Test(arguments: misfits)
  func `a layout that only the model could translate is refused`(
    source: KerasLayout, target: KerasLayout
  ) throws {
    let scratch = TemporaryFolder()
    let name = try #require(Self.files.first { $0.layout == source }).name
    let reader = try HDF5Reader(path: Self.golden + name)
    let error = #expect(throws: StorageError.self) {
      try rewrite(reader, to: scratch.path + "/x.h5", as: target)
    }
    #expect(error?.reason == .notRepresentable(what: source.words, inFormat: target.words))
  }

  @Test func `blocks of quantized values are refused`() throws {
    let scratch = TemporaryFolder()
    let info = try TensorInfo(name: "x.weight", dtype: .q4_0, shape: [2, 32])
    let file = try AtomicFile(path: scratch.path + "/x.h5")
    #expect(throws: StorageError.self) {
      try HDF5Writer(file.output, tensors: [info], keras: .weights)
    }
  }
}
