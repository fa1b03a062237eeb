import GraftModels
import Testing

@Suite struct TokenizerTests {
  @Test(arguments: TokenizerCorpus.names)
  func `gives the ids of the tokenizers package for 10,500 lines`(name: String) throws {
    let tokenizer = try TokenizerCorpus.tokenizer(name)
    let ids = try TokenizerCorpus.lines().map { tokenizer.encode($0) }
    let rows = try TokenizerCorpus.rows(name)
    #expect(ids.count == 10_500)
    #expect(rows.count == (ids.count + 7) / 8)
    for (index, row) in rows.enumerated() {
      let lines = Array(ids[8 * index..<min(8 * index + 8, ids.count)])
      if let expected = row.ids { #expect(lines[0] == expected, "line \(8 * index)") }
      #expect(TokenizerCorpus.fingerprint(lines) == row.hash, "lines from \(8 * index)")
    }
  }

  @Test(arguments: ["gpt2", "llama3", "smollm", "o200k", "deepseek"])
  func `gives back every text exactly`(name: String) throws {
    let tokenizer = try TokenizerCorpus.tokenizer(name)
    for line in try TokenizerCorpus.lines() {
      let ids = tokenizer.encode(line, addSpecialTokens: false)
      #expect(Array(tokenizer.decode(ids, skipSpecialTokens: false).utf8) == line)
    }
  }

  @Test(arguments: TokenizerCorpus.names)
  func `streams the text that decoding gives`(name: String) throws {
    let tokenizer = try TokenizerCorpus.tokenizer(name)
    for line in try TokenizerCorpus.lines().prefix(2000) {
      let ids = tokenizer.encode(line)
      var stream = TokenizerStream(tokenizer)
      var text = ""
      for id in ids { text += stream.append(id) }
      text += stream.finish()
      #expect(Array(text.utf8) == Array(tokenizer.decode(ids).utf8))
    }
  }

  @Test func `streams no half characters`() throws {
    let tokenizer = try TokenizerCorpus.tokenizer("gpt2")
    var stream = TokenizerStream(tokenizer)
    for id in tokenizer.encode("🫠 né 中文 🇫🇷") {
      #expect(!stream.append(id).unicodeScalars.contains("\u{FFFD}"))
    }
    #expect(stream.finish() == "")
  }

  @Test func `replaces what is not UTF-8`() throws {
    let tokenizer = try TokenizerCorpus.tokenizer("gpt2")
    #expect(tokenizer.encode([0x61, 0xFF, 0x62]) == tokenizer.encode("a\u{FFFD}b"))
  }

  @Test func `encodes runs of thousands of bytes like their decoding says`() throws {
    for name in ["gpt2", "mistral"] {
      let tokenizer = try TokenizerCorpus.tokenizer(name)
      let text = String(repeating: "abcdefghij", count: 2000)
      #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    }
  }

  @Test(arguments: [("gpt2", "Ġthe", "Ġ"), ("llama2", "▁the", "▁")])
  func `tells which text a token stands for`(
    name: String, spelling: String, marker: String
  ) throws {
    let tokenizer = try TokenizerCorpus.tokenizer(name)
    let id = try #require(tokenizer.id(of: spelling))
    #expect(tokenizer.token(id) == Array(spelling.utf8))
    #expect(tokenizer.wordStartMarker == marker)
    #expect(
      tokenizer.word(id) == Tokenizer.Word(id: id, text: Array("the".utf8), startsWord: true))
    #expect(tokenizer.words.contains { $0.id == id })
  }

  @Test func `tells part of a character in bytes`() throws {
    let gpt2 = try TokenizerCorpus.tokenizer("gpt2")
    #expect(gpt2.word(try #require(gpt2.id(of: "Ã")))?.text == [0xC3])
    let llama2 = try TokenizerCorpus.tokenizer("llama2")
    #expect(llama2.word(try #require(llama2.id(of: "<0xC3>")))?.text == [0xC3])
  }

  @Test func `leaves special tokens out of the words and of decoded text`() throws {
    let tokenizer = try TokenizerCorpus.tokenizer("llama3")
    let start = try #require(tokenizer.id(of: "<|start|>"))
    #expect(tokenizer.isSpecial(start))
    #expect(tokenizer.word(start) == nil)
    #expect(tokenizer.encode("a").first == start)
    #expect(tokenizer.encode("a", addSpecialTokens: false).first != start)
    #expect(tokenizer.decode([start], skipSpecialTokens: true) == "")
    #expect(tokenizer.decode([start, 1 << 20, -1], skipSpecialTokens: false) == "<|start|>")
  }
}
