import Graft
import TestSupport
import Testing

/// Adapters that a model can't be evaluated with: each error names the adapter's file, and not the model.
struct AdapterRefusalTests {
  private let space = TemporaryFolder()
  private let text = [fixture("text/revelation.txt")]

  /// An adapter of one pair of rank 1, written and read back.
  private func adapter(
    _ path: String, _ kind: AdapterModule.Kind = .linear, b: Float = 0, width: Int = 64,
    height: Int = 64
  ) throws -> Adapter {
    let made = Adapter(
      configuration: LoRAConfiguration(rank: 1, alpha: 1, targetModules: .names([path])),
      modules: [
        AdapterModule(
          path: path, kind: kind,
          a: try MemorySlice(copying: [Float](repeating: 0.5, count: width), [1, width]),
          b: try MemorySlice(copying: [Float](repeating: b, count: height), [height, 1]),
          scaling: 1)
      ])
    try made.write(into: space("adapter"))
    return try OpenedCheckpoint(path: space("adapter")).adapter()
  }

  private func refusal(_ adapter: Adapter) throws -> AdapterError? {
    let model = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
    let error = #expect(throws: AdapterError.self) {
      try model.evaluate(text, adapters: [adapter], sequenceLength: 16, batchSize: 1)
    }
    let prompt = try model.prompt("In the beginning")
    let other = #expect(throws: AdapterError.self) {
      try model.generate(prompt, adapters: [adapter], maximumTokens: 1)
    }
    #expect(other == error)
    #expect(error?.file == space("adapter/adapter_model.safetensors"))
    return error
  }

  @Test func `a module that the base lacks`() throws {
    guard
      case .moduleNotInBase("model.layers.0.self_attn.z_proj", _)? = try refusal(
        adapter("model.layers.0.self_attn.z_proj"))?.reason
    else {
      Issue.record("another reason")
      return
    }
  }

  @Test func `an embedding, whose update can only be merged`() throws {
    let error = try refusal(adapter("model.embed_tokens", .embedding))
    #expect(error?.reason == .embeddingUpdate(module: "model.embed_tokens"))
    #expect(error?.diagnosis.remedy?.contains("graft merge") == true)
  }

  @Test func `the head of a base that shares it, in a merge as well`() throws {
    let error = try refusal(adapter("lm_head"))
    #expect(
      error?.reason == .tiedHead(module: "lm_head", embedding: "model.embed_tokens.weight"))
    #expect(error?.diagnosis.remedy?.contains(#""tie_word_embeddings": false"#) == true)
    let merging = #expect(throws: AdapterError.self) {
      try merge(
        base: OpenedCheckpoint(path: fixture("model")),
        adapters: [WeightedAdapter(path: space("adapter"))], output: space("out"))
    }
    #expect(merging == error)
  }

  @Test func `a value that is NaN`() throws {
    let module = try #require(
      try LanguageModel(fixture("model"), precision: .f32, threads: 2)
        .configuration.linearModules.first)
    let error = try refusal(
      adapter(module.path, b: .nan, width: module.inputWidth, height: module.outputWidth))
    #expect(
      error?.reason
        == .nonFinite(
          tensor: TensorName("base_model.model." + module.path + ".lora_B.weight"), element: 0))
  }
}
