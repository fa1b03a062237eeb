import Foundation
import Graft
import GraftAdapters
import GraftCore
import GraftFormats
import GraftHDF5
import TestSupport
import Testing

struct MergeTests {
  let space = TemporaryFolder()
  let tied = golden("families/llama-tied")
  let adapter = golden("lora/llama-tied")

  @discardableResult
  func merge(
    _ base: String, _ adapters: [String], to output: String,
    _ options: MergeOptions = MergeOptions(verifies: true)
  ) throws -> MergeReceipt {
    try Graft.merge(
      base: OpenedCheckpoint(path: base), adapters: adapters.map { try WeightedAdapter(path: $0) },
      output: output, options: options)
  }

  // MARK: - Values

  @Test(arguments: [("llama-tied", 4), ("gpt2", 8)])
  func `an f32 base agrees with PEFT within two units in the last place`(
    name: String, count: Int
  ) throws {
    try merge(golden("families/\(name)"), [golden("lora/\(name)")], to: space("out"))
    let merged = try OpenedCheckpoint(path: space("out")).reader
    let expected = try SafetensorsReader(path: golden("merge/\(name)/merged.safetensors"))
    #expect(expected.tensors.count == count)
    for tensor in expected.tensors {
      let ours = try merged.bits(tensor.name, as: Int32.self)
      let theirs = try expected.bits(tensor.name, as: Int32.self)
      let distances = zip(ours, theirs).map { abs(ordered($0) - ordered($1)) }
      #expect(ours.count == tensor.shape.elementCount)
      #expect(try #require(distances.max()) <= 2, "\(tensor.name)")
    }
  }

  @Test func `a bf16 base becomes the f64 reference rounded once`() throws {
    try merge(golden("families/llama-bf16"), [adapter], to: space("out"))
    let merged = try OpenedCheckpoint(path: space("out")).reader
    let expected = try SafetensorsReader(path: golden("merge/llama-bf16/merged.safetensors"))
    for tensor in expected.tensors {
      let ours = try merged.bits(tensor.name, as: Int16.self).map { ordered(Int32($0)) }
      let theirs = try expected.bits(tensor.name, as: Int16.self).map { ordered(Int32($0)) }
      let off = zip(ours, theirs).filter { $0 != $1 }
      #expect(off.allSatisfy { abs($0 - $1) == 1 })
      #expect(Double(off.count) <= 0.001 * Double(ours.count), "\(tensor.name)")
    }
  }

  /// The pattern of a float as a number whose neighbours are the neighbouring floats.
  private func ordered(_ bits: Int32) -> Int64 {
    bits < 0 ? -Int64(bits & 0x7FFF_FFFF) : Int64(bits)
  }

