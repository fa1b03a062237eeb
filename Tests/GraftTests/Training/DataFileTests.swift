import Graft
import TestSupport
import Testing

/// Data files as `train` and `evaluate` read them: what is refused, by file and line, and what is made of the rest.
struct DataFileTests {
  private let workspace = TemporaryFolder()
  private let model: LanguageModel

  init() throws { model = try LanguageModel(fixture("model"), precision: .f32, threads: 2) }

  private func write(_ lines: [String], to name: String = "data.jsonl") throws -> String {
    let path = workspace(name)
    try AtomicFile.write(Array(lines.joined(separator: "\n").utf8), to: path)
    return path
  }

  private func evaluate(
    _ path: String, _ settings: DataSettings = DataSettings(chatTemplate: "chatml"),
    sequenceLength: Int = 64
  ) throws -> Evaluation {
    try model.evaluate([path], data: settings, sequenceLength: sequenceLength, batchSize: 2)
  }

  static let good =
    #"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}"#

  static let badLines: [(line: String, expected: String, found: String)] = [
    (#"{"prompt": "a""#, "one JSON object a line", "the end of the text where ',' or '}' belongs"),
    (#"["messages"]"#, "messages, or prompt and completion, or text", "no JSON object"),
    (
      #"{"question": "a", "answer": "b"}"#, "messages, or prompt and completion, or text",
      "the keys question, answer"
    ),
    (#"{"messages": "Hi"}"#, "messages as an array", "a string"),
    (#"{"messages": []}"#, "at least one message", "an empty array"),
    (
      #"{"messages": [{"role": "tool", "content": "x"}]}"#,
      "the role system, user or assistant in message 1", "tool"
    ),
    (
      #"{"messages": [{"content": "x"}]}"#, "the role system, user or assistant in message 1",
      "no role"
    ),
    (#"{"messages": [{"role": "user"}]}"#, "content in message 1", "none"),
    (
      #"{"messages": [{"role": "user", "content": ["x"]}]}"#, "content of message 1 as a string",
      "an array"
    ),
    (#"{"prompt": "a", "completion": 3}"#, "completion as a string", "a number"),
    (#"{"prompt": "", "completion": ""}"#, "an example with text", "an empty one"),
    (#"{"text": ""}"#, "an example with text", "an empty one"),
    (
      #"{"messages": [{"role": "user", "content": ""}]}"#, "an example with text", "an empty one"
    ),
  ]

  @Test(arguments: badLines.indices)
  func `a bad line is named by file and line, with what was expected and found`(
    index: Int
  ) throws {
    let (line, expected, found) = Self.badLines[index]
    let path = try write([Self.good, "", line, Self.good])
    let error = #expect(throws: TrainingError.self) { try evaluate(path) }
    #expect(error?.file == path)
    #expect(error?.line == 3)
    guard case .badExample(let saysExpected, let saysFound)? = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(saysExpected == expected)
    #expect(saysFound == found)
  }

  @Test func `bytes that aren't UTF-8 are refused in lines and in plain text`() throws {
    let path = workspace("bytes")
    for (bytes, line) in [
      (Array("{\"text\": \"a b c\"}\n{\"text\": \"".utf8) + [0xFF] + Array("\"}".utf8), 2),
      (Array("plain\ntext\n".utf8) + [0xC3, 0x28], 3),
    ] {
      try AtomicFile.write(bytes, to: path)
      let error = #expect(throws: TrainingError.self) { try evaluate(path) }
      #expect(error?.line == line)
      guard case .badExample(_, let found)? = error?.reason else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(found.contains("UTF-8") || found == "other bytes")
    }
  }

  @Test func `a prompt that fills the window leaves nothing to predict`() throws {
    let long = String(repeating: "and it came to pass ", count: 40)
    let path = try write([#"{"prompt": "\#(long)", "completion": "that"}"#])
    let settings = DataSettings(masksPrompt: true)
    let error = #expect(throws: TrainingError.self) {
      try evaluate(path, settings, sequenceLength: 16)
    }
    #expect(error?.line == 1)
    #expect(error?.remedy == "raise --sequence-length, or shorten the prompt")
  }

  @Test func `a conversation without an answer has nothing to predict when prompts are masked`()
    throws
  {
    let path = try write([#"{"messages": [{"role": "user", "content": "Hi"}]}"#])
    let settings = DataSettings(masksPrompt: true, chatTemplate: "chatml")
    let error = #expect(throws: TrainingError.self) { try evaluate(path, settings) }
    guard case .badExample(let expected, _)? = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(expected == "an answer to predict after the prompt")
  }

  @Test func `masking and packing plain text are errors`() throws {
    let path = try write(["In the beginning"], to: "plain.txt")
    for settings in [DataSettings(masksPrompt: true), DataSettings(packs: true)] {
      let error = #expect(throws: TrainingError.self) { try evaluate(path, settings) }
      guard case .invalidSetting? = error?.reason else {
        Issue.record("\(String(describing: error))")
        continue
      }
    }
  }

  @Test func `a format that was named excludes the others`() throws {
    let chat = try write([Self.good])
    let pair = try write([#"{"prompt": "In the", "completion": " beginning"}"#], to: "pair.jsonl")
    #expect(throws: TrainingError.self) {
      try evaluate(chat, DataSettings(format: .completion))
    }
    #expect(throws: TrainingError.self) {
      try evaluate(pair, DataSettings(format: .chat, chatTemplate: "chatml"))
    }
    let asText = try evaluate(pair, DataSettings(format: .text))
    #expect(asText.exampleCount == 0)
    #expect(try evaluate(pair, DataSettings(format: .completion)).exampleCount == 1)
  }

  @Test func `a model without a template, an unknown template and an unknown name say what to do`()
    throws
  {
    let path = try write([Self.good])
    let none = #expect(throws: ModelError.self) { try evaluate(path, DataSettings()) }
    #expect(none?.remedy?.contains("--chat-template") == true)
    let jinja = try write(
      ["{% for m in messages %}[INST]{{ m.content }}{% endfor %}"], to: "my.jinja")
    let unknown = #expect(throws: ModelError.self) {
      try evaluate(path, DataSettings(chatTemplate: jinja))
    }
    #expect(unknown?.file == jinja)
    #expect(unknown?.remedy?.contains("--chat-template mistral-v3") == true)
    let name = #expect(throws: ModelError.self) {
      try evaluate(path, DataSettings(chatTemplate: "chatnl"))
    }
    #expect(name?.remedy?.contains("chatml") == true)
  }

  @Test(arguments: ["plain.txt", "lines.jsonl"])
  func `a byte-order mark before the text counts for nothing`(name: String) throws {
    let text = name.hasSuffix(".txt") ? "And it came to pass in those days." : Self.good
    let bare = try write([text], to: name)
    let marked = workspace("marked-" + name)
    try AtomicFile.write([0xEF, 0xBB, 0xBF] + Array(text.utf8), to: marked)
    let (expected, found) = (try evaluate(bare), try evaluate(marked))
    #expect(found.exampleCount == (name.hasSuffix(".txt") ? 0 : 1))
    #expect(found.exampleCount == expected.exampleCount)
    #expect(found.loss == expected.loss)
  }

  @Test(arguments: [DataSettings.Format?.none, .completion, .chat])
  func `objects in one array are refused, and told how they are to be written`(
    format: DataSettings.Format?
  ) throws {
    let path = try write(["", "  [", #" {"text": "In the beginning"},"#, #"{"text": "a"}]"#])
    let settings = DataSettings(format: format, chatTemplate: "chatml")
    let error = #expect(throws: TrainingError.self) { try evaluate(path, settings) }
    #expect(
      error?.reason
        == .badExample(expected: "one JSON object a line", found: "an array of objects"))
    #expect(error?.line == 2)
    #expect(error?.remedy?.contains("jq -c") == true)
    #expect(try evaluate(path, DataSettings(format: .text)).exampleCount == 0)
  }

  @Test func `a text that begins with a bracket is plain`() throws {
    let path = try write(["[In the beginning] God created the heaven and the earth."])
    #expect(try evaluate(path).exampleCount == 0)
  }

  @Test func `long examples are cut and counted`() throws {
    let long = String(repeating: "and it came to pass ", count: 40)
    let path = try write([#"{"text": "\#(long)"}"#, #"{"text": "In the beginning"}"#])
    let result = try evaluate(path, DataSettings(), sequenceLength: 16)
    #expect(result.exampleCount == 2)
    #expect(result.cutCount == 1)
  }

  @Test func `a text's tail is evaluated too`() throws {
    let path = try write([String(repeating: "and it came to pass ", count: 30)], to: "plain.txt")
    let text = model.tokenizer.encode(
      try InputFile.contents(of: path, atMost: 1 << 20), addSpecialTokens: true)
    #expect(text.count % 32 >= 2)
    let result = try evaluate(path, DataSettings(), sequenceLength: 32)
    #expect(result.tokenCount == text.count - (text.count + 31) / 32)
  }
}
