import Graft
import GraftFormats
import GraftKernels
import TestSupport
import Testing

/// Training with dropout: beside PEFT on the same masks (Fixtures/golden/dropout), and where nothing is dropped.
struct DropoutTrainingTests {
  private static let models = ["llama-tied", "qwen3", "gemma3", "gpt2"]
  private static let probability = 0.3
  private static let seed: UInt64 = 1 << 40 + 77

  private func values(_ name: String) throws -> SafetensorsReader {
    try SafetensorsReader(path: golden("dropout/\(name).safetensors"))
  }

  @Test(arguments: models, [RecomputePolicy.none, .block, .smallest])
  func `losses and gradients equal PyTorch's on the same masks`(
    name: String, recompute: RecomputePolicy
  ) throws {
    let values = try values(name)
    let trainer = try TinyModel(name).trainer(
      TrainingSettings(
        batchSize: 2, sequenceLength: 48, seed: Self.seed, recompute: recompute),
      dropout: Self.probability)
    let ids = try values.bits("input_ids", as: Int32.self)
    let outcome = try trainer.accumulate([TinyModel.batch(ids, sequence: 48)], startingAt: 5)
    #expect(abs(outcome.loss - Double(try values.tensor("loss").floats()[0])) < 1e-5)
    for (tensor, gradient) in trainer.trainable.gradients {
      let name = TensorName("gradient." + TinyModel.goldenName(tensor))
      let expected = try values.tensor(name).floats()
      #expect(relativeError(gradient.floats(), expected) < 1e-4, "\(tensor)")
    }
  }

  @Test(arguments: models)
  func `steps of three batches follow PyTorch's losses, norms and weights`(name: String) throws {
    let values = try values(name)
    let trainer = try TinyModel(name).trainer(
      TrainingSettings(
        steps: 5, batchSize: 2, sequenceLength: 32, accumulation: 3, learningRate: 1e-3,
        decay: .constant, optimizer: .adamW(AdamW()), clipNorm: 1, seed: Self.seed),
      dropout: Self.probability)
    let ids = try values.bits("train.input_ids", as: Int32.self)
    let losses = try values.tensor("train.loss").floats()
    let norms = try values.tensor("train.gradient_norm").floats()
    for step in 0..<5 {
      let batches = (0..<3).map { place in
        let first = (3 * step + place) * 64
        return TinyModel.batch(Array(ids[first..<first + 64]), sequence: 32)
      }
      let outcome = try trainer.run(batches, step: step + 1)
      #expect(abs(outcome.loss - Double(losses[step])) < 1e-3)
      #expect(abs(outcome.gradientNorm / Double(norms[step]) - 1) < 1e-3)
    }
    for (tensor, value) in trainer.trainable.tensors {
      let name = TensorName("train.final." + TinyModel.goldenName(tensor))
      #expect(relativeError(value.floats(), try values.tensor(name).floats()) < 1e-3, "\(tensor)")
    }
  }

  @Test(arguments: [1, 2, 3, 4])
  func `neither threads, recompute nor fusion change a bit of the gradients`(threads: Int) throws {
    func gradients(
      _ threads: Int, _ recompute: RecomputePolicy = .none, fusion: Bool = true
    ) throws -> [[Float]] {
      let model = try TinyModel("qwen3", precision: .bf16, threads: threads)
      let trainer = try model.trainer(
        TrainingSettings(
          batchSize: 2, sequenceLength: 48, seed: 3, recompute: recompute, fusion: fusion),
        dropout: 0.2)
      _ = try trainer.accumulate([TinyModel.batch(try model.ids("input_ids"), sequence: 48)])
      return trainer.trainable.gradients.map { $0.value.floats() }
    }
    let expected = try gradients(1)
    for recompute in [RecomputePolicy.none, .block, .smallest] {
      #expect(try gradients(threads, recompute) == expected)
    }
    #expect(try gradients(threads, fusion: false) == expected)
  }

  @Test func `without dropout there are no masks in the step`() throws {
    func operations(_ dropout: Double) throws -> Set<String> {
      let trainer = try TinyModel("llama-tied").trainer(
        TrainingSettings(batchSize: 1, sequenceLength: 16), dropout: dropout)
      return Set(trainer.stepCompilation.graph.nodes.map(\.op.name))
    }
    #expect(try operations(0.1).subtracting(operations(0)) == ["dropoutMask"])
  }

  // MARK: - Runs

