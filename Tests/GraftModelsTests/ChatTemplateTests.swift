import Foundation
import GraftCore
import GraftModels
import Testing

/// Known chat templates, beside transformers (Fixtures/golden/chat).
struct ChatTemplateTests {
  struct Golden {
    let conversations: [[ChatMessage]]
    let templates: [JSONValue]

    init() throws {
      let json = try JSONValue.parse(
        try TokenizerCorpus.fixture("chat/templates.json"), file: "templates.json")
      conversations = (json["conversations"]?.array ?? []).map { messages in
        (messages.array ?? []).compactMap { message in
          message["role"]?.string.flatMap(ChatMessage.Role.init).map {
            ChatMessage($0, message["content"]?.string ?? "")
          }
        }
      }
      templates = json["templates"]?.array ?? []
    }

    /// The renderings of a template, perhaps shared with another.
    func results(_ row: JSONValue) -> [JSONValue] {
      if let results = row["results"]?.array { return results }
      return templates.first { $0["source"] == row["results"] }?["results"]?.array ?? []
    }
  }

  private func template(_ row: JSONValue) throws -> ChatTemplate {
    let marks = ChatTemplate.Marks(start: row["start"]?.string ?? "", end: row["end"]?.string ?? "")
    return try #require(ChatTemplate(named: row["name"]?.string ?? "", marks: marks))
  }

  private func tokenizer(_ row: JSONValue) throws -> Tokenizer {
    let name = (row["tokenizer"]?.string ?? "") + ".json"
    return try Tokenizer(tokenizerJSON: try TokenizerCorpus.fixture("chat/" + name), file: name)
  }

