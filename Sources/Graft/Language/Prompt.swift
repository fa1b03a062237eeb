/// What a model goes on from: the tokens of a text or of a conversation, and what ends that which follows.
public struct Prompt: Sendable, Equatable {
  /// The tokens.
  public let tokens: [Int32]
  /// Tokens that end the text.
  let endTokens: Set<Int32>
  /// What ends the text where it is no token of its own; may be empty.
  let endMark: String
}

extension LanguageModel {
  /// A text as a prompt, with the special tokens that the tokenizer puts around one.
  ///
  /// - Throws: ``ModelError`` for a text without tokens.
  public func prompt(_ text: String) throws(ModelError) -> Prompt {
    try prompt(tokenizer.encode(text), endTokens: [], endMark: "")
  }

  /// A conversation as a prompt, in a chat template and up to where the assistant's next answer begins.
  ///
  /// The answer ends at the template's end of a turn, or at the model's end token.
  /// - Throws: ``ModelError`` when the template has no place for a message.
  public func prompt(
    _ conversation: [ChatMessage], in template: ChatTemplate
  ) throws(ModelError) -> Prompt {
    let pieces: [MarkedText]
    do throws(ConversationError) {
      pieces = try template.render(conversation, continues: true)
    } catch {
      throw ModelError(
        .conversation(template: template.name, expected: error.expected, found: error.found),
        file: path)
    }
    let mark = template.endOfAnswer
    let markTokens = tokenizer.encode(mark, addSpecialTokens: false)
    let isToken = markTokens.count == 1 && tokenizer.isSpecial(markTokens[0])
    return try prompt(
      tokenizer.encode(pieces, addSpecialTokens: false).tokens,
      endTokens: isToken ? markTokens : [], endMark: isToken ? "" : mark)
  }

  private func prompt(
    _ tokens: [Int32], endTokens: [Int32], endMark: String
  ) throws(ModelError) -> Prompt {
    guard !tokens.isEmpty else {
      throw ModelError(
        .invalidValue(key: "prompt", expected: "at least one token", found: "nothing"),
        file: path, remedy: "give a --prompt with text")
    }
    return Prompt(
      tokens: tokens, endTokens: Set(generationEndTokens + endTokens), endMark: endMark)
  }
}
