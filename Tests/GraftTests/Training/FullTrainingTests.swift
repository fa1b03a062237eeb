import Graft
import GraftKernels
import TestSupport
import Testing

/// The base's own tensors trained, beside PyTorch (Fixtures/golden/full).
struct FullTrainingTests {
  private let space = TemporaryFolder()

  /// A tiny model with a tokenizer, which training on ids doesn't use.
  private func model(
    _ name: String, precision: ComputePrecision = .f32, threads: Int = 2
  ) throws -> LanguageModel {
    let path = try space.copy(golden("families/\(name)"), to: "\(name)-\(precision)-\(threads)")
    try AtomicFile.write(
      try InputFile.contents(of: fixture("model/tokenizer.json"), atMost: 1 << 24),
      to: path + "/tokenizer.json")
    return try LanguageModel(path, precision: precision, threads: threads)
  }

  private func trainer(
    _ model: LanguageModel, _ settings: TrainingSettings, trained: [String] = [],
    frozen: [String] = [], adapter: LoRAConfiguration? = nil
  ) throws -> Trainer {
    var request = TrainingRequest(adapter: adapter, data: [], output: "", settings: settings)
    request.trainedModules = trained
    request.frozenModules = frozen
    let subject = try TrainingSubject(request, of: model)
    return try Trainer(
      subject.graph,
      trainable: try TrainableTensors(
        subject.tensors.map { (name: $0, value: $1) }, optimizer: settings.optimizer),
      settings: settings, kernels: model.kernels)
  }

  private func values(of name: String) throws -> SafetensorsReader {
    try SafetensorsReader(path: golden("full/\(name)/golden.safetensors"))
  }

  // MARK: - Beside PyTorch

  @Test(
    arguments: ["qwen2", "llama-untied-linear-rope", "llama-head-dim", "qwen3", "gemma3", "gpt2"],
    [RecomputePolicy.none, .block])
  func `gradients of every tensor equal PyTorch's`(
    name: String, recompute: RecomputePolicy
  ) throws {
    let values = try values(of: name)
    let trainer = try trainer(
      try model(name),
      TrainingSettings(batchSize: 2, sequenceLength: 32, recompute: recompute))
    let ids = try values.bits("input_ids", as: Int32.self)
    let outcome = try trainer.accumulate([TinyModel.batch(ids, sequence: 32)])
    let loss = try values.tensor("loss").floats()[0]
    #expect(abs(outcome.loss / Double(loss) - 1) < 1e-5)
    var compared = 0
    for (tensor, gradient) in trainer.trainable.gradients
    where values.index(of: TensorName("gradient." + tensor.text)) != nil {
      let expected = try values.tensor(TensorName("gradient." + tensor.text)).floats()
      #expect(relativeError(gradient.floats(), expected) < 1e-4, "\(tensor)")
      compared += 1
    }
    #expect(compared == values.tensors.count { $0.name.text.hasPrefix("gradient.") })
  }

