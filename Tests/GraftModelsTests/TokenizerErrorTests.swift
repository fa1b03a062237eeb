import GraftCore
import GraftModels
import Testing

@Suite struct TokenizerErrorTests {
  private static func file(
    model: String = #"{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}"#,
    _ members: String = ""
  ) -> [UInt8] {
    Array(#"{"model":\#(model)\#(members.isEmpty ? "" : ",")\#(members)}"#.utf8)
  }

  private static func reason(_ bytes: [UInt8]) throws -> ModelError.Reason {
    let error = #expect(throws: ModelError.self) {
      try Tokenizer(tokenizerJSON: bytes, file: "tokenizer.json")
    }
    return try #require(error).reason
  }

  @Test func `reads the smallest file`() throws {
    let tokenizer = try Tokenizer(tokenizerJSON: Self.file(), file: "tokenizer.json")
    #expect(tokenizer.encode("abba") == [2, 1, 0])
    #expect(tokenizer.vocabularySize == 3)
  }

  @Test func `word pieces need a token for words that can't be spelled`() throws {
    let model = ###"{"type":"WordPiece","vocab":{"a":0,"##b":1,"[UNK]":2}}"###
    let tokenizer = try Tokenizer(
      tokenizerJSON: Self.file(model: model), file: "tokenizer.json")
    #expect(tokenizer.encode("abb") == [0, 1, 1])
    #expect(tokenizer.encode("abc") == [2])
    let without = Self.file(model: #"{"type":"WordPiece","vocab":{"a":0}}"#)
    #expect(
      try Self.reason(without)
        == .invalidValue(
          key: "model.unk_token", expected: "a token of the vocabulary", found: "[UNK]"))
  }

  @Test(arguments: ["Unigram", "WordLevel"])
  func `names a model that is not supported`(kind: String) throws {
    let file = Self.file(model: #"{"type":"\#(kind)","vocab":[["a",0.5]]}"#)
    #expect(try Self.reason(file) == .unsupported(feature: "tokenizer model", found: kind))
  }

  @Test(arguments: [
    ("(a)\\1", "the escape \\1"), ("(?<=a)b", "a group of the kind (?<"),
    ("a++", "a possessive or doubled quantifier"), ("^a", "^ at this place"),
    ("[a", "a set without end"), ("(a", "a group without end"),
    ("\\p{Klingon}", "the property Klingon"),
    ("a{2,1}", "such a quantifier in braces"), ("a{9999}", "more than 256 repetitions"),
    ("(?!ab)c", "a look-ahead for more than one character"),
    ("\\x{41", "a code point without end"),
  ])
  func `names what it does not support in a regular expression`(
    expression: String, feature: String
  ) throws {
    let spelled = JSONValue.string(expression).serialized()
    let file = Self.file(
      #""pre_tokenizer":{"type":"Split","pattern":{"Regex":\#(spelled)},"behavior":"Isolated"}"#)
    #expect(
      try Self.reason(file)
        == .unsupported(feature: "regular expression", found: "\(feature) in \(expression)"))
  }

  @Test(arguments: [
    (#""normalizer""#, #"{"type":"Prepend","prepend":"aaa"}"#, "normalizers"),
    (#""decoder""#, #"{"type":"Replace","pattern":{"String":"a"},"content":"aaa"}"#, "decoders"),
  ])
  func `refuses steps that multiply a text`(part: String, step: String, list: String) throws {
    let steps = Array(repeating: step, count: 10).joined(separator: ",")
    let file = Self.file(#"\#(part):{"type":"Sequence","\#(list)":[\#(steps)]}"#)
    guard case .unsupported(let feature, _) = try Self.reason(file) else {
      Issue.record("another error")
      return
    }
    #expect(feature == "growth of a text by the \(list.dropLast())")
  }

  @Test func `refuses more steps than there is memory for their patterns`() throws {
    let steps = Array(repeating: #"{"type":"WhitespaceSplit"}"#, count: 17).joined(separator: ",")
    let file = Self.file(#""pre_tokenizer":{"type":"Sequence","pretokenizers":[\#(steps)]}"#)
    #expect(
      try Self.reason(file)
        == .unsupported(feature: "number of pre-tokenizers", found: "more than 16"))
  }

  @Test(arguments: [
    ("a*", "an expression that matches the empty text"),
    ("((((((){256}){256}){256}){256}){256})a", "an expression of this length"),
    ("(a|b{200}c{200}){100}", "an expression of this length"),
    ("[ab]{0,256}a[ab]{18}c", "an expression with this many states"),
  ])
  func `refuses an expression that matches nothing, or takes too much`(
    expression: String, found: String
  ) throws {
    let file = Self.file(
      #""pre_tokenizer":{"type":"Split","pattern":{"Regex":"\#(expression)"},"behavior":"Isolated"}"#
    )
    #expect(try Self.reason(file) == .unsupported(feature: "regular expression", found: found))
  }

  @Test(arguments: [
    (#""normalizer":{"type":"Precompiled"}"#, "normalizer", "Precompiled"),
    (#""pre_tokenizer":{"type":"UnicodeScripts"}"#, "pre-tokenizer", "UnicodeScripts"),
    (#""decoder":{"type":"CTC"}"#, "decoder", "CTC"),
    (#""post_processor":{"type":"Magic"}"#, "post-processor", "Magic"),
  ])
  func `names a part that is not supported`(part: String, feature: String, kind: String) throws {
    #expect(try Self.reason(Self.file(part)) == .unsupported(feature: feature, found: kind))
  }

  @Test(arguments: ["-1", "2097152", "1.5", "1e3", "99999999999999999999", "\"0\""])
  func `refuses ids that cannot be`(id: String) throws {
    let file = Self.file(model: #"{"type":"BPE","vocab":{"a":\#(id)},"merges":[]}"#)
    guard case .invalidValue("model.vocab", _, _) = try Self.reason(file) else {
      Issue.record("another error")
      return
    }
  }

  @Test(arguments: [#""a c""#, #""a""#, #"["a"]"#, #"["a","b","c"]"#, "1", #""a b c""#])
  func `refuses merges of tokens that are not there`(merge: String) throws {
    let file = Self.file(
      model: #"{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[\#(merge)]}"#)
    guard case .invalidValue("model.merges", _, _) = try Self.reason(file) else {
      Issue.record("another error")
      return
    }
  }

  @Test func `tells the byte of malformed JSON`() throws {
    guard case .storage(let error) = try Self.reason(Array(#"{"model":{"vocab":{"a":0,}}}"#.utf8))
    else {
      Issue.record("another error")
      return
    }
    #expect(error.offset == 25)
  }

  @Test func `survives every truncation of a file`() throws {
    let whole = Self.file(#""added_tokens":[{"id":3,"content":"<s>","special":true}]"#)
    for length in 0..<whole.count {
      #expect(throws: ModelError.self) {
        try Tokenizer(tokenizerJSON: Array(whole[..<length]), file: "tokenizer.json")
      }
    }
  }
}