  @Test func `all known templates give transformers' text and tokens`() throws {
    let golden = try Golden()
    var compared = 0
    #expect(Set(golden.templates.compactMap { $0["digest"]?.string }).count >= 29)
    for row in golden.templates {
      let (template, tokenizer) = (try template(row), try tokenizer(row))
      for (messages, results) in zip(golden.conversations, golden.results(row)) {
        for continues in [false, true] {
          let expected = try #require(results[continues ? 1 : 0])
          guard let text = expected["text"]?.string else {
            #expect(
              throws: ConversationError.self,
              "\(row["source"]?.string ?? "") \(messages.map(\.content)) \(continues)"
            ) {
              try template.render(messages, continues: continues)
            }
            continue
          }
          let pieces: [MarkedText]
          do throws(ConversationError) {
            pieces = try template.render(messages, continues: continues)
          } catch {
            // What transformers' templates drop without a word is an error here.
            #expect(
              Self.drops(template.name, messages),
              "\(row["source"]?.string ?? "") \(messages) \(error)")
            continue
          }
          #expect(
            pieces.map(\.text).joined() == text,
            "\(row["source"]?.string ?? "") \(messages.map(\.content)) \(continues)")
          let ids = tokenizer.encode(pieces, addSpecialTokens: false).tokens
          #expect(ids.map(Int.init) == expected["ids"]?.array?.compactMap(\.int))
          compared += 1
        }
      }
    }
    #expect(compared > 600)
  }

  /// Whether the Jinja template leaves out a message.
  private static func drops(_ name: String, _ messages: [ChatMessage]) -> Bool {
    name.hasPrefix("mistral-v3") && messages[0].role == .system && messages.last?.role != .user
      || name == "alpaca" && messages.dropFirst().contains { $0.role == .system }
  }

  @Test func `every hash of a known text is in the table, with its name`() throws {
    for row in try Golden().templates {
      let digest = try #require(UInt64(row["digest"]?.string ?? "", radix: 16))
      // The text is ChatML's with any default system message, which is taken out and put in again.
      let name = row["name"] == "smollm2" ? "chatml" : row["name"]?.string
      #expect(ChatTemplate.name(ofDigest: digest) == name)
    }
  }

  @Test func `answers with their end marks are targets, and nothing else`() throws {
    let marks = ChatTemplate.Marks(start: "<s>", end: "</s>")
    let messages = [
      ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi"),
      ChatMessage(.assistant, "Hello!"), ChatMessage(.user, "Bye"), ChatMessage(.assistant, "OK."),
    ]
    let ends = [
      "chatml": "<|im_end|>", "llama2": " </s>", "llama3": "<|eot_id|>", "gemma3": "<end_of_turn>",
      "mistral-v1": "</s>", "zephyr": "</s>", "alpaca": "</s>", "phi4": "<|im_end|>",
    ]
    for (name, end) in ends {
      let template = try #require(ChatTemplate(named: name, marks: marks))
      let pieces = try template.render(messages)
      #expect(
        pieces.filter(\.isTarget).map(\.text) == ["Hello!" + end, "OK." + end], "\(name)")
    }
  }

  @Test func `an answer's end is the token that transformers' text has after an answer`() throws {
    let golden = try Golden()
    let messages = [ChatMessage(.user, "Who are you?"), ChatMessage(.assistant, "A model.")]
    let index = try #require(golden.conversations.firstIndex(of: messages))
    for row in golden.templates {
      let (template, tokenizer) = (try template(row), try tokenizer(row))
      let text = try #require(golden.results(row)[index][0]?["text"]?.string)
      let rest = try #require(text.components(separatedBy: "A model.").last)
      let next = tokenizer.encode(
        rest.trimmingCharacters(in: .whitespacesAndNewlines), addSpecialTokens: false)
      let end = tokenizer.encode(template.endOfAnswer, addSpecialTokens: false)
      #expect(end.count == 1 && end.first == next.first, "\(template.name)")
      #expect(tokenizer.isSpecial(end[0]), "\(template.name)")
    }
  }

  @Test func `a target's tokens are the same with and without marks, and decode to the answer`()
    throws
  {
    let golden = try Golden()
    for row in golden.templates {
      let (template, tokenizer) = (try template(row), try tokenizer(row))
      let pieces = try template.render([
        ChatMessage(.user, "Who are you?"), ChatMessage(.assistant, "A model."),
      ])
      let marked = tokenizer.encode(pieces, addSpecialTokens: false)
      let whole = tokenizer.encode(pieces.map(\.text).joined(), addSpecialTokens: false)
      #expect(marked.tokens == whole)
      let targets = zip(marked.tokens, marked.isTarget).filter(\.1).map(\.0)
      let text = tokenizer.decode(targets, skipSpecialTokens: false)
      let expected = pieces.filter(\.isTarget).map(\.text).joined()
      #expect(text.filter { $0 != " " } == expected.filter { $0 != " " }, "\(template.name)")
    }
  }

  private static let ownTemplate = """
    {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] \
    + '<|im_end|>' + '\\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """

  @Test(arguments: [
    ownTemplate,
    ownTemplate.replacing("message['role']", with: "message.role"),
    ownTemplate.replacing("'", with: "\""),
    ownTemplate.replacing(" + ", with: "+"),
    ownTemplate.replacing("{{ '", with: "{{'").replacing("\\n", with: "\n") + "\n",
  ])
  func `a template is recognized however it is spelled`(text: String) {
    let marks = ChatTemplate.Marks(start: "", end: "")
    #expect(ChatTemplate.recognized(text, marks: marks)?.name == "chatml")
  }

  @Test(arguments: [
    ownTemplate.replacing("<|im_end|>", with: "<|im_end|> "),
    ownTemplate.replacing("message['content']", with: "message['content'] | trim"),
    ownTemplate.replacing("{% endfor %}", with: "{% endfor %} "),
    ownTemplate.replacing("'\\n' + message", with: "'\\n\\n' + message"),
  ])
  func `a template that writes anything else is unknown, but its likeness is told`(text: String) {
    let marks = ChatTemplate.Marks(start: "", end: "")
    #expect(ChatTemplate.recognized(text, marks: marks) == nil)
    #expect(ChatTemplate.resembling(text) == "chatml")
  }

  @Test func `a template's own default system message is kept`() throws {
    let text = """
      {% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
      {{ '<|im_start|>system\\nYou are a mill.<|im_end|>\\n' }}{% endif %}\
      {{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}\
      {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
      """
    let marks = ChatTemplate.Marks(start: "", end: "")
    let template = try #require(ChatTemplate.recognized(text, marks: marks))
    #expect(
      try template.render([ChatMessage(.user, "Hi")]).map(\.text).joined()
        == "<|im_start|>system\nYou are a mill.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n")
  }
}
