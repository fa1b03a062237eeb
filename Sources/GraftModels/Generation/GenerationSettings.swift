public import GraftCore

/// What a model's `generation_config.json` says of generating.
public struct GenerationSettings: Sendable, Equatable {
  /// The tokens that end a text; nil where the file doesn't say.
  public let endTokens: [Int]?

  /// Reads a parsed `generation_config.json`.
  ///
  /// - Throws: ``ModelError`` for a value that can't be used.
  public init(_ json: JSONValue, file: String) throws(ModelError) {
    let keys = ConfigurationKeys(json, file: file)
    endTokens = keys.isPresent("eos_token_id") ? try keys.tokens("eos_token_id") : nil
  }
}
