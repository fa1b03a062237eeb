import Foundation
import Graft
import TestSupport
import Testing

/// The token that chat templates end an answer with, where `tokenizer_config.json` names none.
struct EndMarkTests {
  private let space = TemporaryFolder()

  /// The small model with other values in some of its files; nil takes a key out.
  private func model(_ changes: [String: [String: Any?]]) throws -> LanguageModel {
    let path = try space.copy(fixture("model"), to: "model")
    for (name, values) in changes {
      let file = URL(filePath: path + "/" + name)
      var json = try #require(
        JSONSerialization.jsonObject(with: try Data(contentsOf: file)) as? [String: Any])
      for (key, value) in values { json[key] = value }
      try JSONSerialization.data(withJSONObject: json).write(to: file)
    }
    return try LanguageModel(path, threads: 1)
  }

  /// What a template makes of an answer.
  private func answer(_ model: LanguageModel, _ template: String) throws -> String? {
    try model.chatTemplate(choice: template)
      .render([ChatMessage(.user, "Who?"), ChatMessage(.assistant, "I.")])
      .first(where: \.isTarget)?.text
  }

  private static var none: [String: Any?] { ["eos_token": nil as Any?] }

  @Test func `generation_config.json names it by its id`() throws {
    let model = try model([
      "tokenizer_config.json": Self.none, "generation_config.json": ["eos_token_id": [300, 0]],
    ])
    let token = try #require(model.tokenizer.token(300))
    #expect(try answer(model, "zephyr") == "I." + String(decoding: token, as: UTF8.self))
  }

  @Test func `config.json names it where generation_config.json doesn't`() throws {
    let model = try model([
      "tokenizer_config.json": Self.none, "generation_config.json": ["eos_token_id": nil as Any?],
      "config.json": ["eos_token_id": 0],
    ])
    #expect(try answer(model, "zephyr") == "I.<|endoftext|>")
  }

  @Test func `what the tokenizer says comes first`() throws {
    let model = try model(["generation_config.json": ["eos_token_id": 300]])
    #expect(try answer(model, "zephyr") == "I.<|endoftext|>")
  }

  @Test func `without one, a template that ends answers by it is an error, and others aren't`()
    throws
  {
    let model = try model([
      "tokenizer_config.json": Self.none, "generation_config.json": ["eos_token_id": nil as Any?],
      "config.json": ["eos_token_id": nil as Any?],
    ])
    for template in ["zephyr", "llama2", "mistral-v3", "alpaca", "phi3"] {
      let error = #expect(throws: ModelError.self) { try answer(model, template) }
      #expect(error?.reason == .missingKey("eos_token"), "\(template)")
      #expect(error?.remedy?.contains("eos_token_id") == true)
    }
    #expect(try answer(model, "chatml") == "I.<|im_end|>")
  }
}
