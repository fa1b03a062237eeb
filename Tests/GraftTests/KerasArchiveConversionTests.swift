import Graft
import GraftCore
import GraftHDF5
import TestSupport
import Testing

@Suite struct `Converting archives of Keras` {
  private let workspace = TemporaryFolder()

  private func open(_ name: String) throws -> OpenedCheckpoint {
    try OpenedCheckpoint(path: workspace(name))
  }

  private func keras(_ name: String) throws -> OpenedCheckpoint {
    try OpenedCheckpoint(path: golden("keras/" + name))
  }

  private var lossy: ConversionOptions {
    var options = ConversionOptions(form: .keras())
    options.allowsLoss = true
    return options
  }

  // MARK: - Archives

  @Test(arguments: [HDF5Compression.none, .zstd()])
  func `an archive becomes a directory and the same archive again`(
    compression: HDF5Compression
  ) throws {
    let source = try keras("model.keras")
    _ = try convert(source, to: workspace("directory"))
    #expect(
      try workspace.names(in: workspace("directory"))
        == ["config.json", "metadata.json", "model.safetensors"])
    let report = try convert(
      open("directory"), to: workspace("back.keras"),
      options: ConversionOptions(form: .keras(compression)))
    #expect(report.losses.isEmpty)
    #expect(report.convertedCount == 0)
    let back = try open("back.keras")
    #expect(back.reader.format == .keras)
    #expect(back.reader.tensors == source.reader.tensors)
    #expect(Set(back.reader.metadata) == Set(source.reader.metadata))
    #expect(try diff(source, back).isWithinTolerance)
    for name in ["config.json", "metadata.json"] {
      #expect(try back.requiredFile(name) == source.requiredFile(name))
    }
    #expect(try workspace.names(in: workspace.path) == ["back.keras", "directory"])
  }

  @Test func `an archive takes its own place`() throws {
    let path = try workspace.copy(golden("keras/model.keras"), to: "x.keras")
    _ = try convert(OpenedCheckpoint(path: path), to: path)
    #expect(try diff(keras("model.keras"), open("x.keras")).isWithinTolerance)
  }

  @Test func `assets travel with an archive`() throws {
    let source = try OpenedCheckpoint(path: Repository.path("Formats/keras/accept/assets.keras"))
    _ = try convert(source, to: workspace("directory"))
    _ = try convert(open("directory"), to: workspace("back.keras"))
    let asset = "assets/layers/lookup/vocabulary.txt"
    #expect(try open("back.keras").requiredFile(asset) == Array("a\nb\n".utf8))
  }

  @Test func `the directory that Keras itself makes of a model is one`() throws {
    let source = try keras("model.keras")
    _ = try convert(source, to: workspace("directory"))
    _ = try convert(source, to: workspace("directory/model.weights.h5"), options: lossy)
    _ = try convert(
      OpenedCheckpoint(path: workspace("directory/model.weights.h5")), to: workspace("x.keras"))
    #expect(try diff(source, open("x.keras")).isWithinTolerance)
  }

  @Test(arguments: ["model.weights.h5", "weights.h5"])
  func `no archive is made without a description of the model`(name: String) throws {
    let source = try keras(name)
    let error = #expect(throws: StorageError.self) {
      try convert(source, to: workspace("x.keras"))
    }
    #expect(
      error?.reason
        == .notRepresentable(
          what: "weights without Keras's description of their model", inFormat: "a .keras archive"))
    #expect(try workspace.names(in: workspace.path).isEmpty)
  }

  @Test func `a file of weights leaves the description out only when that is allowed`() throws {
    let source = try keras("model.keras")
    #expect(throws: StorageError.self) { try convert(source, to: workspace("x.weights.h5")) }
    let report = try convert(source, to: workspace("x.weights.h5"), options: lossy)
    #expect(report.losses.map(\.what) == ["metadata.json", "config.json"])
    #expect(try diff(keras("model.weights.h5"), open("x.weights.h5")).isWithinTolerance)
  }

  // MARK: - Layouts

  /// Models that Keras saved in both forms: with layers of every kind inside each other, and an optimizer.
  static let models = ["model", "nested"]

  /// The weights of a file of Keras in its order, without the optimizer's.
  private func weights(_ checkpoint: OpenedCheckpoint) -> [TensorInfo] {
    checkpoint.reader.tensors.filter { !$0.name.hasPrefix("optimizer") }
  }

  private func bytes(_ names: [TensorName], _ checkpoint: OpenedCheckpoint) throws -> [[UInt8]] {
    try names.map { try checkpoint.reader.bytes($0) }
  }

  @Test(arguments: models)
  func `an archive becomes the legacy file that Keras makes of the model`(name: String) throws {
    let source = try keras(name + ".keras")
    let report = try convert(
      source, to: workspace("x.h5"), options: ConversionOptions(form: .keras()))
    #expect(report.losses.isEmpty)
    let (found, wanted) = (try open("x.h5"), try keras(name + ".h5"))
    #expect((found.reader as? HDF5Reader)?.kerasLayout == .legacyModel)
    // The names are Keras's, and so is the order, on which loading depends.
    #expect(weights(found) == weights(wanted))
    let names = weights(wanted).map(\.name)
    #expect(try bytes(names, found) == bytes(names, wanted))
    // The state of the optimizer has the same order under other names.
    let state = found.reader.tensors.dropFirst(names.count).map(\.name)
    let expected = wanted.reader.tensors.dropFirst(names.count).map(\.name)
    #expect(state.count == expected.count)
    #expect(try bytes(state, found) == bytes(expected, wanted))
    for key in ["keras.layer_names", "keras_version"] {
      #expect(
        found.reader.metadata.first { $0.key == key }
          == wanted.reader.metadata.first { $0.key == key }, "\(key)")
    }
  }

  @Test(arguments: models)
  func `a legacy file of a whole model becomes the weights that Keras makes of it`(
    name: String
  ) throws {
    let (source, wanted) = (try keras(name + ".h5"), try keras(name + ".keras"))
    let described = ["the metadata model_config", "the metadata training_config"]
    #expect(throws: StorageError.self) { try convert(source, to: workspace("x.weights.h5")) }
    let targets: [(String, [String])] = [("x.weights.h5", described), ("x.keras", [])]
    for (target, losses) in targets {
      let report = try convert(
        source, to: workspace(target), options: losses.isEmpty ? ConversionOptions() : lossy)
      #expect(Set(report.losses.map(\.what)) == Set(losses))
      let found = try open(target)
      #expect(found.reader.tensors == wanted.reader.tensors)
      #expect(try diff(found, wanted).tensors.allSatisfy(\.isEqual))
      #expect(try verify(workspace(target)).isSound)
    }
    let config = try JSONValue.parse(open("x.keras").requiredFile("config.json"), file: "x")
    let expected = try JSONValue.parse(wanted.requiredFile("config.json"), file: "x")
    #expect(config["class_name"] == expected["class_name"])
    #expect(config["config"]?["name"] == expected["config"]?["name"])
    #expect(
      config["compile_config"]?["optimizer"]?["config"]
        == expected["compile_config"]?["optimizer"]?["config"])
  }

  @Test func `what the legacy layout has no place for is named`() throws {
    let directory = workspace("directory")
    _ = try convert(keras("model.keras"), to: directory)
    let path = directory + "/config.json"
    let text = String(decoding: try InputFile.contents(of: path, atMost: 1 << 20), as: UTF8.self)
    let edited = text.replacing(
      "\"compile_config\": {\"optimizer\":", with: "\"by\": 1, \"compile_config\": {\"other\":")
    try AtomicFile.write(Array(edited.utf8), to: path)
    let about = "{\"keras_version\": \"3.12.0\", \"date_saved\": \"today\", \"author\": \"me\"}"
    try AtomicFile.write(Array(about.utf8), to: directory + "/metadata.json")
    let source = try open("directory")
    #expect(throws: StorageError.self) {
      try convert(source, to: workspace("x.h5"), options: ConversionOptions(form: .keras()))
    }
    let report = try convert(source, to: workspace("x.h5"), options: lossy)
    #expect(
      report.losses.map(\.what) == [
        "by of config.json", "compile_config of config.json", "author of metadata.json",
      ])
    let metadata = try open("x.h5").reader.metadata
    #expect(metadata.contains(MetadataEntry(key: "keras_version", value: "3.12.0")))
    #expect(!metadata.contains { $0.key == "training_config" })
  }

  @Test func `how a model was compiled is named where an archive can't say it`() throws {
    let info = try TensorInfo(name: "model_weights.d.d.kernel", dtype: .u8, shape: [1])
    // The class of the loss has no module.
    let training =
      #"{"loss": {"class_name": "Mine"}, "optimizer_config": {"class_name": "SGD", "config": {}}}"#
    let model =
      #"{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": "#
      + #"{"name": "d", "use_bias": false}}]}}"#
    let file = try AtomicFile(path: workspace("x.safetensors"))
    let writer = try SafetensorsWriter(
      [info],
      metadata: [
        ("keras.layout", "legacy-model"), ("keras.layer_names", #"["d"]"#),
        ("keras.weight_names", #"{"d": ["d/kernel"]}"#), ("model_config", model),
        ("training_config", training),
      ].map { MetadataEntry(key: $0, value: $1) }, to: file.output)
    let bytes: [UInt8] = [7]
    try writer.write(bytes, of: 0, at: 0)
    try writer.finish()
    try file.commit()
    #expect(throws: StorageError.self) {
      try convert(open("x.safetensors"), to: workspace("x.keras"))
    }
    let report = try convert(open("x.safetensors"), to: workspace("x.keras"), options: lossy)
    #expect(report.losses.map(\.what) == ["how the model was compiled"])
    #expect(try open("x.keras").reader.tensors.map(\.name) == ["layers.dense.vars.0"])
  }

  /// A directory with a model whose variables are one byte each, counted from 1.
  private func directory(_ layers: String, variables: [TensorName]) throws -> OpenedCheckpoint {
    let path = workspace("directory")
    try Directory.create(path)
    let file = try AtomicFile(path: path + "/model.safetensors")
    let tensors = try variables.map { try TensorInfo(name: $0, dtype: .u8, shape: [1]) }
    let writer = try SafetensorsWriter(tensors, to: file.output)
    for index in writer.tensors.indices {
      let bytes = [UInt8(index + 1)]
      try writer.write(bytes, of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    let model = #"{"class_name": "Functional", "config": {"name": "m", "layers": [\#(layers)]}}"#
    try AtomicFile.write(Array(model.utf8), to: path + "/config.json")
    return try open("directory")
  }

  @Test func `layers of one name in two models inside are told apart by their order`() throws {
    let dense = #"{"class_name": "Dense", "config": {"name": "d"}}"#
    let inner = ["a", "b"].map {
      #"{"class_name": "Functional", "config": {"name": "\#($0)", "layers": [\#(dense)]}}"#
    }
    let layers = inner.joined(separator: ", ")
    let outer = #"{"class_name": "Functional", "config": {"name": "o", "layers": [\#(layers)]}}"#
    let source = try directory(
      outer,
      variables: ["functional", "functional_1"].flatMap { name in
        [0, 1].map {
          TensorName("layers.functional.layers.\(name).layers.dense.vars.\($0)")
        }
      })
    _ = try convert(source, to: workspace("x.keras"))
    _ = try convert(open("x.keras"), to: workspace("x.h5"), options: lossy)
    _ = try convert(open("x.h5"), to: workspace("y.keras"))
    #expect(try diff(open("x.keras"), open("y.keras")).tensors.count == 4)
    #expect(try diff(open("x.keras"), open("y.keras")).tensors.allSatisfy(\.isEqual))
  }

  @Test(arguments: [["d", "d"], ["é", "e\u{301}"], ["a/b"], [""], ["optimizer_weights"]])
  func `layers whose names are no groups of their own have no legacy layout`(names: [String]) throws
  {
    let layers = names.map { #"{"class_name": "Embedding", "config": {"name": "\#($0)"}}"# }
    let source = try directory(
      layers.joined(separator: ", "),
      variables: names.indices.map {
        TensorName("layers.embedding\($0 == 0 ? "" : "_\($0)").vars.0")
      })
    _ = try convert(source, to: workspace("x.keras"))
    #expect(throws: StorageError.self) {
      try convert(open("x.keras"), to: workspace("x.h5"), options: lossy)
    }
    #expect(try !workspace.names(in: workspace.path).contains("x.h5"))
  }

  @Test func `a layer that only Keras knows is refused by name`() throws {
    let directory = workspace("directory")
    _ = try convert(keras("model.keras"), to: directory)
    let path = directory + "/config.json"
    let text = String(decoding: try InputFile.contents(of: path, atMost: 1 << 20), as: UTF8.self)
    try AtomicFile.write(
      Array(text.replacing("\"MultiHeadAttention\"", with: "\"Mine\"").utf8), to: path)
    let error = #expect(throws: StorageError.self) {
      try convert(
        open("directory"), to: workspace("x.h5"), options: ConversionOptions(form: .keras()))
    }
    #expect(error?.tensor?.text.contains("multi_head_attention") == true)
  }

  // MARK: - Looking at archives

  @Test func `an archive is a model of its class`() throws {
    let found = try inspect(keras("model.keras"))
    #expect(found.kind == .model)
    #expect(found.format == .keras)
    #expect(found.architecture == "Functional")
    #expect(found.parameterCount == 1599)
  }

  @Test(arguments: models)
  func `an archive is verified with its layers and its checksums`(name: String) throws {
    let found = try verify(golden("keras/\(name).keras"))
    #expect(found.defects == [])
    #expect(found.unexpected == [])
    #expect(
      found.checks == [
        "structure", "variables of the layers in config.json", "NaN and infinity in every element",
      ])
  }

  @Test func `a variable that a layer lacks is missing`() throws {
    let directory = workspace("directory")
    _ = try convert(keras("model.keras"), to: directory)
    let path = directory + "/config.json"
    let text = String(decoding: try InputFile.contents(of: path, atMost: 1 << 20), as: UTF8.self)
    try AtomicFile.write(
      Array(text.replacing("\"Embedding\"", with: "\"SeparableConv1D\"").utf8), to: path)
    let found = try verify(directory)
    #expect(
      found.defects.map { "\($0.tensor?.text ?? "") \($0.problem)" } == [
        "layers.separable_conv1d.vars.0 missing, expected by config.json",
        "layers.separable_conv1d.vars.1 missing, expected by config.json",
        "layers.separable_conv1d.vars.2 missing, expected by config.json",
      ])
    #expect(found.unexpected.map(\.name) == ["layers.embedding.vars.0"])
  }
}
