import Foundation
import Graft
import GraftFormats
import GraftKernels
import TestSupport
import Testing

/// Checkpoints whose names aren't the architecture's own, and what only GPT-2 has: transposed weights, learned positions.
struct StoredNamesTests {
  private let space = TemporaryFolder()

  /// A copy of a tiny model under other names, with a tokenizer of three tokens.
  private func copy(
    _ family: String, config: ((JSONValue) -> JSONValue)? = nil, renaming: (String) -> String
  ) throws -> String {
    let folder = golden("families/\(family)")
    let reader = try SafetensorsReader(path: folder + "/model.safetensors")
    let tensors = try reader.tensors.map {
      try TensorInfo(name: TensorName(renaming($0.name.text)), dtype: $0.dtype, shape: $0.shape)
    }
    let output = space("base")
    let directory = try AtomicDirectory(path: output)
    let writer = try SafetensorsWriter(
      tensors, to: directory.file(named: "model.safetensors"))
    for index in tensors.indices {
      let contents = try reader.contents(of: index)
      try writer.write(contents.bytes, of: index, at: 0)
    }
    try writer.finish()
    try directory.commit()
    let json = try JSONValue.parse(
      try InputFile.contents(of: folder + "/config.json", atMost: 1 << 20), file: "config.json")
    try (config?(json) ?? json).serialized().write(
      toFile: output + "/config.json", atomically: true, encoding: .utf8)
    try #"{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}"#.write(
      toFile: output + "/tokenizer.json", atomically: true, encoding: .utf8)
    return output
  }

  private func withoutPrefix(_ name: String) -> String {
    name.replacingOccurrences(of: "transformer.", with: "")
  }

  @Test func `GPT-2 saved without its head is sound, and merges an adapter as PEFT does`() throws {
    let base = try copy("gpt2", renaming: withoutPrefix)
    #expect(try verify(base).defects.isEmpty)
    _ = try Graft.merge(
      base: OpenedCheckpoint(path: base), adapters: [WeightedAdapter(path: golden("lora/gpt2"))],
      output: space("merged"), options: MergeOptions(verifies: true))
    let merged = try SafetensorsReader(path: space("merged") + "/model.safetensors")
    let expected = try SafetensorsReader(path: golden("merge/gpt2/merged.safetensors"))
    for tensor in expected.tensors {
      let ours = try merged.tensor(TensorName(withoutPrefix(tensor.name.text))).floats()
      #expect(relativeError(ours, try expected.tensor(tensor.name).floats()) < 1e-6)
    }
  }

  @Test func `an adapter trained on GPT-2 says that weights are transposed, and merges`() throws {
    let base = try copy("gpt2", renaming: withoutPrefix)
    let text = space("text.txt")
    try String(repeating: "abbaabab", count: 100).write(
      toFile: text, atomically: true, encoding: .utf8)
    let model = try LanguageModel(base, precision: .f32, threads: 2)
    try model.train(
      TrainingRequest(
        adapter: LoRAConfiguration(rank: 2, alpha: 4, targetModules: .allLinear), data: [text],
        output: space("adapter"),
        settings: TrainingSettings(
          steps: 4, batchSize: 2, sequenceLength: 32, learningRate: 1e-2)))
    let adapter = try OpenedCheckpoint(path: space("adapter"))
    #expect(try adapter.adapterConfiguration().isFanInFanOut)
    #expect(try adapter.adapter().modules.count == 8)
    _ = try Graft.merge(
      base: OpenedCheckpoint(path: base), adapters: [WeightedAdapter(path: space("adapter"))],
      output: space("merged"), options: MergeOptions())
    let before = try model.evaluate([text], sequenceLength: 32).loss
    let attached = try model.evaluate(
      [text], adapters: [try adapter.adapter()], sequenceLength: 32
    ).loss
    let merged = try LanguageModel(space("merged"), precision: .f32, threads: 2)
      .evaluate([text], sequenceLength: 32).loss
    #expect(attached < before)
    #expect(abs(attached - merged) < 1e-4)
  }

  @Test func `learned positions end where their table ends`() throws {
    let base = try copy("gpt2", renaming: { $0 })
    let text = space("text.txt")
    try String(repeating: "ab", count: 300).write(toFile: text, atomically: true, encoding: .utf8)
    let model = try LanguageModel(base, precision: .f32, threads: 2)
    let error = #expect(throws: ModelError.self) {
      try model.evaluate([text], sequenceLength: 65)
    }
    #expect(error?.reason == .sequenceTooLong(tokens: 65, maximum: 64))
    #expect(throws: ModelError.self) {
      try model.train(
        TrainingRequest(
          adapter: LoRAConfiguration(rank: 2, alpha: 4, targetModules: .allLinear), data: [text],
          output: space("adapter"), settings: TrainingSettings(steps: 1, sequenceLength: 65)))
    }
    let generation = try model.generate(
      try model.prompt(String(repeating: "ab", count: 60)), maximumTokens: 100)
    #expect(generation.promptTokens.count + generation.tokens.count <= 64)
  }

  @Test(arguments: ["model.language_model.", "language_model.model."])
  func `the text decoder of a Gemma 3 that sees pictures is found`(prefix: String) throws {
    let base = try copy(
      "gemma3",
      config: {
        [
          "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
          "text_config": $0,
        ]
      }, renaming: { $0.replacingOccurrences(of: "model.", with: prefix) })
    #expect(try verify(base).defects.isEmpty)
    let own = try FamilyModel("gemma3", .f32)
    let model = try LanguageModel(base, precision: .f32, threads: 2)
    let generator = try Generator(
      try model.graph(.none), adapters: [:], capacity: 8, kernels: own.kernels)
    let found = try generator.read([3, 1, 4, 1, 5])
    let expected = try own.logits([3, 1, 4, 1, 5], .sequences(batch: 1, sequence: 5))
      .suffix(found.count)
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) <= 1e-4 })
  }
}
