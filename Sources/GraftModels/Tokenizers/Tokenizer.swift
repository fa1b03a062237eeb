import GraftCore
import Synchronization

/// Turns text into the token ids of a pretrained model and back, as the `tokenizers` package does.
///
/// It is built from a `tokenizer.json`. Byte-pair models are supported, byte-level ones and those of SentencePiece with
/// byte fallback, and WordPiece. `truncation` and `padding` in the file are ignored: a text always gives all its tokens.
public final class Tokenizer: Sendable {
  let table: TokenTable
  let decoder: Decoder?
  private let model: TokenizerModel
  private let normalizer: Normalizer?
  private let preTokenizer: PreTokenizer
  let postProcessor: PostProcessor
  /// The tokens found in the text as it is, and those found after normalizing.
  private let rawTokens: AddedTokens
  private let normalizedTokens: AddedTokens
  private let specials: Set<Int32>
  private let idle = Mutex<[BytePairModel.Workspace]>([])

  /// Builds a tokenizer from the bytes of a `tokenizer.json`.
  ///
  /// - Throws: ``ModelError`` naming what is malformed or unsupported.
  public init(tokenizerJSON: [UInt8], file: String) throws(ModelError) {
    var reader = TokenizerReader(file: file)
    let contents = try TokenizerFile(tokenizerJSON, reader)
    let part = { (key: String) in contents.parts[key] ?? .null }
    preTokenizer = try PreTokenizer(part("pre_tokenizer"), reader)
    model = try TokenizerModel(contents, isByteLevel: preTokenizer.isByteLevel, reader)
    normalizer =
      part("normalizer").isNull ? nil : try Normalizer(part("normalizer"), reader)
    decoder = part("decoder").isNull ? nil : try Decoder(part("decoder"), reader)

    let added = try AddedTokens.Token.list(part("added_tokens"), contents.vocabulary, reader)
    let normalizer = normalizer
    var table = contents.vocabulary
    for token in added {
      // As in the `tokenizers` package, a token looked for in normalized text is spelled as it is found.
      let spelling =
        token.isNormalized ? normalizer?.normalized(token.content) ?? token.content : token.content
      table.insert(spelling.span, id: Int(token.id))
    }
    self.table = table
    rawTokens = AddedTokens(added.filter { !$0.isNormalized }) { $0.content }
    normalizedTokens = AddedTokens(added.filter(\.isNormalized)) {
      normalizer?.normalized($0.content) ?? $0.content
    }
    specials = Set(added.filter(\.isSpecial).map(\.id))
    reader.id = { table.id(of: $0.span) }
    postProcessor = try PostProcessor(part("post_processor"), reader)
  }

  // MARK: - Encoding

  /// The token ids of a text.
  public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
    encode(wellFormed: Array(text.utf8), addSpecialTokens)
  }

  /// The token ids of UTF-8 text; what isn't UTF-8 counts as U+FFFD.
  public func encode(_ text: [UInt8], addSpecialTokens: Bool = true) -> [Int32] {
    guard text.isASCII || String(validating: text, as: UTF8.self) != nil else {
      return encode(String(decoding: text, as: UTF8.self), addSpecialTokens: addSpecialTokens)
    }
    return encode(wellFormed: text, addSpecialTokens)
  }

  private func encode(wellFormed text: [UInt8], _ addSpecialTokens: Bool) -> [Int32] {
    var workspace = idle.withLock { $0.popLast() } ?? BytePairModel.Workspace()
    var output: [Int32] = []
    output.reserveCapacity(text.count / 3 + 8)
    if addSpecialTokens { output += postProcessor.prefix }
    for part in rawTokens.parts(of: text, in: 0..<text.count) {
      switch part {
      case .token(let id): output.append(id)
      case .text(let range): encode(text, range, &workspace, &output)
      }
    }
    if addSpecialTokens { output += postProcessor.suffix }
    idle.withLock { $0.append(workspace) }
    return output
  }

  /// Encodes what stands between two added tokens.
  private func encode(
    _ text: [UInt8], _ range: Range<Int>, _ workspace: inout BytePairModel.Workspace,
    _ output: inout [Int32]
  ) {
    let startsText = range.lowerBound == 0
    var text = text
    var range = range
    if let normalizer {
      text = normalizer.normalized(Array(text[range]))
      range = 0..<text.count
    }
    for part in normalizedTokens.parts(of: text, in: range) {
      switch part {
      case .token(let id): output.append(id)
      case .text(let piece):
        let isFirst = startsText && piece.lowerBound == range.lowerBound
        encodeWords(text, piece, startsText: isFirst, &workspace, &output)
      }
    }
  }

  private func encodeWords(
    _ text: [UInt8], _ range: Range<Int>, startsText: Bool,
    _ workspace: inout BytePairModel.Workspace, _ output: inout [Int32]
  ) {
    if case .bytePair(let model) = model, let splitter = preTokenizer.soleSplitter {
      let bytes = text.span
      splitter.split(bytes, from: range.lowerBound, to: range.upperBound) {
        model.encode(bytes.extracting($0..<$1), &workspace, to: &output)
      }
      return
    }
    let (text, words) = preTokenizer.words(of: text, in: range, startsText: startsText)
    let bytes = text.span
    switch model {
    case .bytePair(let model):
      for word in words { model.encode(bytes.extracting(word), &workspace, to: &output) }
    case .wordPiece(let model):
      for word in words { model.encode(bytes.extracting(word), to: &output) }
    }
  }

  // MARK: - Decoding

  /// The text of token ids; ids without a token are left out.
  public func decode(_ ids: [Int32], skipSpecialTokens: Bool = true) -> String {
    let tokens = ids.compactMap { id -> [UInt8]? in
      guard table.contains(Int(id)), !(skipSpecialTokens && specials.contains(id)) else {
        return nil
      }
      return Array(table.content(Int(id)))
    }
    let parts = decoder?.decoded(tokens) ?? [Array(tokens.joined(separator: [0x20]))]
    return String(decoding: Array(parts.joined()), as: UTF8.self)
  }

  // MARK: - The vocabulary

  /// One more than the greatest id, added tokens included.
  public var vocabularySize: Int { table.count }

  /// The spelling of a token in the vocabulary; nil for ids without one.
  public func token(_ id: Int32) -> [UInt8]? {
    table.contains(Int(id)) ? Array(table.content(Int(id))) : nil
  }

  /// The id of a token, by its spelling in the vocabulary.
  public func id(of token: [UInt8]) -> Int32? { table.id(of: token.span) }

  /// The id of a token, by its spelling in the vocabulary.
  public func id(of token: String) -> Int32? { id(of: Array(token.utf8)) }

  /// The special tokens that encoding puts before and after a text.
  public var framing: (prefix: [Int32], suffix: [Int32]) {
    (postProcessor.prefix, postProcessor.suffix)
  }

  /// Whether an id is a special token: one that decoding can leave out.
  public func isSpecial(_ id: Int32) -> Bool { specials.contains(id) }

  /// The ids of the special tokens in ascending order.
  public var specialTokens: [Int32] { specials.sorted() }

  /// What the spelling of a token inside a word begins with, where such tokens are marked: those of WordPiece.
  var continuation: [UInt8]? {
    guard case .wordPiece(let model) = model else { return nil }
    return model.continuation
  }

  /// What the spelling of a word's first token begins with: `Ġ` or `▁`.
  public var wordStartMarker: String { preTokenizer.isByteLevel ? "Ġ" : "▁" }
}
