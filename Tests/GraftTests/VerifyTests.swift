import Foundation
import Graft
import TestSupport
import Testing

@Suite struct `Verifying a checkpoint` {
  private let workspace = TemporaryFolder()

  /// A copy of a golden model whose weights are changed.
  private func damaged(
    _ family: String = "llama-bf16", _ change: (inout Data, Inspection) throws -> Void
  ) throws -> String {
    let path = try workspace.copy(golden("families/" + family), to: "model")
    let file = path + "/model.safetensors"
    let inspection = try inspect(OpenedCheckpoint(path: path))
    var data = try Data(contentsOf: URL(filePath: file))
    try change(&data, inspection)
    try data.write(to: URL(filePath: file))
    return path
  }

  @Test(arguments: [
    "llama-bf16", "llama-head-dim", "llama-llama3-rope", "llama-tied", "llama-untied-linear-rope",
    "mistral", "qwen2", "qwen3",
  ])
  func `finds the golden models sound`(family: String) throws {
    let result = try verify(golden("families/" + family))
    #expect(result.defects == [])
    #expect(result.omissions == [])
    #expect(result.unexpected == [])
    #expect(result.tensorCount > 0)
  }

  @Test func `finds every NaN and infinity, with the tensor and the byte`() throws {
    var place = 0
    let path = try damaged { data, inspection in
      let tensor = try #require(
        inspection.tensors.first { $0.info.name == "model.norm.weight" })
      place = try #require(tensor.offset)
      data.replaceSubrange(place + 4..<place + 10, with: [0xC0, 0x7F, 0x80, 0xFF, 0x80, 0x7F])
    }
    let result = try verify(path)
    let file = path + "/model.safetensors"
    #expect(
      result.defects.map(\.description) == [
        "\(file), tensor model.norm.weight, byte \(place + 4): "
          + "1 NaN and 2 infinite of 32 elements, the first at element 2"
      ])
  }

  @Test(arguments: [0, 1])
  func `holds the tensors' bytes against the hash of sd-scripts`(change: Float) throws {
    let path = workspace("lora.safetensors")
    // hashlib.sha256(struct.pack("<6f", 0, 1, 2, 3, 4, 5)).hexdigest()
    let hash = "e2c0a71510b5394df7773b63fb5f54372b84c3564e67811bde7d665be227976d"
    let other = "83220fb962c3a89f7b43ff9d93748d275da3d1ca47197c0da9045ec6d1c4e430"
    let file = try AtomicFile(path: path)
    let tensors = try ["down", "up"].map {
      try TensorInfo(
        name: TensorName("lora_unet_x.lora_\($0).weight"), dtype: .f32,
        shape: $0 == "down" ? [1, 3] : [3, 1])
    }
    let writer = try SafetensorsWriter(
      tensors, metadata: [MetadataEntry(key: "sshs_model_hash", value: hash)], to: file.output)
    try writer.write([0, 1, 2] as [Float], of: 0, at: 0)
    try writer.write([3, 4, 5 + change] as [Float], of: 1, at: 0)
    try writer.finish()
    try file.commit()
    let result = try verify(path)
    #expect(result.checks.contains("sshs_model_hash"))
    let expected =
      change == 0 ? [] : ["sshs_model_hash is \(hash), the tensors' SHA-256 is \(other)"]
    #expect(result.defects.map(\.problem).filter { $0.contains("hash") } == expected)
  }

  @Test func `finds a file that ends early`() throws {
    let path = try damaged { data, _ in data.removeLast(5) }
    let result = try verify(path)
    #expect(result.defects.count == 1)
    #expect(result.defects.first?.problem.contains("the file ends inside its data") == true)
  }

  @Test func `finds tensors that don't fit config.json`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    let url = URL(filePath: path + "/config.json")
    let text = try String(contentsOf: url, encoding: .utf8)
    var config = try #require(
      JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let layers = try #require(config["num_hidden_layers"] as? Int)
    config["num_hidden_layers"] = layers + 1
    try JSONSerialization.data(withJSONObject: config).write(to: url)
    let result = try verify(path)
    #expect(result.defects.count == 9)
    #expect(result.defects.allSatisfy { $0.tensor?.hasPrefix("model.layers.\(layers).") == true })
    #expect(result.defects.allSatisfy { $0.problem.hasPrefix("missing, expected [") })
  }

  @Test func `a configuration of megabytes isn't read`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    let text = "[" + String(repeating: "[],", count: 2_000_000) + "[]]"
    try Data(text.utf8).write(to: URL(filePath: path + "/config.json"))
    let defect = try #require(try verify(path).defects.first)
    #expect(defect.problem.hasPrefix("more than the limit of 4194304 bytes of a configuration"))
    #expect(defect.file == path + "/config.json")
  }

  @Test func `finds an adapter of another base`() throws {
    let adapter = golden("lora/llama-tied")
    #expect(try verify(adapter, base: golden("families/llama-tied")).isSound)
    let result = try verify(adapter, base: golden("families/qwen3"))
    #expect(!result.isSound)
  }

  @Test func `names half a pair once, with a base too`() throws {
    let path = try workspace.copy(golden("lora/llama-tied"), to: "adapter")
    let name = path + "/adapter_model.safetensors"
    let module = "model.layers.0.self_attn.q_proj"
    let file = try AtomicFile(path: name)
    let info = try TensorInfo(
      name: TensorName("base_model.model.\(module).lora_A.weight"), dtype: .f32, shape: [2, 3])
    let writer = try SafetensorsWriter([info], to: file.output)
    try writer.write([Float](repeating: 0, count: 6), of: 0, at: 0)
    try writer.finish()
    try file.commit()
    let defects = ["\(path): the adapter lacks B of \(module): \(name)"]
    let result = try verify(path, base: golden("families/llama-tied"))
    #expect(result.defects.map(\.description) == defects)
    #expect(result.omissions == ["fit to the base: the adapter itself can't be read"])
    let alone = try verify(path)
    #expect(alone.defects.map(\.description) == defects)
    #expect(alone.omissions == ["fit to the base: no base was given"])
  }

  @Test func `names tensors that config.json doesn't ask for, which are no defect`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    let url = URL(filePath: path + "/config.json")
    var config = try #require(
      JSONSerialization.jsonObject(with: try Data(contentsOf: url)) as? [String: Any])
    let layers = try #require(config["num_hidden_layers"] as? Int)
    config["num_hidden_layers"] = layers - 1
    try JSONSerialization.data(withJSONObject: config).write(to: url)
    let result = try verify(path)
    #expect(result.isSound)
    #expect(result.unexpected.count == 9)
    #expect(
      result.unexpected.allSatisfy { $0.name.hasPrefix("model.layers.\(layers - 1).") })
    #expect(result.json["unexpected"]?.array?.count == 9)
  }

  @Test(arguments: [
    ("target_modules", ["q_proj", "v_proj", "o_proj"], "o_proj, of which no module has a pair"),
    ("modules_to_save", ["lm_head"], "lm_head, of which there is no tensor"),
  ])
  func `finds modules that an adapter's configuration asks for and its file lacks`(
    key: String, names: [String], problem: String
  ) throws {
    let path = try workspace.copy(golden("lora/llama-tied"), to: "adapter")
    let url = URL(filePath: path + "/adapter_config.json")
    var config = try #require(
      JSONSerialization.jsonObject(with: try Data(contentsOf: url)) as? [String: Any])
    config[key] = names
    try JSONSerialization.data(withJSONObject: config).write(to: url)
    guard key == "target_modules" else {
      #expect(
        try verify(path).defects.map(\.description) == ["\(url.path): \(key) asks for \(problem)"])
      return
    }
    // PEFT asks for a pair of what the base has, and only the base tells.
    let alone = try verify(path)
    #expect(alone.isSound)
    #expect(alone.omissions.first == "target \(problem): no base was given")
    let defects = try verify(path, base: golden("families/llama-tied")).defects.map(\.problem)
    #expect(
      defects
        == [0, 1].map { layer in
          "target_modules asks for model.layers.\(layer).self_attn.o_proj, which has no pair"
        })
  }

  @Test func `finds an adapter sound that was trained with frozen targets`() throws {
    var request = TrainingRequest(
      adapter: LoRAConfiguration(rank: 2, alpha: 4, targetModules: ["q_proj", "v_proj"]),
      data: [fixture("text/gospels.txt")], output: workspace("adapter"),
      settings: TrainingSettings(steps: 1, batchSize: 1, sequenceLength: 16))
    request.frozenModules = ["q_proj"]
    try LanguageModel(fixture("model"), threads: 2).train(request)
    let alone = try verify(workspace("adapter"))
    #expect(alone.defects == [])
    #expect(alone.omissions == ["fit to the base: no base was given"])
    #expect(try verify(workspace("adapter"), base: fixture("model")).defects == [])
  }

  @Test(arguments: [
    ("families/llama-tied", "a model"), ("gguf/qwen2.gguf", "a model"),
    ("hdf5/tree.h5", "tensors without a configuration"),
  ])
  func `refuses a base for what is no adapter`(path: String, kind: String) throws {
    let error = try #require(throws: StorageError.self) {
      try verify(golden(path), base: golden("families/llama-tied"))
    }
    #expect(
      error.reason
        == .mismatch(
          subject: "the kind of the checkpoint", expected: "an adapter, which has a base",
          found: kind))
    #expect(error.file == golden(path))
  }

  @Test func `counts complex elements, not their halves`() throws {
    var values = [Float](repeating: 1, count: 1200)
    // Elements 300, 301 and 599: the first and the last of them are NaN in one half.
    values[601] = .nan
    (values[602], values[603]) = (.infinity, -.infinity)
    (values[1198], values[1199]) = (.infinity, .nan)
    let path = workspace("complex.safetensors")
    let file = try AtomicFile(path: path)
    let info = try TensorInfo(name: "w", dtype: .c64, shape: [600])
    let writer = try SafetensorsWriter([info], to: file.output)
    try writer.write(values, of: 0, at: 0)
    try writer.finish()
    try file.commit()
    let defect = try #require(try verify(path).defects.first)
    #expect(defect.problem == "2 NaN and 1 infinite of 600 elements, the first at element 300")
    let start = try #require(try inspect(OpenedCheckpoint(path: path)).tensors.first?.offset)
    #expect(defect.offset == start + 300 * 8)
  }

  /// Adds members to a file of JSON.
  private func add(_ members: [String: Any], to path: String) throws {
    let url = URL(filePath: path)
    let found = try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any]
    let object = try #require(found).merging(members) { $1 }
    try JSONSerialization.data(withJSONObject: object).write(to: url)
  }

  @Test func `names code that a configuration would have others run, and runs none`() throws {
    let (base, adapter) = (golden("families/llama-tied"), golden("lora/llama-tied"))
    let copy = try workspace.copy(adapter, to: "adapter")
    try add(
      [
        "auto_mapping": ["base_model_class": "Model", "parent_library": "nowhere.to.be.found"],
        "trust_remote_code": true,
      ], to: copy + "/adapter_config.json")
    let result = try verify(copy, base: base)
    #expect(result.defects == [])
    #expect(
      result.omissions
        == ["auto_mapping", "trust_remote_code"].map {
          "\($0) in adapter_config.json: other programs may run code by it"
        })
    let model = try workspace.copy(base, to: "model")
    try add(["auto_map": ["AutoModel": "modeling.Model"]], to: model + "/config.json")
    #expect(
      try verify(model).omissions
        == ["auto_map in config.json: other programs may run code by it"])
    let modules = """
      [{"path": "", "type": "sentence_transformers.models.Transformer"},
      {"path": "1_Own", "type": "own_modules.Pooling\\u001b"}, {"path": "2", "type": 3}]
      """
    try modules.write(toFile: model + "/modules.json", atomically: true, encoding: .utf8)
    #expect(
      try verify(model).omissions
        == [
          "auto_map in config.json: other programs may run code by it",
          "own_modules.Pooling\\u{1b} in modules.json: other programs may run code by it",
        ])
    try FileManager.default.removeItem(atPath: model + "/modules.json")
    // The arithmetic is the same, and what has no meaning here is kept.
    for (name, adapter) in [("with", copy), ("without", adapter)] {
      _ = try merge(
        base: OpenedCheckpoint(path: base), adapters: [WeightedAdapter(path: adapter)],
        output: workspace(name))
    }
    #expect(
      FileManager.default.contentsEqual(
        atPath: workspace("with/model.safetensors"),
        andPath: workspace("without/model.safetensors")))
    let kept = try OpenedCheckpoint(path: copy).adapterConfiguration().otherKeys
    #expect(kept["auto_mapping"]?["parent_library"] == "nowhere.to.be.found")
  }

  @Test func `says what it can't check`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    let config = #"{"architectures": ["StrangeForCausalLM"], "model_type": "strange"}"#
    try config.write(toFile: path + "/config.json", atomically: true, encoding: .utf8)
    let result = try verify(path)
    #expect(result.isSound)
    #expect(result.omissions.count == 1)
    #expect(result.omissions.first?.contains("StrangeForCausalLM") == true)
  }

  @Test(arguments: [
    (OutputForm.pyTorchDirectory(maximumShardByteCount: 1_000_000), "torch"),
    (.gguf(maximumShardByteCount: 1_000_000), "many.gguf"),
    (.directory(maximumShardByteCount: 1_000_000), "sharded"),
  ])
  func `finds that a shard is missing, in every form`(form: OutputForm, name: String) throws {
    var options = ConversionOptions(form: form)
    options.allowsLoss = true
    let report = try convert(
      OpenedCheckpoint(path: fixture("model")), to: workspace(name), options: options)
    let shards = report.fileNames.filter { $0.contains("-of-") }
    let isFolder = name != "many.gguf"
    try #require(shards.count > 1)
    let missing = workspace(isFolder ? name + "/" + shards[1] : shards[1])
    try FileManager.default.removeItem(atPath: missing)
    let result = try verify(workspace(isFolder ? name : shards[0]))
    #expect(result.defects.map(\.file).contains(missing))
    #expect(result.defects.first?.problem.hasPrefix("no such file") == true)
  }

  @Test(arguments: [
    ("families/llama-tied", "config.json"), ("lora/llama-tied", "adapter_config.json"),
  ])
  func `finds a configuration that isn't JSON`(source: String, name: String) throws {
    let path = try workspace.copy(golden(source), to: "copy")
    try "{oops".write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
    let result = try verify(path)
    #expect(result.defects.map(\.file) == [path + "/" + name])
    #expect(result.checks.contains("NaN and infinity in every element"))
  }

  @Test func `says that a directory of weights has no configuration`() throws {
    let path = try workspace.copy(golden("families/llama-tied"), to: "model")
    try FileManager.default.removeItem(atPath: path + "/config.json")
    let result = try verify(path)
    #expect(result.isSound)
    #expect(
      result.omissions == ["tensors and shapes against config.json: there is no config.json"])
  }

  @Test func `leaves a missing file to the caller`() {
    #expect(throws: StorageError(.notFound, file: "/nowhere")) { try verify("/nowhere") }
  }
}
