import Graft
import TestSupport
import Testing

/// Answers in a chat template: transformers' tokens (Fixtures/golden/chat/answers.json), and where they end.
struct ChatGenerationTests {
  private let workspace = TemporaryFolder()

  private func model(_ path: String = fixture("model")) throws -> LanguageModel {
    try LanguageModel(path, precision: .f32, threads: 2)
  }

  @Test func `greedy answers are transformers'`() throws {
    let file = golden("chat/answers.json")
    let rows = try #require(
      try JSONValue.parse(try InputFile.contents(of: file, atMost: 1 << 20), file: file).array)
    #expect(rows.count == 4)
    let model = try model()
    for row in rows {
      let messages = try #require(row["messages"]?.array).map { message in
        ChatMessage(
          try #require(message["role"]?.string.flatMap(ChatMessage.Role.init)),
          try #require(message["content"]?.string))
      }
      let template = try model.chatTemplate(choice: row["name"]?.string)
      let tokens = try #require(row["tokens"]?.array).compactMap(\.int).map(Int32.init)
      var streamed = ""
      let result = try model.generate(
        try model.prompt(messages, in: template), maximumTokens: tokens.count
      ) { streamed += $0 }
      #expect(result.promptTokens.map(Int.init) == row["prompt"]?.array?.compactMap(\.int))
      #expect(result.tokens == tokens)
      #expect(result.text == row["text"]?.string)
      #expect(streamed == result.text)
      #expect(result.endedByModel == row["ended"]?.bool)
    }
  }

  /// `<|endoftext|>` is a token of the small model; `<|im_end|>` is text to it.
  @Test(arguments: ["zephyr", "chatml"])
  func `a learned answer ends where the template ends it, token or text`(name: String) throws {
    let data = workspace("chat.jsonl")
    let line = """
      {"messages": [{"role": "user", "content": "Who wrote it?"}, \
      {"role": "assistant", "content": "John, it is said."}]}
      """
    try AtomicFile.write(Array(line.utf8), to: data)
    let model = try model()
    try model.train(
      TrainingRequest(
        adapter: LoRAConfiguration(rank: 8, alpha: 32, targetModules: .allLinear), data: [data],
        output: workspace("adapter"),
        settings: TrainingSettings(
          steps: 40, batchSize: 1, sequenceLength: 64, learningRate: 5e-3,
          data: DataSettings(masksPrompt: true, chatTemplate: name))))
    var streamed = ""
    let result = try model.generate(
      try model.prompt(
        [ChatMessage(.user, "Who wrote it?")], in: try model.chatTemplate(choice: name)),
      adapters: [try OpenedCheckpoint(path: workspace("adapter")).adapter()], maximumTokens: 48
    ) { streamed += $0 }
    #expect(result.text == "John, it is said.")
    #expect(streamed == result.text)
    #expect(result.endedByModel)
  }

  @Test func `the end tokens are those of generation_config.json`() throws {
    let path = try workspace.copy(fixture("model"), to: "model")
    // After this prompt comes a comma.
    let prompt = "And it came to pass"
    let comma = try #require(try model(path).tokenizer.encode(",").first)
    #expect(
      try model(path).generate(try model(path).prompt(prompt), maximumTokens: 8).tokens.count == 8)
    try AtomicFile.write(
      Array(#"{"eos_token_id": [0, \#(comma)]}"#.utf8), to: path + "/generation_config.json")
    let other = try model(path)
    let result = try other.generate(try other.prompt(prompt), maximumTokens: 8)
    #expect(result.tokens.isEmpty)
    #expect(result.endedByModel)
  }

  @Test func `a conversation that a template has no place for is an error`() throws {
    let model = try model()
    let template = try model.chatTemplate(choice: "gemma")
    let error = #expect(throws: ModelError.self) {
      try model.prompt([ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi")], in: template)
    }
    #expect(
      error?.reason
        == .conversation(
          template: "gemma", expected: "no system message",
          found: "one, for which gemma has no place"))
  }
}
