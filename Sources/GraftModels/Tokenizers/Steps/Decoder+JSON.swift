import GraftCore

extension Decoder {
  /// Builds a decoder from the `decoder` of a `tokenizer.json`.
  init(_ json: JSONValue, _ reader: TokenizerReader) throws(ModelError) {
    switch try reader.kind(of: json, "decoder") {
    case "ByteLevel": self = .byteLevel
    case "ByteFallback": self = .byteFallback
    case "Fuse": self = .fuse
    case "Metaspace":
      let scheme = try PreTokenizer.Metaspace.PrependScheme(json, reader)
      let marker = json["replacement"]?.string?.unicodeScalars.first ?? "▁"
      self = .metaspace(marker: marker, dropsFirst: scheme != .never)
    case "Replace": self = .replace(try Normalizer(json, reader))
    case "Strip":
      self = .strip(
        content: Array((json["content"]?.string ?? " ").utf8),
        start: max(0, json["start"]?.int ?? 0), stop: max(0, json["stop"]?.int ?? 0))
    case "WordPiece":
      self = .wordPiece(
        prefix: Array((json["prefix"]?.string ?? "##").utf8),
        cleansUp: json["cleanup"]?.bool ?? true)
    case "BPEDecoder": self = .suffix(Array((json["suffix"]?.string ?? "</w>").utf8))
    case "Sequence":
      var parts: [Decoder] = []
      for part in json["decoders"]?.array ?? [] {
        parts.append(try Decoder(part, reader))
        try reader.check(stepCount: parts.count, growth: 1, "decoder")
      }
      self = .sequence(parts)
    case let kind: throw reader.unsupported("decoder", kind)
    }
    try reader.check(stepCount: stepCount, growth: growth, "decoder")
  }

  /// The steps, those of sequences counted.
  private var stepCount: Int {
    if case .sequence(let parts) = self { parts.reduce(0) { $0 + $1.stepCount } } else { 1 }
  }

  /// How many times as long a token may become.
  private var growth: Int {
    switch self {
    case .replace(let normalizer): normalizer.growth
    case .sequence(let parts): parts.reduce(1) { $0.saturatingProduct($1.growth) }
    default: 1
    }
  }
}
