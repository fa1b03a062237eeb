extension LanguageModel {
  /// How conversations are written for this model: as its files say, or as the choice does.
  ///
  /// - Parameter choice: The name of a known template, or a file with one: Jinja, or a `tokenizer_config.json`.
  /// - Throws: ``StorageError`` when a file can't be read, ``ModelError`` when there is no template or an unknown one, or when it
  ///   ends answers by the model's end token and no file tells that.
  public func chatTemplate(choice: String? = nil) throws -> ChatTemplate {
    let settings = try TokenizerSettings(
      configuration: tokenizerFiles.configuration, template: tokenizerFiles.template, path: path,
      end: generationEndTokens.first.flatMap(tokenizer.token).map {
        String(decoding: $0, as: UTF8.self)
      })
    let template =
      try choice.map { try known($0, settings.marks) } ?? settings.chatTemplate(path: path)
    guard !template.lacksEnd else {
      throw ModelError(
        .missingKey("eos_token"), file: path + "/tokenizer_config.json",
        remedy:
          "name the token that ends an answer there, or its id in generation_config.json (eos_token_id)"
      )
    }
    return template
  }

  /// The template that a choice means.
  private func known(_ choice: String, _ marks: ChatTemplate.Marks) throws -> ChatTemplate {
    if let known = ChatTemplate(named: choice, marks: marks) { return known }
    guard Directory.hasFile(at: choice) else {
      throw ModelError(
        .invalidValue(
          key: "chat-template", expected: "a known template or a file", found: choice),
        file: path, remedy: "known are " + ChatTemplate.names.joined(separator: ", "))
    }
    let bytes = try InputFile.contents(of: choice, atMost: 1 << 24)
    let isJSON = choice.hasSuffix(".json")
    let given = try TokenizerSettings(
      configuration: isJSON ? bytes : nil, template: isJSON ? nil : bytes, path: choice)
    return try TokenizerSettings.known(
      given.template?.text ?? "", file: choice, marks: marks)
  }
}