  private func request(_ output: String, dropout: Double = 0.4) -> TrainingRequest {
    TrainingRequest(
      adapter: LoRAConfiguration(
        rank: 2, alpha: 8, targetModules: ["q_proj", "down_proj"], dropout: dropout),
      data: [fixture("text/gospels.txt")], output: output,
      settings: TrainingSettings(
        steps: 3, batchSize: 1, sequenceLength: 32, accumulation: 3, decay: .constant, seed: 5,
        saveEvery: 1))
  }

  private func bytes(_ directory: String) throws -> [UInt8] {
    try InputFile.contents(of: directory + "/adapter_model.safetensors", atMost: 1 << 24)
  }

  private func adapter(_ directory: String) throws -> Adapter {
    try OpenedCheckpoint(path: directory).adapter()
  }

  @Test func `stopped after any batch, a run goes on with the same masks`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(request(workspace("whole")))
    let expected = try bytes(workspace("whole"))
    for stop in 1...8 {
      let output = workspace("stopped-\(stop)")
      var questions = 0
      #expect(throws: TrainingError.self) {
        try model.train(
          request(output),
          isInterrupted: {
            questions += 1
            return questions == stop
          })
      }
      var going = request(output)
      going.resumes = true
      try model.train(going)
      #expect(try bytes(output) == expected, "batch \(stop)")
    }
  }

  @Test func `a run can't go on with another dropout`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(request(workspace("run")))
    var other = request(workspace("run"), dropout: 0.1)
    other.resumes = true
    let error = #expect(throws: TrainingError.self) { try model.train(other) }
    #expect(error?.reason == .stateMismatch(setting: "--dropout", expected: "0.4", found: "0.1"))
  }

  @Test func `the seed decides what is dropped`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(request(workspace("start")))
    func trained(_ name: String, seed: UInt64, dropout: Double) throws -> [UInt8] {
      var request = request(workspace(name), dropout: dropout)
      request.initialAdapter = workspace("start")
      request.settings.seed = seed
      request.settings.shuffles = false
      try model.train(request)
      return try bytes(workspace(name))
    }
    let first = try trained("first", seed: 1, dropout: 0.4)
    #expect(try trained("again", seed: 1, dropout: 0.4) == first)
    #expect(try trained("other", seed: 2, dropout: 0.4) != first)
    // Nothing else depends on the seed here.
    let plain = try trained("plain", seed: 1, dropout: 0)
    #expect(try trained("plain-other", seed: 2, dropout: 0) == plain)
    #expect(plain != first)
  }

  @Test func `validation and evaluation drop nothing`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
    let text = try InputFile.contents(of: fixture("text/revelation.txt"), atMost: 1 << 20)
    try AtomicFile.write(Array(text.prefix(2000)), to: workspace("validation.txt"))
    var request = request(workspace("run"), dropout: 0.9)
    request.validation = [workspace("validation.txt")]
    var validated: Double?
    try model.train(request, step: { validated = $0.validationLoss })
    var adapter = try adapter(workspace("run"))
    func loss() throws -> Double {
      try model.evaluate(request.validation, adapters: [adapter], sequenceLength: 32).loss
    }
    let dropping = try loss()
    adapter.configuration.dropout = 0
    #expect(try loss() == dropping)
    #expect(abs(try #require(validated) / dropping - 1) < 1e-6)
  }

  @Test func `a run that goes on from an adapter drops what it is told itself`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(request(workspace("first"), dropout: 0.4))
    #expect(try adapter(workspace("first")).configuration.dropout == 0.4)
    for (name, dropout) in [("none", 0.0), ("some", 0.25)] {
      var going = request(workspace(name), dropout: dropout)
      going.initialAdapter = workspace("first")
      try model.train(going)
      #expect(try adapter(workspace(name)).configuration.dropout == dropout)
    }
    #expect(try bytes(workspace("none")) != bytes(workspace("some")))
  }

  @Test(arguments: [1, 1.5, -0.1, .nan, .infinity])
  func `a dropout that is no probability below 1 is refused`(dropout: Double) throws {
    let workspace = TemporaryFolder()
    let request = request(workspace("run"), dropout: dropout)
    let error = #expect(throws: TrainingError.self) {
      try LanguageModel(fixture("model"), threads: 1).train(request)
    }
    #expect(error?.diagnosis.kind == .usage)
    #expect(
      error?.reason
        == .invalidSetting(
          name: "dropout", expected: "0 or more, less than 1", found: "\(dropout)"))
    #expect(!Directory.exists(at: workspace("run")))
  }
}
