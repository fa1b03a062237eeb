/// Decodes tokens one by one and gives out text as soon as it is whole characters.
public struct TokenizerStream: Sendable {
  private let tokenizer: Tokenizer
  private let skipSpecialTokens: Bool
  /// The tokens since the last text given out, and those before it that their decoding depends on.
  private var ids: [Int32] = []
  private var contextCount = 0
  private var context: [UInt8] = []

  /// Begins a text.
  public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = true) {
    self.tokenizer = tokenizer
    self.skipSpecialTokens = skipSpecialTokens
  }

  /// Takes the next token; the text it completes, perhaps none.
  public mutating func append(_ id: Int32) -> String {
    ids.append(id)
    let text = decoded(ids)
    guard text.count > context.count, !text.suffix(3).elementsEqual("\u{FFFD}".utf8) else {
      return ""
    }
    return give(text)
  }

  /// Ends the text; what was held back, with U+FFFD for characters that never became whole.
  public mutating func finish() -> String { give(decoded(ids)) }

  private mutating func give(_ text: [UInt8]) -> String {
    let result = String(decoding: text.dropFirst(context.count), as: UTF8.self)
    ids.removeFirst(contextCount)
    contextCount = ids.count
    context = decoded(ids)
    return result
  }

  private func decoded(_ ids: [Int32]) -> [UInt8] {
    Array(tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens).utf8)
  }
}
