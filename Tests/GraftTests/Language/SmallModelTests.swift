import Graft
import GraftFormats
import Testing

/// The small real model beside what transformers computes with it (Fixtures/golden/model).
struct SmallModelTests {
  let values: SafetensorsReader
  let model: LanguageModel

  init() throws {
    values = try SafetensorsReader(path: golden("model/golden.safetensors"))
    model = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
  }

  @Test(arguments: [0, 1])
  func `greedy generation gives transformers' tokens`(prompt: Int) throws {
    let metadata = Dictionary(uniqueKeysWithValues: values.metadata.map { ($0.key, $0.value) })
    let text = try #require(metadata["greedy.\(prompt).prompt"])
    let expected = try values.bits(TensorName("greedy.\(prompt).continuation"), as: Int32.self)
    let result = try model.generate(try model.prompt(text), maximumTokens: expected.count)
    #expect(result.tokens == expected)
    #expect(result.text == metadata["greedy.\(prompt).continuation"])
  }

  @Test func `the loss on Revelation is transformers'`() throws {
    let evaluation = try model.evaluate([fixture("text/revelation.txt")], sequenceLength: 256)
    // 3.79371 by transformers over all 68 windows, the last of them shorter, each weighed by its predictions.
    #expect(abs(evaluation.loss - 3.79371) < 1e-3)
    #expect(evaluation.tokenCount == 17331)
  }
}
