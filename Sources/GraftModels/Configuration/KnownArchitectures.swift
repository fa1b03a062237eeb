public import GraftCore

/// The architectures that can be computed, told apart by `config.json`.
public enum KnownArchitectures {
  /// Every decoder, one type a family.
  package static let decoders: [any DecoderArchitecture.Type] = [
    LlamaConfiguration.self, Gemma3Configuration.self, GPT2Configuration.self,
  ]

  /// Every encoder.
  static let encoders: [any ModelConfiguration.Type] = [BERTConfiguration.self]

  private static var all: [any ModelConfiguration.Type] { decoders + encoders }

  /// The names that `architectures` may have.
  public static var names: [String] { all.flatMap { $0.architectureNames } }

  /// Reads a parsed `config.json` of any known architecture.
  ///
  /// - Throws: ``ModelError`` that names an unknown architecture with those that are known, a missing key or an
  ///   unsupported feature.
  public static func configuration(
    _ json: JSONValue, file: String
  ) throws(ModelError) -> any ModelConfiguration {
    try type(of: json, among: all, file: file).init(json, file: file)
  }

  /// Reads the parsed `config.json` of a decoder.
  ///
  /// - Throws: ``ModelError``, as ``configuration(_:file:)``; for a model that doesn't predict text too.
  package static func decoder(
    _ json: JSONValue, file: String
  ) throws(ModelError) -> any DecoderArchitecture {
    let found = try type(of: json, among: all, file: file)
    guard let decoder = found as? any DecoderArchitecture.Type else {
      let name = json["architectures"]?.array?.compactMap(\.string).first
      throw ModelError(
        .unsupported(
          feature: "architecture for predicting text",
          found: name ?? json["model_type"]?.string ?? "none"), file: file,
        remedy: "known are " + decoders.flatMap { $0.architectureNames }.joined(separator: ", "))
    }
    return try decoder.init(json, file: file)
  }

  private static func type(
    of json: JSONValue, among types: [any ModelConfiguration.Type], file: String
  ) throws(ModelError) -> any ModelConfiguration.Type {
    let known = "known are " + types.flatMap { $0.architectureNames }.joined(separator: ", ")
    let names = json["architectures"]?.array?.compactMap(\.string) ?? []
    if let name = names.first {
      guard let type = types.first(where: { $0.architectureNames.contains(name) }) else {
        throw ModelError(.unknownArchitecture(name), file: file, remedy: known)
      }
      return type
    }
    guard let name = json["model_type"]?.string else {
      throw ModelError(.missingKey("architectures"), file: file)
    }
    guard let type = types.first(where: { $0.modelTypes.contains(name) }) else {
      throw ModelError(.unknownArchitecture(name), file: file, remedy: known)
    }
    return type
  }
}
