import GraftCore
import GraftHDF5
import TestSupport
import Testing

@Suite struct `Attributes and empty groups of HDF5` {
  private static let golden = Repository.root + "/Fixtures/golden/"
  private let scratch = TemporaryFolder()

  /// The attributes that h5py wrote, in words, by the object that has them; the root has no name.
  private static func expected() throws -> [String: Set<String>] {
    let path = golden + "hdf5/attributes.json"
    var result: [String: Set<String>] = [:]
    for entry in try JSONValue.parse(contents(path), file: path).array ?? [] {
      func number(_ key: String) -> String { entry[key]?.int.map { "\($0)" } ?? "none" }
      let (bytes, texts) = (entry["bytes"]?.string ?? "", entry["texts"]?.array)
      let value =
        if let dtype = entry["dtype"]?.string {
          "\(dtype) \(bytes)"
        } else if let texts {
          "texts \(number("characters")) \(texts.compactMap(\.string))"
        } else {
          "\(number("width")) bytes \(number("padding")) \(number("characters")) \(bytes)"
        }
      let extents = entry["shape"]?.array.map { "\($0.compactMap(\.int))" } ?? "none"
      let words = "\(entry["name"]?.string ?? ""): \(extents) \(value)"
      result[entry["object"]?.string ?? "", default: []].insert(words)
    }
    return result
  }

  /// What a file has besides its tensors, in the same words, and its groups without attributes with an empty set.
  private func found(in reader: HDF5Reader) throws -> [String: Set<String>] {
    let annotations = reader.annotations(of: Array(reader.tensors.indices), inKeras: true)
    var result: [String: Set<String>] = [:]
    for group in annotations.groups {
      let words = try annotations.attributes(ofGroup: group).map(words)
      result[annotations.name(ofGroup: group)?.text ?? "", default: []].formUnion(words)
    }
    for (tensor, info) in reader.tensors.enumerated() {
      let words = try annotations.attributes(ofTensor: tensor).map(words)
      if !words.isEmpty { result[info.name.text, default: []].formUnion(words) }
    }
    return result
  }

  private func words(_ attribute: HDF5Attribute) -> String {
    func hexadecimal(_ bytes: [UInt8]) -> String {
      bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    let value =
      switch attribute.value {
      case .numbers(let bytes, let dtype): "\(dtype.rawValue) \(hexadecimal(bytes))"
      case .paddedTexts(let bytes, let byteCount, let form):
        "\(byteCount) bytes \(form.padding) \(form.characters) \(hexadecimal(bytes))"
      case .heapTexts(let texts, let form):
        "texts \(form.characters) \(texts.map { String(decoding: $0, as: UTF8.self) })"
      }
    return "\(attribute.name): \(attribute.extents.map { "\($0)" } ?? "none") \(value)"
  }

  /// Writes all of a file into another one.
  private func copy(
    _ source: HDF5Reader, to name: String, keras layout: KerasLayout? = nil,
    compression: HDF5Compression = .none
  ) throws -> HDF5Reader {
    let file = try AtomicFile(path: scratch(name))
    let annotations = source.annotations(
      of: Array(source.tensors.indices), inKeras: layout != nil)
    let writer =
      if let layout {
        try HDF5Writer(
          file.output, tensors: source.tensors, metadata: source.metadata,
          annotations: annotations, keras: layout, compression: compression)
      } else {
        try HDF5Writer(
          file.output, tensors: source.tensors, metadata: source.metadata,
          annotations: annotations, compression: compression)
      }
    for tensor in source.tensors.indices {
      try writer.write(bytes(of: tensor, source), of: tensor, at: 0)
    }
    try writer.finish()
    try file.commit()
    return try HDF5Reader(path: scratch(name))
  }

  @Test(arguments: [HDF5Compression.none, .zstd()])
  func `attributes of every type come back as h5py wrote them`(
    compression: HDF5Compression
  ) throws {
    let source = try HDF5Reader(path: Self.golden + "hdf5/attributes.h5")
    var expected = try Self.expected()
    #expect(expected.values.reduce(0) { $0 + $1.count } == 39)
    // Groups with nothing in them; a dataset has the name of one of them.
    for group in ["model.empty", "p.q"] { expected[group] = [] }
    #expect(try found(in: source) == expected)

    let copied = try copy(source, to: "a.h5", compression: compression)
    #expect(try found(in: copied) == expected)
    #expect(copied.tensors == source.tensors)
    #expect(copied.metadata == source.metadata)
    for tensor in source.tensors.indices {
      #expect(try bytes(of: tensor, copied) == bytes(of: tensor, source))
    }
    // A copy of the copy has the same bytes.
    _ = try copy(copied, to: "b.h5", compression: compression)
    #expect(try contents(scratch("a.h5")) == contents(scratch("b.h5")))
  }

  @Test func `what no other file can hold is told`() throws {
    let source = try HDF5Reader(path: Self.golden + "hdf5/attributes.h5")
    let annotations = source.annotations(of: Array(source.tensors.indices), inKeras: false)
    let names = ["color", "graft.shape", "lists", "long", "record", "reference"]
    #expect(
      annotations.losses
        == ["the attribute weight_names of model/layer"]
        + names.map { "the attribute \($0) of model/layer/x" })
    #expect(Set(annotations.held + annotations.losses) == Set(source.omissions))
    let copied = try copy(source, to: "a.h5")
    #expect(copied.annotations(of: [0], inKeras: false).losses == [])
    #expect(Set(copied.omissions) == Set(annotations.held))
  }

  @Test(arguments: [
    ("weights.h5", KerasLayout.legacyWeights), ("nested.h5", .legacyModel),
    ("model.h5", .legacyModel), ("model.weights.h5", .weights),
  ])
  func `groups of Keras that hold nothing come back`(name: String, layout: KerasLayout) throws {
    let source = try HDF5Reader(path: Self.golden + "keras/" + name)
    try #require(source.kerasLayout == layout)
    let copied = try copy(source, to: "a.h5", keras: layout)
    let groups = try found(in: source)
    #expect(groups.values.allSatisfy { $0 == [] })
    #expect(try found(in: copied) == groups)
  }

  @Test func `an attribute beside those of Keras comes back, and none is there twice`() throws {
    var bytes = try contents(Self.golden + "keras/model.h5")
    // An attribute of the root, where it is metadata, and one of the group of weights.
    let name = Array("keras_version\0".utf8)
    for place in bytes.indices where bytes[place...].starts(with: name) {
      bytes[place + 6] = UInt8(ascii: "V")
    }
    let source = try HDF5Reader(path: scratch.write(bytes))
    let words = try #require(try found(in: source)["model_weights"])
    #expect(words.count == 1 && words.first?.hasPrefix("keras_Version: [] texts") == true)
    for (name, layout) in [("a.h5", KerasLayout.legacyModel), ("b.h5", nil)] {
      let copied = try copy(source, to: name, keras: layout)
      // The groups of layers without weights mean nothing outside of Keras.
      #expect(
        try found(in: copied) == (layout == nil ? ["model_weights": words] : found(in: source)))
      #expect(copied.omissions == ["the attribute keras_Version of model_weights"])
      // Written in Keras's layout from Graft's, they are the same again.
      let again = try copy(copied, to: "again.h5", keras: .legacyModel)
      #expect(try found(in: again) == found(in: source))
    }
  }
}
