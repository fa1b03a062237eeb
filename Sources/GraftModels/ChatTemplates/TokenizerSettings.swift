public import GraftCore

/// What a model's `tokenizer_config.json` and `chat_template.jinja` say about conversations.
public struct TokenizerSettings: Sendable {
  /// The tokens at the ends of texts.
  public private(set) var marks = ChatTemplate.Marks(start: "", end: "")
  /// The chat template's text and the file it is from; nil where the model has none.
  public private(set) var template: (text: String, file: String)?

  /// Reads the files that a model has.
  ///
  /// - Parameters:
  ///   - configuration: `tokenizer_config.json`.
  ///   - template: `chat_template.jinja`, which comes before the template in the configuration.
  ///   - path: The model, for the names of the files in errors.
  ///   - end: The token at the end of a text, where the configuration names none.
  /// - Throws: ``StorageError`` for a file that isn't JSON or a template that isn't UTF-8.
  public init(
    configuration: [UInt8]?, template: [UInt8]?, path: String, end: String? = nil
  ) throws(StorageError) {
    if let configuration {
      let file = path + "/tokenizer_config.json"
      let json = try JSONValue.parse(configuration, file: file)
      marks = ChatTemplate.Marks(
        start: Self.token(json["bos_token"]), end: Self.token(json["eos_token"]))
      self.template = Self.template(json["chat_template"]).map { ($0, file) }
    }
    if marks.end.isEmpty, let end { marks.end = end }
    if let template {
      let file = path + "/chat_template.jinja"
      guard let text = String(validating: template, as: UTF8.self) else {
        throw StorageError(
          .malformed(rule: "UTF-8", expected: "text", found: "other bytes"), file: file)
      }
      self.template = (text, file)
    }
  }

  /// A token's text, spelled out or as the object of an added token.
  private static func token(_ json: JSONValue?) -> String {
    json?.string ?? json?["content"]?.string ?? ""
  }

  /// One template, or of several the default one.
  private static func template(_ json: JSONValue?) -> String? {
    if let text = json?.string { return text }
    let named = json?.array?.first { $0["name"]?.string == "default" }
    return named?["template"]?.string
  }

  /// The model's chat template.
  ///
  /// - Throws: ``ModelError`` when there is none or it isn't a known one.
  public func chatTemplate(path: String) throws(ModelError) -> ChatTemplate {
    guard let template else {
      throw ModelError(
        .missingKey("chat_template"), file: path + "/tokenizer_config.json",
        remedy: "say how conversations are written: --chat-template chatml, llama3, …")
    }
    return try Self.known(template.text, file: template.file, marks: marks)
  }

  /// The template that a file's text is known to be.
  ///
  /// - Throws: ``ModelError`` when it isn't a known one.
  public static func known(
    _ text: String, file: String, marks: ChatTemplate.Marks
  ) throws(ModelError) -> ChatTemplate {
    if let known = ChatTemplate.recognized(text, marks: marks) { return known }
    let likeness = ChatTemplate.resembling(text)
    throw ModelError(
      .unsupported(
        feature: "chat template",
        found: "one that isn't known" + (likeness.map { ", with the marks of \($0)" } ?? "")),
      file: file,
      remedy: "say which known one to use instead: --chat-template \(likeness ?? "NAME"), of "
        + ChatTemplate.names.joined(separator: ", "))
  }
}
