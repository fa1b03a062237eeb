internal import GraftCore
package import GraftModels

/// Turns lines of JSON into tokenized examples.
package struct ExampleReader: Sendable {
  /// One example: its tokens, and which of them are to be predicted.
  typealias Example = (tokens: [Int32], isTarget: [Bool])

  let tokenizer: Tokenizer
  /// Closes every example but conversations, and separates plain texts, if the model has one.
  let endToken: Int32?
  let settings: DataSettings
  /// How conversations are written; asked for when the first one comes.
  let chatTemplate: @Sendable () throws -> ChatTemplate

  /// Reads with a model's tokenizer.
  package init(
    tokenizer: Tokenizer, endToken: Int32?, settings: DataSettings,
    chatTemplate: @escaping @Sendable () throws -> ChatTemplate
  ) {
    self.tokenizer = tokenizer
    self.endToken = endToken
    self.settings = settings
    self.chatTemplate = chatTemplate
  }

  /// Whether a file is plain text: by what was said, else unless its first character opens a JSON object.
  ///
  /// - Throws: ``TrainingError/Reason/badExample(expected:found:)`` for objects in one array.
  func isPlainText(_ bytes: [UInt8], file: String) throws(TrainingError) -> Bool {
    if settings.format == .text { return true }
    let content = bytes.lazy.filter { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
    let first = Array(content.prefix(2))
    if first.elementsEqual("[{".utf8) {
      throw TrainingError(
        .badExample(expected: "one JSON object a line", found: "an array of objects"), file: file,
        line: 1 + bytes.prefix { $0 != UInt8(ascii: "[") }.count { $0 == 0x0A },
        remedy: "write each object on a line of its own (jq -c '.[]'), or give --format text")
    }
    return settings.format == nil && first.first != UInt8(ascii: "{")
  }

  /// Reads one line.
  ///
  /// - Throws: ``TrainingError/Reason/badExample(expected:found:)`` with the file and the line; ``ModelError`` when a conversation
  ///   comes and the model has no known template.
  func example(_ line: ArraySlice<UInt8>, file: String, line number: Int) throws -> Example {
    let json: JSONValue
    do throws(StorageError) {
      json = try JSONValue.parse(Array(line), file: file)
    } catch {
      throw TrainingError(
        .badExample(expected: "one JSON object a line", found: Self.defect(of: line, error)),
        file: file, line: number)
    }
    do throws(BadExample) {
      return try example(try Self.content(json, settings))
    } catch {
      switch error {
      case .line(let expected, let found):
        throw TrainingError(
          .badExample(expected: expected, found: found), file: file, line: number)
      case .template(let error): throw error
      }
    }
  }

  /// What is wrong with a line that isn't JSON.
  private static func defect(of line: ArraySlice<UInt8>, _ error: StorageError) -> String {
    if String(validating: line, as: UTF8.self) == nil { return "bytes that aren't UTF-8" }
    if case .malformed(_, let expected, let found) = error.reason {
      return "\(found) where \(expected) belongs"
    }
    return error.diagnosis.summary
  }

  // MARK: - Content

  /// What a line holds.
  private enum Content {
    case conversation([ChatMessage])
    case texts([MarkedText])
  }

  /// What is wrong with a line, or with the template that it needs.
  private enum BadExample: Error {
    case line(expected: String, found: String)
    case template(any Error)
  }

  private static func content(
    _ json: JSONValue, _ settings: DataSettings
  ) throws(BadExample) -> Content {
    guard let object = json.object else {
      throw .line(expected: expectation(settings), found: "no JSON object")
    }
    let readsChats = settings.format != .completion
    let readsTexts = settings.format != .chat
    if readsChats, let messages = object["messages"] {
      return .conversation(try conversation(messages))
    }
    if readsTexts, let prompt = object["prompt"], let completion = object["completion"] {
      return .texts([
        MarkedText(try text(prompt, "prompt"), isTarget: !settings.masksPrompt),
        MarkedText(try text(completion, "completion"), isTarget: true),
      ])
    }
    if readsTexts, !settings.masksPrompt, let text = object["text"] {
      return .texts([MarkedText(try Self.text(text, "text"), isTarget: true)])
    }
    let keys = object.members.map(\.key).joined(separator: ", ")
    throw .line(
      expected: expectation(settings), found: keys.isEmpty ? "no keys" : "the keys \(keys)")
  }

  private static func expectation(_ settings: DataSettings) -> String {
    let texts = settings.masksPrompt ? "prompt and completion" : "prompt and completion, or text"
    return switch settings.format {
    case .chat: "messages"
    case .completion: texts
    case .text, nil: "messages, or " + texts
    }
  }

  private static func text(_ json: JSONValue, _ key: String) throws(BadExample) -> String {
    guard let text = json.string else {
      throw .line(expected: "\(key) as a string", found: json.kind)
    }
    return text
  }

  private static func conversation(_ json: JSONValue) throws(BadExample) -> [ChatMessage] {
    guard let messages = json.array else {
      throw .line(expected: "messages as an array", found: json.kind)
    }
    guard !messages.isEmpty else {
      throw .line(expected: "at least one message", found: "an empty array")
    }
    var result: [ChatMessage] = []
    for (index, message) in messages.enumerated() {
      guard let role = message["role"]?.string.flatMap(ChatMessage.Role.init) else {
        throw .line(
          expected: "the role system, user or assistant in message \(index + 1)",
          found: message["role"].map { $0.string ?? $0.kind } ?? "no role")
      }
      guard let content = message["content"] else {
        throw .line(expected: "content in message \(index + 1)", found: "none")
      }
      result.append(ChatMessage(role, try text(content, "content of message \(index + 1)")))
    }
    return result
  }

  // MARK: - Tokens

  private func example(_ content: Content) throws(BadExample) -> Example {
    var example: Example
    let isEmpty: Bool
    switch content {
    case .texts(let pieces):
      isEmpty = pieces.allSatisfy(\.text.isEmpty)
      example = tokenizer.encode(pieces, addSpecialTokens: true)
      if let endToken {
        example.tokens.append(endToken)
        example.isTarget.append(true)
      }
    case .conversation(let messages):
      isEmpty = messages.allSatisfy(\.content.isEmpty)
      let template: ChatTemplate
      do { template = try chatTemplate() } catch { throw .template(error) }
      do throws(ConversationError) {
        let pieces = try template.render(messages).map { piece in
          MarkedText(piece.text, isTarget: piece.isTarget || !settings.masksPrompt)
        }
        example = tokenizer.encode(pieces, addSpecialTokens: false)
      } catch {
        throw .line(expected: error.expected, found: error.found)
      }
    }
    guard !isEmpty else { throw .line(expected: "an example with text", found: "an empty one") }
    guard example.isTarget.dropFirst().contains(true) else {
      throw .line(
        expected: settings.masksPrompt
          ? "an answer to predict after the prompt" : "at least two tokens",
        found: "\(example.tokens.count) tokens, none to predict")
    }
    return example
  }
}

extension JSONValue {
  /// The kind of a value in words, for errors.
  fileprivate var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}
