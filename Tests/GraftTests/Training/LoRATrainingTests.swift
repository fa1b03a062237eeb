import Graft
import GraftKernels
import Testing

/// Losses, gradients and steps of LoRA training, beside PyTorch and PEFT (Fixtures/golden/lora).
struct LoRATrainingTests {
  static let models = ["llama-tied", "qwen3", "gemma3", "gpt2"]

  @Test(arguments: models, [RecomputePolicy.none, .block, .smallest])
  func `gradients of the first step equal PyTorch's`(
    name: String, recompute: RecomputePolicy
  ) throws {
    let model = try TinyModel(name)
    let trainer = try model.trainer(
      TrainingSettings(batchSize: 2, sequenceLength: 48, recompute: recompute))
    let batch = TinyModel.batch(try model.ids("input_ids"), sequence: 48)
    let outcome = try trainer.accumulate([batch])
    #expect(abs(outcome.loss - Double(try model.floats("loss")[0])) < 1e-5)
    for (tensor, gradient) in trainer.trainable.gradients {
      let expected = try model.floats("gradient." + TinyModel.goldenName(tensor))
      #expect(relativeError(gradient.floats(), expected) < 1e-4, "\(tensor)")
    }
  }

  @Test(arguments: models)
  func `masked labels count neither in the loss nor in the gradients`(name: String) throws {
    let model = try TinyModel(name)
    let trainer = try model.trainer(TrainingSettings(batchSize: 2, sequenceLength: 48))
    let batch = TinyModel.batch(
      try model.ids("input_ids"), labels: try model.ids("masked.labels"), sequence: 48)
    let outcome = try trainer.accumulate([batch])
    #expect(abs(outcome.loss - Double(try model.floats("masked.loss")[0])) < 1e-5)
    for (tensor, gradient) in trainer.trainable.gradients {
      let expected = try model.floats("masked.gradient." + TinyModel.goldenName(tensor))
      #expect(relativeError(gradient.floats(), expected) < 1e-4, "\(tensor)")
    }
  }

  @Test(arguments: models)
  func `twenty AdamW steps follow PyTorch's losses, norms and weights`(name: String) throws {
    let model = try TinyModel(name)
    let settings = TrainingSettings(
      steps: 20, batchSize: 4, sequenceLength: 32, learningRate: 1e-3, decay: .cosine,
      warmupSteps: 4, optimizer: .adamW(AdamW(weightDecay: 0.01)), clipNorm: 1)
    let trainer = try model.trainer(settings)
    let ids = try model.ids("train.input_ids")
    let losses = try model.floats("train.loss")
    let norms = try model.floats("train.gradient_norm")
    for step in 0..<20 {
      let batch = TinyModel.batch(Array(ids[step * 128..<(step + 1) * 128]), sequence: 32)
      let outcome = try trainer.run([batch], step: step + 1)
      #expect(abs(outcome.loss - Double(losses[step])) < 1e-3)
      #expect(abs(outcome.gradientNorm / Double(norms[step]) - 1) < 1e-3)
    }
    for (tensor, value) in trainer.trainable.tensors {
      let expected = try model.floats("train.final." + TinyModel.goldenName(tensor))
      #expect(relativeError(value.floats(), expected) < 1e-3, "\(tensor)")
    }
  }

  @Test func `losses in bf16 stay within one percent of PyTorch's in f32`() throws {
    let model = try TinyModel("llama-tied", precision: .bf16)
    let settings = TrainingSettings(
      steps: 20, batchSize: 4, sequenceLength: 32, learningRate: 1e-3, warmupSteps: 4,
      optimizer: .adamW(AdamW(weightDecay: 0.01)))
    let trainer = try model.trainer(settings)
    let ids = try model.ids("train.input_ids")
    let losses = try model.floats("train.loss")
    for step in 0..<20 {
      let batch = TinyModel.batch(Array(ids[step * 128..<(step + 1) * 128]), sequence: 32)
      let outcome = try trainer.run([batch], step: step + 1)
      #expect(abs(outcome.loss / Double(losses[step]) - 1) < 0.01)
    }
  }

  @Test(arguments: [1, 2, 3, 4])
  func `neither threads, recompute nor fusion change a bit of the gradients`(threads: Int) throws {
    func gradients(_ threads: Int, _ recompute: RecomputePolicy, fusion: Bool) throws -> [[Float]] {
      let model = try TinyModel("qwen3", precision: .bf16, threads: threads)
      let trainer = try model.trainer(
        TrainingSettings(
          batchSize: 2, sequenceLength: 48, recompute: recompute, fusion: fusion))
      _ = try trainer.accumulate([TinyModel.batch(try model.ids("input_ids"), sequence: 48)])
      return trainer.trainable.gradients.map { $0.value.floats() }
    }
    let expected = try gradients(1, .none, fusion: true)
    #expect(try gradients(threads, .none, fusion: true) == expected)
    #expect(try gradients(threads, .block, fusion: true) == expected)
    #expect(try gradients(threads, .none, fusion: false) == expected)
  }

  @Test func `accumulating two batches gives the gradients of both together`() throws {
    let model = try TinyModel("llama-tied")
    let ids = try model.ids("input_ids")
    let whole = try model.trainer(TrainingSettings(batchSize: 2, sequenceLength: 48))
    let half = try model.trainer(TrainingSettings(batchSize: 1, sequenceLength: 48))
    _ = try whole.accumulate([TinyModel.batch(ids, sequence: 48)])
    _ = try half.accumulate([
      TinyModel.batch(Array(ids[..<48]), sequence: 48),
      TinyModel.batch(Array(ids[48...]), sequence: 48),
    ])
    for (one, two) in zip(whole.trainable.gradients, half.trainable.gradients) {
      #expect(relativeError(two.value.floats(), one.value.floats()) < 1e-5, "\(one.name)")
    }
  }
}
