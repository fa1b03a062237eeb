internal import GraftCore
public import GraftModels

/// The text that is trained or evaluated on, as tokens.
public struct TokenizedText: Sendable {
  /// The forms that a data file can have.
  public enum Form: String, Sendable, CaseIterable {
    /// Plain text.
    case text
    /// JSON lines with `text`, or with `prompt` and `completion`.
    case completion
  }

  /// The tokens of all documents, each but a lone one closed by the end token.
  public private(set) var tokens: [Int32] = []
  /// For each token, whether it is to be predicted.
  public private(set) var isTarget: [Bool] = []
  /// Where the text came from.
  public private(set) var files: [String] = []

  /// A hash of all tokens and targets (FNV-1a), by which a resumed run knows its data again.
  package var fingerprint: String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for (token, isTarget) in zip(tokens, isTarget) {
      hash =
        (hash ^ UInt64(UInt32(bitPattern: token)) ^ (isTarget ? 1 << 40 : 0)) &* 0x100_0000_01B3
    }
    return "\(tokens.count) tokens, hash " + String(hash, radix: 16)
  }

  /// No text yet.
  public init() {}

  /// Wraps tokens made elsewhere; every one is a target.
  public init(tokens: [Int32], file: String) {
    self.tokens = tokens
    isTarget = [Bool](repeating: true, count: tokens.count)
    files = [file]
  }

  /// Tokenizes a data file's bytes and appends them; the form is told by content when it isn't given.
  ///
  /// - Parameters:
  ///   - endToken: closes every example of JSON lines, and separates text files, if the model has one.
  ///   - masksPrompt: whether prompts are read without being predicted.
  /// - Throws: ``TrainingError`` that names file and line of a bad example.
  public mutating func append(
    _ bytes: [UInt8], file: String, form: Form?, tokenizer: Tokenizer, endToken: Int32?,
    masksPrompt: Bool = false
  ) throws(TrainingError) {
    switch form ?? Self.form(of: bytes) {
    case .text:
      if !files.isEmpty, let endToken { append([endToken], isTarget: true) }
      append(tokenizer.encode(bytes, addSpecialTokens: true), isTarget: true)
    case .completion:
      try appendLines(
        bytes, file, tokenizer: tokenizer, endToken: endToken, masksPrompt: masksPrompt)
    }
    files.append(file)
  }

  /// A file whose first character opens a JSON object is taken for JSON lines.
  private static func form(of bytes: [UInt8]) -> Form {
    let first = bytes.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
    return first == UInt8(ascii: "{") ? .completion : .text
  }

  private mutating func append(_ new: [Int32], isTarget target: Bool) {
    tokens += new
    isTarget += [Bool](repeating: target, count: new.count)
  }

  private mutating func appendLines(
    _ bytes: [UInt8], _ path: String, tokenizer: Tokenizer, endToken: Int32?, masksPrompt: Bool
  ) throws(TrainingError) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (number, line) in lines.enumerated()
    where line.contains(where: { $0 != 0x20 && $0 != 0x0D && $0 != 0x09 }) {
      let example: JSONValue
      do throws(StorageError) {
        example = try JSONValue.parse(Array(line), file: path)
      } catch {
        throw TrainingError(
          .badExample(expected: "one JSON object a line", found: error.diagnosis.summary),
          file: path, line: number + 1)
      }
      if let text = example["text"]?.string {
        append(tokenizer.encode(Array(text.utf8), addSpecialTokens: true), isTarget: true)
      } else if let prompt = example["prompt"]?.string,
        let completion = example["completion"]?.string
      {
        append(
          tokenizer.encode(Array(prompt.utf8), addSpecialTokens: true), isTarget: !masksPrompt)
        append(tokenizer.encode(Array(completion.utf8), addSpecialTokens: false), isTarget: true)
      } else {
        let keys = example.object?.members.map(\.key).joined(separator: ", ")
        throw TrainingError(
          .badExample(
            expected: "text, or prompt and completion, as strings",
            found: keys.map { "the keys \($0)" } ?? "no JSON object"),
          file: path, line: number + 1)
      }
      if let endToken { append([endToken], isTarget: true) }
    }
  }
}
