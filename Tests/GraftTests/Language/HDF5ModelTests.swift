import Graft
import GraftHDF5
import TestSupport
import Testing

/// A model, an adapter and a table kept in HDF5 serve the computing verbs as their directories do.
struct HDF5ModelTests {
  @Test func `a model and an adapter in HDF5 compute what their directories compute`() throws {
    let workspace = TemporaryFolder()
    _ = try convert(try OpenedCheckpoint(path: fixture("model")), to: workspace("model.h5"))
    let directory = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
    let file = try LanguageModel(workspace("model.h5"), precision: .f32, threads: 2)
    let request = TrainingRequest(
      adapter: LoRAConfiguration(rank: 4, alpha: 8, targetModules: ["q_proj", "v_proj"]),
      data: [fixture("text/gospels.txt")], output: workspace("adapter"),
      settings: TrainingSettings(steps: 2, batchSize: 2, sequenceLength: 64))
    try file.train(request)
    _ = try convert(
      try OpenedCheckpoint(path: workspace("adapter")), to: workspace("adapter.h5"))
    let fromDirectory = try OpenedCheckpoint(path: workspace("adapter")).adapter()
    let fromFile = try OpenedCheckpoint(path: workspace("adapter.h5")).adapter()
    let prompt = try directory.prompt("And it came to pass")
    let expected = try directory.generate(prompt, adapters: [fromDirectory], maximumTokens: 24)
    let found = try file.generate(prompt, adapters: [fromFile], maximumTokens: 24)
    #expect(found.tokens == expected.tokens)
  }
}
