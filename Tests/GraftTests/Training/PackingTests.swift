import Graft
import GraftTraining
import Testing

/// Packed windows give the losses and gradients of the examples one by one.
struct PackingTests {
  /// Examples of random tokens, the first third of each a prompt.
  private static func examples(_ model: TinyModel, _ lengths: [Int]) throws -> TokenizedText {
    let ids = try model.ids("train.input_ids")
    var start = 0
    return TokenizedText(
      examples: lengths.map { length in
        defer { start += length }
        return (
          Array(ids[start..<start + length]), (0..<length).map { $0 >= length / 3 }
        )
      }, file: "examples")
  }

  private static let lengths = [17, 9, 21, 5, 30, 2, 11, 8, 13]

  @Test(arguments: LoRATrainingTests.models, [RecomputePolicy.none, .block])
  func `losses and gradients are those of the examples alone`(
    name: String, recompute: RecomputePolicy
  ) throws {
    let model = try TinyModel(name)
    let text = try Self.examples(model, Self.lengths)
    func outcome(
      length: Int, batchSize: Int, packs: Bool
    ) throws -> (Trainer.Outcome, [(name: TensorName, value: MemorySlice)]) {
      let windows = try TokenWindows(
        text, TokenWindows.Filling(length: length, packs: packs, seed: packs ? 3 : nil))
      if packs { #expect(windows.count <= Self.lengths.count / 2) }
      let trainer = try model.trainer(
        TrainingSettings(
          batchSize: batchSize, sequenceLength: length, data: DataSettings(packs: packs),
          recompute: recompute))
      let batches = stride(from: 0, to: windows.count, by: batchSize).map { start in
        Batch(windows, start..<min(start + batchSize, windows.count), size: batchSize)
      }
      return (try trainer.accumulate(batches), trainer.trainable.gradients)
    }
    let (packed, gradients) = try outcome(length: 32, batchSize: 2, packs: true)
    let (alone, expected) = try outcome(length: 32, batchSize: 1, packs: false)
    #expect(packed.targetCount == alone.targetCount)
    #expect(abs(packed.loss - alone.loss) < 1e-5)
    for (one, two) in zip(gradients, expected) {
      #expect(relativeError(one.value.floats(), two.value.floats()) < 2e-5, "\(one.name)")
    }
  }

  @Test(arguments: [1, 2, 3, 4])
  func `threads and recompute don't change a bit of packed gradients`(threads: Int) throws {
    func gradients(_ threads: Int, _ recompute: RecomputePolicy) throws -> [[Float]] {
      let model = try TinyModel("qwen3", precision: .bf16, threads: threads)
      let windows = try TokenWindows(
        try Self.examples(model, Self.lengths), TokenWindows.Filling(length: 48, packs: true))
      let trainer = try model.trainer(
        TrainingSettings(
          batchSize: 3, sequenceLength: 48, data: DataSettings(packs: true), recompute: recompute))
      _ = try trainer.accumulate([Batch(windows, 0..<min(3, windows.count), size: 3)])
      return trainer.trainable.gradients.map { $0.value.floats() }
    }
    let expected = try gradients(1, .none)
    #expect(try gradients(threads, .none) == expected)
    #expect(try gradients(threads, .block) == expected)
  }
}
