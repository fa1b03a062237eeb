internal import GraftCore

/// How text is cut into words before byte-level pairs are merged, by the name in `tokenizer.ggml.pre`.
struct GGUFTextSplit {
  private enum Way {
    /// GPT-2's expression, which the ByteLevel step has built in.
    case gpt2
    /// The same, after each digit has been cut out.
    case digits
    /// An expression of the model's own.
    case pattern(String)
  }

  private let way: Way
  /// Whether whole words that are tokens skip the merges.
  let ignoresMerges: Bool
  /// Whether a text begins with the first token, where the file doesn't say.
  let addsBegin: Bool
  private let composes: Bool

  /// The name of the way that a `tokenizer.json` splits text; nil for one that GGUF has no name for.
  static func name(splitting tokenizer: JSONValue) -> String? {
    let steps = Self.steps(tokenizer["pre_tokenizer"] ?? .null)
    let composes = tokenizer["normalizer"]?["type"]?.string == "NFC"
    guard composes || (tokenizer["normalizer"] ?? .null).isNull else { return nil }
    let ignoresMerges = tokenizer["model"]?["ignore_merges"]?.bool ?? false
    return ["gpt-2", "smollm", "llama-bpe", "qwen2", "tekken"].first { name in
      guard let split = named(name) else { return false }
      return Self.steps(split.json) == steps && split.composes == composes
        && split.ignoresMerges == ignoresMerges
    }
  }

  /// The steps of a pre-tokenizer by what they do; names and members without effect left out.
  private static func steps(_ json: JSONValue) -> [JSONValue] {
    switch json["type"]?.string {
    case "Sequence": (json["pretokenizers"]?.array ?? []).flatMap(steps)
    case "ByteLevel":
      [
        [
          "bytes": .bool(json["use_regex"]?.bool ?? true),
          "prefix": .bool(json["add_prefix_space"]?.bool ?? true),
        ]
      ]
    case "Digits": [["digits": .bool(json["individual_digits"]?.bool ?? false)]]
    default: [json]
    }
  }

  /// The split of a name; nil for a name that isn't known, since a wrong split gives wrong ids in silence.
  static func named(_ name: String) -> GGUFTextSplit? {
    switch name {
    case "default", "gpt-2", "gpt2", "phi-2", "mpt", "olmo", "dolma", "jais":
      GGUFTextSplit(way: .gpt2, ignoresMerges: false, addsBegin: false, composes: false)
    case "smollm", "starcoder", "refact", "command-r", "codeshell":
      GGUFTextSplit(way: .digits, ignoresMerges: false, addsBegin: false, composes: false)
    case "llama-bpe", "llama3", "llama-v3":
      GGUFTextSplit(
        way: .pattern(contractions + words + #"|\p{N}{1,3}"# + rest), ignoresMerges: true,
        addsBegin: true, composes: false)
    case "qwen2", "deepseek-r1-qwen":
      GGUFTextSplit(
        way: .pattern(contractions + words + #"|\p{N}"# + rest), ignoresMerges: false,
        addsBegin: false, composes: true)
    case "tekken":
      GGUFTextSplit(
        way: .pattern(cased), ignoresMerges: true, addsBegin: true, composes: false)
    default: nil
    }
  }

  private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let words = #"|[^\r\n\p{L}\p{N}]?\p{L}+"#
  private static let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let cased =
    #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
    + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
    + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// Qwen's texts are composed first.
  var normalizer: JSONValue { composes ? ["type": "NFC"] : .null }

  /// The `pre_tokenizer` of `tokenizer.json`.
  var json: JSONValue {
    func bytes(splitting: Bool) -> JSONValue {
      [
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
        "use_regex": .bool(splitting),
      ]
    }
    let steps: [JSONValue]
    switch way {
    case .gpt2: return bytes(splitting: true)
    case .digits: steps = [["type": "Digits", "individual_digits": true], bytes(splitting: true)]
    case .pattern(let pattern):
      steps = [
        [
          "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated",
          "invert": false,
        ], bytes(splitting: false),
      ]
    }
    return ["type": "Sequence", "pretokenizers": .array(steps)]
  }
}
