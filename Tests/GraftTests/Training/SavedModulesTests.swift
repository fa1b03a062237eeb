import Foundation
import Graft
import GraftGraph
import GraftKernels
import TestSupport
import Testing

/// Modules trained whole beside an adapter: written, read, evaluated and merged.
struct SavedModulesTests {
  private let space = TemporaryFolder()

  private func family(_ name: String) throws -> String {
    let path = try space.copy(golden("families/\(name)"), to: name)
    try FileManager.default.copyItem(
      atPath: fixture("model/tokenizer.json"), toPath: path + "/tokenizer.json")
    return path
  }

  private func logits(_ path: String, _ adapters: [Adapter], _ ids: [Int32]) throws -> [Float] {
    let model = try LanguageModel(path, precision: .f32, threads: 2)
    let attached = try AttachedAdapters(adapters, base: model)
    let builder = try model.graph(attached)
    var graph = Graph()
    let arrangement = Arrangement.sequences(batch: 1, sequence: ids.count)
    let hidden = builder.hiddenStates(in: &graph, arrangement)
    let logits = graph.matmul(
      hidden, transposed: false, builder.head(in: &graph), transposed: true, dtype: .f32)
    let executable = try Executable(
      graph, outputs: [logits], options: CompilerOptions(), kernels: model.kernels)
    var bindings = try builder.weights.tensors.merging(attached.tensors) { _, new in new }
    bindings.merge(try builder.constantInputs(arrangement)) { _, new in new }
    bindings[DecoderGraph.Input.tokens] = try MemorySlice(copying: ids, [ids.count])
    try executable.run(bindings: bindings)
    return executable.output(logits).floats()
  }

  @Test(
    arguments: [
      ("both-untied", "llama-untied-linear-rope", true), ("both-tied", "qwen2", true),
      ("head-of-tied", "qwen2", false), ("table-of-tied", "qwen2", false),
      ("head-update", "llama-untied-linear-rope", true),
    ])
  func
    `PEFT's adapters of modules saved whole and of the head give PEFT's logits, attached and merged`(
      adapter: String, base: String, keepsHead: Bool
    ) throws
  {
    let folder = golden("full/\(adapter)")
    let values = try SafetensorsReader(path: folder + "/golden.safetensors")
    let ids = try values.bits("input_ids", as: Int32.self)
    let expected = try values.tensor("logits").floats()
    let path = try family(base)
    let opened = try OpenedCheckpoint(path: folder).adapter()
    #expect(relativeError(try logits(path, [opened], ids), expected) < 1e-5)

    _ = try merge(
      base: OpenedCheckpoint(path: path), adapters: [try WeightedAdapter(path: folder)],
      output: space("merged"), options: MergeOptions(verifies: true))
    #expect(relativeError(try logits(space("merged"), [], ids), expected) < 1e-5)
    let merged = try OpenedCheckpoint(path: space("merged"))
    let names = Set(merged.reader.tensors.map(\.name))
    let before = Set(try OpenedCheckpoint(path: path).reader.tensors.map(\.name))
    #expect(names == (keepsHead ? before : before.union(["lm_head.weight"])))
    #expect(merged.kind == .model)
  }

  @Test(arguments: [nil, "head-update"])
  func `an update of the head is refused in training`(initial: String?) throws {
    let text = space("text.txt")
    try AtomicFile.write(Array(String(repeating: "ZQ", count: 300).utf8), to: text)
    let model = try LanguageModel(try family("llama-untied-linear-rope"), precision: .f32)
    var request = TrainingRequest(
      adapter: LoRAConfiguration(rank: 2, alpha: 4, targetModules: ["q_proj", "lm_head"]),
      data: [text], output: space("adapter"),
      settings: TrainingSettings(steps: 1, batchSize: 1, sequenceLength: 32))
    request.initialAdapter = initial.map { golden("full/" + $0) }
    let error = #expect(throws: AdapterError.self) { try model.train(request) }
    #expect(error?.reason == .untrainableHead(module: "lm_head"))
    #expect(!Directory.exists(at: space("adapter")))
  }

  // MARK: - Graft's own

  private func request(_ output: String, resumes: Bool = false) -> TrainingRequest {
    var request = TrainingRequest(
      adapter: LoRAConfiguration(rank: 2, alpha: 4, targetModules: ["q_proj"]),
      data: [fixture("text/gospels.txt")], output: space(output),
      settings: TrainingSettings(
        steps: 4, batchSize: 1, sequenceLength: 32, learningRate: 1e-2, seed: 3, saveEvery: 1),
      resumes: resumes)
    request.trainedModules = ["embed_tokens", "norm"]
    return request
  }

