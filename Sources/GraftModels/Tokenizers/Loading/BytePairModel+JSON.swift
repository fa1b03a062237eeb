import GraftCore

extension BytePairModel {
  /// Builds the model of a `tokenizer.json`.
  init(
    _ file: TokenizerFile, isByteLevel: Bool, _ reader: TokenizerReader
  ) throws(ModelError) {
    try Self.checkKind(file, reader)
    let vocabulary = file.vocabulary
    self.vocabulary = vocabulary
    (merges, cutsAtMarker) = try Self.merges(file, reader)
    ignoresMerges = file.model["ignore_merges"]?.bool ?? false
    fusesUnknown = file.model["fuse_unk"]?.bool ?? false
    if let name = file.model["unk_token"]?.string {
      guard let id = vocabulary.id(of: Array(name.utf8).span) else {
        throw reader.invalid("model.unk_token", "a token of the vocabulary", name)
      }
      unknown = id
    } else {
      unknown = nil
    }
    fallback =
      file.model["byte_fallback"]?.bool ?? false
      ? (0..<256).map { vocabulary.id(of: Array(Self.byteToken(UInt8($0)).utf8).span) ?? -1 } : []
    alphabet = isByteLevel ? Self.byteAlphabet(vocabulary) : Self.scalarAlphabet(vocabulary)
  }

  private static func checkKind(
    _ file: TokenizerFile, _ reader: TokenizerReader
  ) throws(ModelError) {
    // Files older than the `type` key hold byte-pair models when they have merges.
    let kind = file.model["type"]?.string ?? (file.merges.isEmpty ? "without type" : "BPE")
    guard kind == "BPE" else { throw reader.unsupported("tokenizer model", kind) }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = file.model[key]?.string, !affix.isEmpty {
        throw reader.unsupported("\(key) of a tokenizer model", affix)
      }
    }
    if let dropout = file.model["dropout"]?.double, dropout > 0 {
      throw reader.unsupported("dropout of a tokenizer model", String(dropout))
    }
    guard file.vocabulary.count > 0 else {
      throw ModelError(.missingKey("model.vocab"), file: reader.file)
    }
  }

  /// The merges by pair, and whether none joins a character and a following ▁.
  private static func merges(
    _ file: TokenizerFile, _ reader: TokenizerReader
  ) throws(ModelError) -> (MergeTable, Bool) {
    let vocabulary = file.vocabulary
    let text = file.mergeText
    var table = MergeTable(capacity: file.merges.count / 2)
    var keepsMarkers = vocabulary.id(of: Array("▁".utf8).span) != nil
    var joined: [UInt8] = []
    for rank in 0..<file.merges.count / 2 {
      let left = file.merges[2 * rank]
      let right = file.merges[2 * rank + 1]
      joined.removeAll(keepingCapacity: true)
      joined += text[left]
      joined += text[right]
      guard let leftID = vocabulary.id(of: text.span.extracting(left)),
        let rightID = vocabulary.id(of: text.span.extracting(right)),
        let result = vocabulary.id(of: joined.span)
      else {
        throw reader.invalid(
          "model.merges", "tokens of the vocabulary", String(decoding: joined, as: UTF8.self))
      }
      table.insert(leftID, rightID, rank: rank, result: result)
      if keepsMarkers { keepsMarkers = !joinsMarker(joined.span) }
    }
    return (table, keepsMarkers)
  }

  private static func joinsMarker(_ token: Span<UInt8>) -> Bool {
    for position in 1..<max(1, token.count - 2)
    where token.hasMarker(at: position) && !token.hasMarker(at: position - 3) {
      return true
    }
    return false
  }

  private static func byteToken(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return "<0x\(digits.utf8.count == 1 ? "0" : "")\(digits)>"
  }

  private static func byteAlphabet(_ vocabulary: TokenTable) -> Alphabet {
    .bytes(
      (0..<256).map { byte in
        var spelled: [UInt8] = []
        ByteAlphabet.append(UInt8(byte), to: &spelled)
        return vocabulary.id(of: spelled.span) ?? -1
      })
  }

  private static func scalarAlphabet(_ vocabulary: TokenTable) -> Alphabet {
    var ids = [Int32](repeating: -1, count: 0x10000)
    for id in 0..<vocabulary.count where vocabulary.contains(id) {
      let content = Array(vocabulary.content(id))
      guard let lead = content.first, content.count <= 3 else { continue }
      let length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : 3
      guard content.count == length else { continue }
      let scalar = content.span.scalar(at: 0).value
      ids[Int(scalar)] = vocabulary.id(of: content.span) ?? -1
    }
    return .scalars(ids)
  }
}
