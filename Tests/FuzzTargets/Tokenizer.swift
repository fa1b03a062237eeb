import GraftCore
import GraftModels

extension FuzzTarget {
  private static let texts = [
    "", " The quick  brown fox, don't; 123 4567\n\n\t", "ünïcödé ﬁ 漢字 \u{1F600}\u{200D} e\u{301}",
    "<s>[INST] x </s>",
  ]

  /// Accepted: cuts any text into tokens that it knows, and puts them together again.
  static let tokenizer = FuzzTarget(
    "tokenizer",
    seeds: [
      "Fixtures/golden/tokenizers/**.json", "Formats/static-embeddings/accept/**/tokenizer.json",
      "Fixtures/golden/encoders/**/tokenizer.json",
    ],
    dictionary: [
      "normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens", "Sequence",
      "Replace", "Prepend", "Split", "Metaspace", "ByteLevel", "TemplateProcessing", "WordPiece",
      "BPE", "Regex", "\\\\p{L}+", "\\\\s+(?!\\\\S)", "(?i:", "[^", "\\\\x{", "{2,3}",
      "Isolated", "MergedWithNext", "strip_left", "lstrip", "single_word", "prefix", "suffix",
    ],
    structure: .text,
    run: { bytes in
      guard let tokenizer = try? Tokenizer(tokenizerJSON: bytes, file: "input") else { return }
      for text in texts {
        let ids = tokenizer.encode(text)
        promise(ids.allSatisfy { $0 >= 0 }, "ids aren't negative")
        _ = tokenizer.decode(ids)
        _ = tokenizer.decode(ids, skipSpecialTokens: false)
      }
      _ = Array(tokenizer.words)
    })

  /// A template, or a configuration with one.
  ///
  /// Accepted: renders a conversation, or says why not.
  static let chatTemplate = FuzzTarget(
    "chat-template", seeds: ["Fixtures/golden/chat"],
    dictionary: ["chat_template", "bos_token", "{% for", "%}", "{{", "}}", "{#", "-%}", "\\n"],
    structure: .text,
    run: { bytes in
      let messages = [
        ChatMessage(.system, "s"), ChatMessage(.user, "u"),
        ChatMessage(.assistant, "<think>t</think>a"),
      ]
      for (configuration, template) in [(bytes, nil), (nil, bytes)] as [([UInt8]?, [UInt8]?)] {
        let settings = try? TokenizerSettings(
          configuration: configuration, template: template, path: "input")
        let known = try? settings?.chatTemplate(path: "input")
        _ = try? known?.render(messages)
      }
    })
}
