import Graft
import GraftFormats
import GraftGraph
import GraftKernels
import Testing

/// A tiny BERT beside what transformers computes with it (Fixtures/golden/encoders).
struct SentenceModelTests {
  private let folder = golden("encoders/bert")
  private let values: SafetensorsReader

  init() throws { values = try SafetensorsReader(path: folder + "/golden.safetensors") }

  private var sequences: [[Int32]] {
    get throws {
      let ids = try values.bits("input_ids", as: Int32.self)
      let mask = try values.bits("attention_mask", as: Int32.self)
      return (0..<4).map { row in
        let length = mask[row * 20..<(row + 1) * 20].count { $0 == 1 }
        return Array(ids[row * 20..<row * 20 + length])
      }
    }
  }

  private func encoder(
    _ pooling: SentencePooling, capacity: Int
  ) throws -> (Encoder, BERTConfiguration) {
    let configuration = try BERTConfiguration(
      try JSONValue.parse(
        try InputFile.contents(of: folder + "/config.json", atMost: 1 << 20), file: "config.json"),
      file: "config.json")
    let kernels = Kernels(pool: ThreadPool(threadCount: 2))
    let weights = try ModelWeights(
      try SafetensorsReader(path: folder + "/model.safetensors"), needed: configuration.tensors,
      precision: .f32, kernels: kernels)
    let graph = BERTGraph(configuration, weights: weights, precision: .f32)
    return (
      try Encoder(
        graph, weights: weights, pooling: pooling, capacity: capacity, kernels: kernels),
      configuration
    )
  }

  @Test(arguments: [43, 64])
  func `texts of different lengths in one run have the vectors that transformers gives them`(
    capacity: Int
  ) throws {
    let (encoder, configuration) = try encoder(.usual, capacity: capacity)
    let vectors = try encoder.vectors(of: try sequences[...])
    let expected = try values.tensor("vectors").floats()
    #expect(vectors.flatMap { $0 }.count == 4 * configuration.hiddenSize)
    #expect(zip(vectors.flatMap { $0 }, expected).allSatisfy { abs($0 - $1) <= 1e-5 })
  }

  @Test func `the first token's state is the hidden state of transformers`() throws {
    let (encoder, configuration) = try encoder(
      SentencePooling(kind: .first, normalizes: false), capacity: 43)
    let vectors = try encoder.vectors(of: try sequences[...])
    let hidden = try values.tensor("hidden").floats()
    for (row, vector) in vectors.enumerated() {
      let start = row * 20 * configuration.hiddenSize
      let expected = hidden[start..<start + configuration.hiddenSize]
      #expect(zip(vector, expected).allSatisfy { abs($0 - $1) <= 1e-4 })
    }
  }

  @Test func `texts have the vectors of tokenizer, encoder and pooling of the peers`() throws {
    let model = try SentenceModel(folder, precision: .f32, threads: 2)
    #expect(model.maximumTokens == 24)
    #expect(model.pooling == SentencePooling(kind: .mean, normalizes: true))
    let metadata = try #require(values.metadata.first { $0.key == "texts" })
    let texts = try JSONValue.parse(Array(metadata.value.utf8), file: "texts").array ?? []
    let vectors = try model.vectors(of: texts.compactMap(\.string))
    let expected = try values.tensor("text.vectors").floats()
    #expect(vectors.count == 6)
    #expect(zip(vectors.flatMap { $0 }, expected).allSatisfy { abs($0 - $1) <= 1e-5 })
  }

  @Test func `a decoder gives no vectors of texts, and an encoder predicts none`() {
    #expect(throws: ModelError.self) { try SentenceModel(fixture("model"), precision: .f32) }
    #expect(throws: ModelError.self) { try LanguageModel(folder, precision: .f32) }
  }

  @Test func `verify knows the tensors of an encoder`() throws {
    let result = try verify(folder)
    #expect(result.defects.isEmpty)
    #expect(result.checks.contains("tensors and shapes against config.json"))
  }

  @Test func `a pooling that isn't known is an error`() {
    #expect(throws: ModelError.self) {
      try SentencePooling(
        pooling: ["pooling_mode_mean_sqrt_len_tokens": true], modules: nil, file: "config.json")
    }
    #expect(throws: ModelError.self) {
      try SentencePooling(
        pooling: ["pooling_mode_mean_tokens": true],
        modules: [["type": "sentence_transformers.models.Dense"]], file: "modules.json")
    }
  }
}