  @Test(arguments: ["qwen2", "llama-untied-linear-rope"])
  func `ten AdamW steps on every tensor follow PyTorch's losses, norms and weights`(
    name: String
  ) throws {
    let values = try values(of: name)
    let trainer = try trainer(
      try model(name),
      TrainingSettings(
        steps: 10, batchSize: 4, sequenceLength: 32, learningRate: 1e-3, decay: .constant,
        optimizer: .adamW(AdamW(weightDecay: 0.01)), clipNorm: 1))
    let ids = try values.bits("train.input_ids", as: Int32.self)
    let losses = try values.tensor("train.loss").floats()
    let norms = try values.tensor("train.gradient_norm").floats()
    for step in 0..<10 {
      let batch = TinyModel.batch(Array(ids[step * 128..<(step + 1) * 128]), sequence: 32)
      let outcome = try trainer.run([batch], step: step + 1)
      #expect(abs(outcome.loss / Double(losses[step]) - 1) < 1e-5)
      #expect(abs(outcome.gradientNorm / Double(norms[step]) - 1) < 1e-3)
    }
    for (tensor, value) in trainer.trainable.tensors {
      let expected = try values.tensor(TensorName("train.final." + tensor.text)).floats()
      #expect(relativeError(value.floats(), expected) < 1e-4, "\(tensor)")
    }
    #expect(
      trainer.trainable.tensors.count
        == values.tensors.count { $0.name.text.hasPrefix("train.final.") })
  }

  @Test func `losses in bf16 stay within one percent of PyTorch's in f32`() throws {
    let values = try values(of: "qwen2")
    let trainer = try trainer(
      try model("qwen2", precision: .bf16),
      TrainingSettings(
        steps: 10, batchSize: 4, sequenceLength: 32, learningRate: 1e-3, decay: .constant,
        optimizer: .adamW(AdamW(weightDecay: 0.01))))
    let ids = try values.bits("train.input_ids", as: Int32.self)
    let losses = try values.tensor("train.loss").floats()
    for step in 0..<10 {
      let batch = TinyModel.batch(Array(ids[step * 128..<(step + 1) * 128]), sequence: 32)
      let outcome = try trainer.run([batch], step: step + 1)
      #expect(abs(outcome.loss / Double(losses[step]) - 1) < 0.01)
    }
  }

  // MARK: - Bits and bytes

  @Test(arguments: [1, 2, 3, 4])
  func `neither threads, recompute nor fusion change a bit of the gradients`(threads: Int) throws {
    func gradients(
      _ model: LanguageModel, _ recompute: RecomputePolicy, fusion: Bool = true
    ) throws -> [[Float]] {
      let trainer = try trainer(
        model,
        TrainingSettings(
          batchSize: 2, sequenceLength: 32, recompute: recompute, fusion: fusion))
      let ids = try values(of: "qwen2").bits("input_ids", as: Int32.self)
      _ = try trainer.accumulate([TinyModel.batch(ids, sequence: 32)])
      return trainer.trainable.gradients.map { $0.value.floats() }
    }
    let one = try model("qwen2", precision: .bf16, threads: 1)
    let several = threads == 1 ? one : try model("qwen2", precision: .bf16, threads: threads)
    let expected = try gradients(one, .none)
    #expect(expected.count == 26)
    #expect(try gradients(several, .none) == expected)
    #expect(try gradients(several, .block) == expected)
    #expect(try gradients(several, .none, fusion: false) == expected)
  }

  @Test func `the arena holds neither the gradients of all blocks nor copies of their weights`()
    throws
  {
    func arena(_ trained: [String], _ frozen: [String]) throws -> Int {
      try trainer(
        try LanguageModel(fixture("model"), precision: .bf16, threads: 1),
        TrainingSettings(batchSize: 1, sequenceLength: 16, recompute: .block), trained: trained,
        frozen: frozen
      ).arenaByteCount
    }
    // All six blocks against one: activations grow by what a block keeps, weights and gradients by nothing.
    let one = try arena(["model.layers.5"], [])
    let all = try arena(["model.layers"], [])
    let weights = 4 * 1_100_000
    #expect(all < weights / 2, "\(one) and \(all) bytes")
  }

  // MARK: - Selection

  @Test func `names choose modules, tensors, layers and both names of a shared tensor`() throws {
    let model = try model("llama-tied")
    func names(_ trained: [String], _ frozen: [String] = []) throws -> [String] {
      try trainer(
        model, TrainingSettings(batchSize: 1, sequenceLength: 8), trained: trained, frozen: frozen
      ).trainable.tensors.map(\.name.text).sorted()
    }
    #expect(try names(["lm_head"]) == ["model.embed_tokens.weight"])
    #expect(try names(["norm"]) == ["model.norm.weight"])
    #expect(
      try names(["layers.1.self_attn"], ["o_proj", "q_proj.weight"]) == [
        "model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.v_proj.weight",
      ])
    #expect(try names([]).count == 20)
    #expect(try names([], ["embed_tokens"]).count == 19)
  }

  @Test func `what stays behind of the base's directory is named`() throws {
    let base = try space.copy(fixture("model"), to: "base")
    for name in [".hidden", "pytorch_model.bin"] {
      try AtomicFile.write(Array("x".utf8), to: base + "/" + name)
    }
    var request = TrainingRequest(
      adapter: nil, data: [fixture("text/gospels.txt")], output: space("whole"),
      settings: TrainingSettings(steps: 1, batchSize: 1, sequenceLength: 16))
    request.trainedModules = ["norm"]
    let outcome = try LanguageModel(base, precision: .f32, threads: 2).train(request)
    #expect(outcome.notes.map(\.what) == [".hidden", "pytorch_model.bin"])
    let written = try space.names(in: space("whole"))
    #expect(written.contains("model.safetensors") && written.contains("training_log.txt"))
    #expect(!written.contains(".hidden") && !written.contains("pytorch_model.bin"))
  }

  @Test func `a name that chooses nothing is refused with the nearest`() throws {
    let model = try model("llama-tied")
    let settings = TrainingSettings(batchSize: 1, sequenceLength: 8)
    for (trained, frozen) in [(["lmhead"], []), ([], ["lmhead"])] as [([String], [String])] {
      let error = #expect(throws: AdapterError.self) {
        try trainer(model, settings, trained: trained, frozen: frozen)
      }
      #expect(error?.reason == .targetNotFound(target: "lmhead", nearest: ["lm_head"]))
    }
    let nothing = #expect(throws: TrainingError.self) {
      try trainer(model, settings, frozen: ["model"])
    }
    #expect(
      nothing?.reason
        == .invalidSetting(
          name: "freeze", expected: "names that leave something to train", found: "all of it"))
  }

  @Test func `a tensor on which the loss doesn't depend is refused before the first step`() throws {
    let model = try model("llama-tied")
    var request = TrainingRequest(
      adapter: nil, data: [], output: "",
      settings: TrainingSettings(batchSize: 1, sequenceLength: 8))
    request.trainedModules = ["norm"]
    let subject = try TrainingSubject(request, of: model)
    let aside: TensorName = "model.layers.7.mlp.up_proj.weight"
    let tensors = subject.tensors.merging(
      [aside: try MemorySlice(allocating: .f32, [4, 4])]) { _, new in new }
    let error = #expect(throws: GraphError.self) {
      try Trainer(
        subject.graph,
        trainable: try TrainableTensors(
          tensors.map { (name: $0, value: $1) }, optimizer: .adamW(AdamW())),
        settings: request.settings, kernels: model.kernels)
    }
    #expect(error?.reason == .noGradientPath(aside))
  }

  @Test func `freezing takes modules from the adapter and tensors from those trained whole`() throws
  {
    let model = try model("llama-tied")
    let trainer = try trainer(
      model, TrainingSettings(batchSize: 1, sequenceLength: 8), trained: ["norm", "layers.1.mlp"],
      frozen: ["layers.0", "up_proj"],
      adapter: LoRAConfiguration(rank: 2, targetModules: ["q_proj", "up_proj"]))
    #expect(
      trainer.trainable.tensors.map(\.name.text) == [
        "model.layers.1.mlp.down_proj.weight", "model.layers.1.mlp.gate_proj.weight",
        "model.layers.1.self_attn.q_proj.lora_A.weight",
        "model.layers.1.self_attn.q_proj.lora_B.weight", "model.norm.weight",
      ])
  }
}