  @Test func `an adapter with a shared embedding is saved under both names and reads back`() throws
  {
    let model = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
    var last = 0.0
    var request = request("adapter")
    request.validation = [fixture("text/revelation.txt")]
    try model.train(request, step: { last = $0.validationLoss ?? last })
    let opened = try OpenedCheckpoint(path: space("adapter"))
    let adapter = try opened.adapter()
    #expect(
      adapter.configuration.modulesToSave == ["embed_tokens", "model.norm", "lm_head"])
    #expect(adapter.configuration.tiesSavedModules)
    #expect(
      Set(adapter.savedTensors.map(\.name)) == [
        "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
      ])
    #expect(opened.reader.tensors.allSatisfy { $0.name.hasPrefix("base_model.model.") })

    let loss = try model.evaluate(
      [fixture("text/revelation.txt")], adapters: [adapter], sequenceLength: 32, batchSize: 1
    ).loss
    #expect(abs(loss - last) < 1e-6)
    #expect(
      try abs(
        loss
          - model.evaluate([fixture("text/revelation.txt")], sequenceLength: 32, batchSize: 1).loss)
        > 1e-3)

    _ = try merge(
      base: OpenedCheckpoint(path: fixture("model")),
      adapters: [try WeightedAdapter(path: space("adapter"))], output: space("merged"),
      options: MergeOptions(dtype: .f32, verifies: true))
    let merged = try LanguageModel(space("merged"), precision: .f32, threads: 2)
    #expect(merged.configuration.tiesEmbeddings)
    let after = try merged.evaluate(
      [fixture("text/revelation.txt")], sequenceLength: 32, batchSize: 1
    ).loss
    #expect(abs(after - loss) < 1e-5)
  }

  @Test(arguments: [true, false])
  func `stopped after every step and resumed, a run ends with the same bytes`(full: Bool) throws {
    let model = try LanguageModel(fixture("model"), threads: 2)
    func prepared(_ output: String, resumes: Bool = false) -> TrainingRequest {
      var request = request(output, resumes: resumes)
      if full {
        request.adapter = nil
        request.trainedModules = []
        request.frozenModules = ["layers.0"]
      }
      return request
    }
    func bytes(_ output: String) throws -> [UInt8] {
      try InputFile.contents(
        of: space(output) + (full ? "/model.safetensors" : "/adapter_model.safetensors"),
        atMost: 1 << 24)
    }
    try model.train(prepared("whole"))
    let expected = try bytes("whole")
    for stop in 1...3 {
      var steps = 0
      let error = #expect(throws: TrainingError.self) {
        try model.train(
          prepared("stopped-\(stop)"), step: { _ in steps += 1 },
          isInterrupted: { steps == stop })
      }
      #expect(error?.reason == .interrupted(step: stop))
      try model.train(prepared("stopped-\(stop)", resumes: true))
      #expect(try bytes("stopped-\(stop)") == expected)
    }
  }

  @Test func `going on from an adapter trains its saved modules further`() throws {
    let model = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
    try model.train(request("first"))
    var second = request("second")
    second.trainedModules = []
    second.initialAdapter = space("first")
    second.settings.seed = 4
    try model.train(second)
    func table(_ name: String) throws -> [UInt8] {
      try OpenedCheckpoint(path: space(name)).reader.bytes(
        "base_model.model.model.embed_tokens.weight")
    }
    #expect(try table("first") != table("second"))
    #expect(
      try OpenedCheckpoint(path: space("second")).adapterConfiguration().modulesToSave
        == ["embed_tokens", "model.norm", "lm_head"])
  }

  // MARK: - Whole models

  @Test
  func `a whole model has the base's files, names and dtypes, and frozen tensors keep their bytes`()
    throws
  {
    let model = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
    var request = request("model")
    request.adapter = nil
    request.trainedModules = []
    request.frozenModules = ["embed_tokens", "layers.3"]
    request.validation = [fixture("text/revelation.txt")]
    var last = 0.0
    try model.train(request, step: { last = $0.validationLoss ?? last })
    let base = try OpenedCheckpoint(path: fixture("model"))
    let written = try OpenedCheckpoint(path: space("model"))
    #expect(written.kind == .model)
    #expect(
      try space.names(in: space("model")) == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json", "training_log.jsonl", "training_log.txt", "training_run.json",
        "training_state",
      ])
    #expect(written.files.map(\.name) == base.files.map(\.name))
    for tensor in base.reader.tensors {
      let index = try #require(written.reader.index(of: tensor.name))
      #expect(written.reader.tensors[index] == tensor)
      let isFrozen =
        tensor.name.text.contains("embed_tokens") || tensor.name.text.contains("layers.3.")
      #expect(
        try (written.reader.bytes(tensor.name) == base.reader.bytes(tensor.name)) == isFrozen,
        "\(tensor.name)")
    }
    let loss = try LanguageModel(space("model"), precision: .f32, threads: 2).evaluate(
      [fixture("text/revelation.txt")], sequenceLength: 32, batchSize: 1
    ).loss
    #expect(abs(loss / last - 1) < 2e-3, "rounded to bf16")
  }
}