  @Test func `everything that no adapter touches keeps its bytes`() throws {
    let receipt = try merge(tied, [adapter], to: space("out"))
    let base = try OpenedCheckpoint(path: tied).reader
    let merged = try OpenedCheckpoint(path: space("out")).reader
    #expect(merged.tensors.map(\.name) == base.tensors.map(\.name))
    let touched = Set(receipt.entries.map(\.name))
    #expect(touched.count == 4)
    for tensor in base.tensors {
      let same = try merged.bytes(tensor.name) == base.bytes(tensor.name)
      #expect(same == !touched.contains(tensor.name), "\(tensor.name)")
    }
    for name in ["config.json", "generation_config.json"] {
      #expect(
        FileManager.default.contentsEqual(atPath: tied + "/" + name, andPath: space("out/" + name)))
    }
    #expect(
      try space.names(in: space("out")) == [
        "config.json", "generation_config.json", "model.safetensors",
      ])
  }

  @Test func `what stays behind of the base's directory is named, as by a conversion`() throws {
    let base = try space.copy(tied, to: "base")
    for name in [".hidden", "training_log.jsonl"] {
      try AtomicFile.write(Array("x".utf8), to: base + "/" + name)
    }
    let receipt = try merge(base, [adapter], to: space("out"))
    let left = ["training_log.jsonl", ".hidden", "golden.safetensors"]
    #expect(receipt.notes.map(\.what) == left)
    #expect(receipt.json["notes"]?.array?.map(\.string) == left)
    let plain = try convert(OpenedCheckpoint(path: base), to: space("plain"))
    #expect(plain.notes == receipt.notes)
  }

  @Test func `the receipt says what happened`() throws {
    let receipt = try merge(golden("families/llama-bf16"), [adapter], to: space("out"))
    for entry in receipt.entries {
      #expect(entry.ranks == [8])
      #expect(entry.baseNorm > 0 && entry.updateNorm > 0 && entry.roundingError > 0)
      #expect(entry.roundingError < entry.baseNorm * 0.004)
      #expect(abs(try #require(entry.survivedFraction) - 1) < 0.1)
      #expect(entry.changedCount > 0 && entry.changedCount <= entry.elementCount)
    }
    #expect(receipt.verifiedByteCount == receipt.entries.reduce(0) { $0 + $1.elementCount * 2 })
    #expect(receipt.json["tensors"]?.array?.count == 4)
  }

  @Test(arguments: [1, 2, 5])
  func `the output doesn't depend on the threads`(threads: Int) throws {
    try merge(tied, [adapter], to: space("one"), MergeOptions(threadCount: 1))
    try merge(tied, [adapter], to: space("many"), MergeOptions(threadCount: threads))
    #expect(
      FileManager.default.contentsEqual(
        atPath: space("one/model.safetensors"), andPath: space("many/model.safetensors")))
  }

  @Test func `weights scale the updates, and two halves make a whole`() throws {
    try merge(tied, [adapter], to: space("whole"))
    let half = try WeightedAdapter(path: adapter, weight: 0.5)
    _ = try Graft.merge(
      base: OpenedCheckpoint(path: tied), adapters: [half, half], output: space("halves"))
    #expect(
      FileManager.default.contentsEqual(
        atPath: space("whole/model.safetensors"), andPath: space("halves/model.safetensors")))
  }

  @Test func `ranks and alphas by pattern and rsLoRA take part`() throws {
    let all = golden("lora/llama-tied-all-linear")
    let receipt = try merge(tied, [all], to: space("out"))
    let ranks = Dictionary(uniqueKeysWithValues: receipt.entries.map { ($0.name, $0.ranks) })
    #expect(ranks.count == 14)
    #expect(ranks["model.layers.0.self_attn.q_proj.weight"] == [2])
    #expect(ranks["model.layers.1.mlp.down_proj.weight"] == [7])
    #expect(ranks["model.layers.0.mlp.down_proj.weight"] == [4])
  }

  // MARK: - Embeddings and saved modules

  /// An adapter made of tensors.
  private func adapter(
    _ tensors: [(String, Shape, [Float])], modulesToSave: [String] = [], rank: Int = 1
  ) throws -> String {
    let targets = Set(
      tensors.compactMap { name, _, _ in
        name.range(of: ".lora_").flatMap { name[..<$0.lowerBound].split(separator: ".").last }
      })
    var configuration = LoRAConfiguration(
      rank: rank, alpha: 2, targetModules: .names(targets.sorted().map(String.init)))
    configuration.modulesToSave = modulesToSave
    let path = space("made-\(UUID())")
    let directory = try AtomicDirectory(path: path)
    try directory.write(configuration.peftFile, named: LoRAConfiguration.fileName)
    let writer = try SafetensorsWriter(
      tensors.map { try TensorInfo(name: TensorName($0.0), dtype: .f32, shape: $0.1) },
      to: directory.file(named: Adapter.fileName))
    for (name, _, values) in tensors {
      let index = try #require(writer.tensors.firstIndex { $0.name == TensorName(name) })
      try writer.write(values, of: index, at: 0)
    }
    try writer.finish()
    try directory.commit()
    return path
  }

  private func floats(_ path: String, _ name: TensorName) throws -> [Float] {
    try OpenedCheckpoint(path: path).reader.bits(name, as: UInt32.self).map(Float.init(bitPattern:))
  }

  @Test func `an update of the embedding is the transpose of the product`() throws {
    let name = TensorName("model.embed_tokens.weight")
    let shape = try #require(
      try OpenedCheckpoint(path: tied).reader.tensors.first { $0.name == name }?.shape)
    let (vocabulary, hidden) = (shape[0], shape[1])
    let a = (0..<vocabulary).map { Float($0) }
    let b = (0..<hidden).map { Float($0 % 3) }
    let made = try adapter([
      ("base_model.model.model.embed_tokens.lora_embedding_A", [1, vocabulary], a),
      ("base_model.model.model.embed_tokens.lora_embedding_B", [hidden, 1], b),
    ])
    try merge(tied, [made], to: space("out"))
    let (old, new) = (try floats(tied, name), try floats(space("out"), name))
    let expected = old.indices.map { old[$0] + 2 * a[$0 / hidden] * b[$0 % hidden] }
    #expect(new == expected)
  }

  @Test func `a saved module replaces the base's, and updates add to it`() throws {
    let name = TensorName("model.norm.weight")
    let values = (0..<32).map { Float($0) }
    let made = try adapter(
      [("base_model.model.model.norm.weight", [32], values)], modulesToSave: ["norm"])
    let receipt = try merge(tied, [made], to: space("out"))
    #expect(try floats(space("out"), name) == values)
    #expect(receipt.entries.map(\.isReplaced) == [true])
  }

  @Test(arguments: [0, 0.5, -1])
  func `a saved module has no weight`(weight: Double) throws {
    let made = try adapter(
      [("base_model.model.model.norm.weight", [32], [Float](repeating: 2, count: 32))],
      modulesToSave: ["norm"])
    let error = #expect(throws: AdapterError.self) {
      try Graft.merge(
        base: OpenedCheckpoint(path: tied),
        adapters: [try WeightedAdapter(path: made, weight: weight)], output: space("out"))
    }
    #expect(error?.reason == .weightedReplacement(name: "model.norm.weight", weight: weight))
    #expect(error?.file == made + "/adapter_model.safetensors")
    #expect(try space.names(in: space.path).count == 1)
  }

  @Test func `a module that two adapters save is an error that says so`() throws {
    let made = try (0..<2).map { _ in
      try adapter(
        [("base_model.model.model.norm.weight", [32], [Float](repeating: 2, count: 32))],
        modulesToSave: ["norm"])
    }
    let error = #expect(throws: AdapterError.self) { try merge(tied, made, to: space("out")) }
    #expect(error?.reason == .savedTwice(name: "model.norm.weight"))
    #expect(error?.file == made[1] + "/adapter_model.safetensors")
  }

  // MARK: - Refusals

  @Test func `a module that the base hasn't is an error with its neighbours`() throws {
    let made = try adapter(
      [
        ("base_model.model.model.layers.0.self_attn.q_prj.lora_A.weight", [1, 64], []),
        ("base_model.model.model.layers.0.self_attn.q_prj.lora_B.weight", [64, 1], []),
      ].map { ($0.0, $0.1, [Float](repeating: 0, count: 64)) })
    let error = #expect(throws: AdapterError.self) { try merge(tied, [made], to: space("out")) }
    guard case .moduleNotInBase(let module, let nearest) = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(module == "model.layers.0.self_attn.q_prj")
    #expect(nearest.first == "model.layers.0.self_attn.q_proj")
    #expect(try space.names(in: space.path).count == 1)
  }

  @Test(arguments: [
    ("vectors/newtestament-50.w2v.txt", "a table of vectors in word2vec, 1 tensor: embeddings"),
    ("golden/families/gpt2", "a model in safetensors, "),
    ("golden/hdf5/tree.h5", "tensors without a configuration in hdf5, "),
  ])
  func `a base without any of the modules is called what it is`(
    path: String, found: String
  ) throws {
    let error = #expect(throws: AdapterError.self) {
      try merge(fixture(path), [adapter], to: space("out"))
    }
    guard case .foreignBase("model.layers.0.self_attn.q_proj", let words) = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(words.hasPrefix(found))
    #expect(error?.file == fixture(path))
    #expect(error?.diagnosis.kind == .badInput)
    #expect(error?.diagnosis.remedy?.hasPrefix("a base is the model") == true)
    #expect(space.names.isEmpty)
  }

  @Test func `pairs that the configuration doesn't target are an error, as PEFT leaves them out`()
    throws
  {
    let path = space("edited")
    try FileManager.default.copyItem(atPath: adapter, toPath: path)
    let url = URL(filePath: path + "/adapter_config.json")
    var config = try #require(
      JSONSerialization.jsonObject(with: try Data(contentsOf: url)) as? [String: Any])
    config["target_modules"] = ["q_proj"]
    try JSONSerialization.data(withJSONObject: config).write(to: url)
    let error = #expect(throws: AdapterError.self) { try merge(tied, [path], to: space("out")) }
    #expect(
      error?.reason
        == .untargeted(module: "model.layers.0.self_attn.v_proj", count: 2, pairCount: 4))
    #expect(try space.names(in: space.path) == ["edited"])
    let defects = try verify(path).defects.map(\.description)
    #expect(defects.count == 1)
    #expect(defects.first?.contains("found 2 such pairs among 4") == true)
  }

  @Test func `an update of another shape is an error with both shapes`() throws {
    let made = try adapter([
      ("model.layers.0.self_attn.q_proj.lora_A.weight", [1, 3], [0, 0, 0]),
      ("model.layers.0.self_attn.q_proj.lora_B.weight", [2, 1], [0, 0]),
    ])
    let error = #expect(throws: AdapterError.self) { try merge(tied, [made], to: space("out")) }
    #expect(
      error?.reason
        == .shapeMismatch(
          tensor: "model.layers.0.self_attn.q_proj.weight", expected: [32, 32], found: [2, 3]))
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func `an adapter with values that aren't numbers is an error, and nothing is written`(
    value: Float
  ) throws {
    let path = "base_model.model.model.layers.1.mlp.up_proj"
    var b = [Float](repeating: 1, count: 64)
    b[17] = value
    let made = try adapter([
      (path + ".lora_A.weight", [1, 32], [Float](repeating: 0, count: 32)),
      (path + ".lora_B.weight", [64, 1], b),
    ])
    let error = #expect(throws: AdapterError.self) { try merge(tied, [made], to: space("out")) }
    #expect(
      error?.reason == .nonFinite(tensor: TensorName(path + ".lora_B.weight"), element: 17))
    #expect(error?.file == made + "/adapter_model.safetensors")
    #expect(try space.names(in: space.path).count == 1)
  }

  @Test func `an update that overflows is an error, and nothing is written`() throws {
    let path = "base_model.model.model.layers.1.mlp.up_proj"
    let made = try adapter([
      (path + ".lora_A.weight", [1, 32], [Float](repeating: 1e30, count: 32)),
      (path + ".lora_B.weight", [64, 1], [0, 1e10] + [Float](repeating: 0, count: 62)),
    ])
    let error = #expect(throws: AdapterError.self) { try merge(tied, [made], to: space("out")) }
    #expect(
      error?.reason == .overflow(tensor: "model.layers.1.mlp.up_proj.weight", count: 32))
    #expect(try space.names(in: space.path).count == 1)
  }

  @Test func `a directory that holds something else isn't replaced`() throws {
    try FileManager.default.createDirectory(
      atPath: space("home"), withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: space("home/letter.txt")))
    #expect(
      throws: StorageError(
        .alreadyExists, file: space("home"),
        remedy: "the directory holds something other than a model; name another one")
    ) { try merge(tied, [adapter], to: space("home")) }
    #expect(try space.names(in: space("home")) == ["letter.txt"])
  }

  @Test func `a model isn't an adapter`() throws {
    let error = #expect(throws: StorageError.self) { try merge(tied, [tied], to: space("out")) }
    #expect(
      error?.reason
        == .mismatch(
          subject: "the kind of the checkpoint", expected: "an adapter", found: "a model"))
    #expect(error?.file == tied)
  }

  @Test func `an adapter isn't a model`() throws {
    let error = #expect(throws: StorageError.self) { try merge(adapter, [tied], to: space("out")) }
    #expect(
      error?.reason
        == .mismatch(
          subject: "the kind of the checkpoint", expected: "a model as the base",
          found: "an adapter"))
    #expect(error?.file == adapter)
  }

  @Test func `an adapter without its configuration lacks a file`() throws {
    let path = try space.copy(adapter, to: "half")
    for name in ["/adapter_config.json", "/golden.safetensors"] {
      try FileManager.default.removeItem(atPath: path + name)
    }
    let error = #expect(throws: StorageError.self) { try merge(tied, [path], to: space("out")) }
    #expect(error?.reason == .notFound)
    #expect(error?.file == path + "/adapter_config.json")
  }

  @Test(arguments: [
    ("kohya.safetensors", "kohya"), ("diffusers.safetensors", "diffusers"),
    ("lycoris-loha.safetensors", "kohya"), ("adapter.gguf", "GGUF"), ("mlx-lora", "MLX"),
  ])
  func `an adapter in another layout is called by its name`(file: String, layout: String) throws {
    let path = golden("layouts/" + file)
    let error = try #require(throws: StorageError.self) {
      try merge(tied, [path], to: space("out"))
    }
    #expect(error.reason == .unsupported(feature: "layout of adapters", found: layout))
    #expect(error.file == path)
    #expect(error.remedy?.contains("adapter_config.json beside adapter_model.safetensors") == true)
    #expect(try space.names(in: space.path) == [])
  }
}
