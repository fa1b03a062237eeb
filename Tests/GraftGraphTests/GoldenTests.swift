import GraftCore
import GraftGraph
import TestSupport
import Testing

/// The small decoder against PyTorch: Fixtures/generate/graph.py.
struct GoldenTests {
  @Test func `a decoder's losses and gradients are PyTorch's, interpreted and compiled`() throws {
    let golden = try Repository.goldenJSON("graph/decoder.json")
    let model = try TinyLlama()
    let exact = try model.example.interpret(model.outputs, rounding: .none)
    let compiled = try model.example.run(model.outputs)
    let losses = try #require(golden["losses"]?.array).compactMap(\.double)
    #expect(distance(exact[0], losses) < 1e-6)
    #expect(distance(compiled[0], losses) < 1e-5)
    for (index, name) in model.adapters.enumerated() {
      let gradient = try #require(golden["gradients"]?[name.text]?.array).compactMap(\.double)
      #expect(distance(exact[index + 1], gradient) < 1e-6, "\(name)")
      #expect(distance(compiled[index + 1], gradient) < 2e-5, "\(name)")
    }
  }
}
