extension LanguageModel {
  /// How conversations are written for this model: as its files say, or as the choice does.
  ///
  /// - Parameter choice: The name of a known template, or a file with one: Jinja, or a `tokenizer_config.json`.
  /// - Throws: ``StorageError`` when a file can't be read, ``ModelError`` when there is no template or an unknown one.
  public func chatTemplate(choice: String? = nil) throws -> ChatTemplate {
    let settings = try TokenizerSettings(
      configuration: tokenizerFiles.configuration, template: tokenizerFiles.template, path: path)
    guard let choice else { return try settings.chatTemplate(path: path) }
    if let known = ChatTemplate(named: choice, marks: settings.marks) { return known }
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
      given.template?.text ?? "", file: choice, marks: settings.marks)
  }
}
