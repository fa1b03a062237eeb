package import GraftCore

/// What a checkpoint says of itself beside its numbers: keys `general.…` of GGUF, text metadata of other formats.
package enum GGUFOrigin {
  /// The keys that say how the file is made, not where the model is from.
  private static let structural: Set<String> = [
    "general.architecture", "general.type", "general.file_type", "general.quantization_version",
    "general.alignment",
  ]

  /// What metadata without a key of GGUF is named by.
  private static let prefix = "graft.metadata."

  /// The bytes of a list's text: a list of any more is a text, as the tree of one is many times its size.
  private static let listBytes = 1 << 20

  /// The keys as text metadata.
  package static func metadata(of entries: [(key: String, value: GGUFValue)]) -> [MetadataEntry] {
    entries.compactMap { entry in
      guard isText(entry.key, entry.value) else { return nil }
      if entry.key.hasPrefix(prefix), let text = entry.value.string {
        return MetadataEntry(key: String(entry.key.dropFirst(prefix.count)), value: text)
      }
      if case .array(.strings(let texts)) = entry.value {
        let json = JSONValue.array(texts.map { .string($0) })
        return MetadataEntry(key: entry.key, value: json.serialized(indent: nil))
      }
      return MetadataEntry(key: entry.key, value: entry.value.description)
    }
  }

  /// Whether a key becomes text metadata: lists of numbers have no form there.
  private static func isText(_ key: String, _ value: GGUFValue) -> Bool {
    if key.hasPrefix(prefix), value.string != nil { return true }
    guard key.hasPrefix("general."), !structural.contains(key), !GGUFSampling.keys.contains(key)
    else { return false }
    if case .array(.strings) = value { return true }
    return value.array == nil
  }

  /// Whether text metadata has a key, or a file needs none to say it.
  static func isKept(_ key: String, _ value: GGUFValue) -> Bool {
    isText(key, value) || isOfTheFile(key)
  }

  /// Whether a key says what every directory of a model says, how it is sampled from, or how its tensors were quantized.
  static func isOfModel(_ key: String) -> Bool {
    structural.contains(key) || GGUFSampling.keys.contains(key) || key.hasPrefix("quantize.")
  }

  /// Whether a key says how a file is laid out, which its tensors tell wherever they are.
  private static func isOfTheFile(_ key: String) -> Bool {
    key.hasPrefix("split.")
      || ["general.alignment", "general.file_type", "general.quantization_version"].contains(key)
  }

  /// Whether a header can hold metadata under its key (gguf G-5).
  package static func canHold(_ entry: MetadataEntry) -> Bool {
    let isOwn = entry.key.hasPrefix("general.") && !structural.contains(entry.key)
    let byteCount = entry.key.utf8.count + (isOwn ? 0 : prefix.utf8.count)
    return byteCount <= GGUFLimits.keyBytes && !entry.key.utf8.contains(0)
  }

  /// Text metadata as keys, but for what no key can be made of.
  package static func entries(of metadata: [MetadataEntry]) -> [(key: String, value: GGUFValue)] {
    var entries: [(key: String, value: GGUFValue)] = []
    entries.reserveCapacity(metadata.count)
    // PyTorch's files say so, and nothing else.
    for entry in metadata
    where (entry.key != "format" || entry.value != "pt") && canHold(entry) {
      entries.append(Self.entry(of: entry))
    }
    return entries
  }

  private static func entry(of entry: MetadataEntry) -> (key: String, value: GGUFValue) {
    guard entry.key.hasPrefix("general."), !structural.contains(entry.key) else {
      return (prefix + entry.key, .string(entry.value))
    }
    if entry.key.hasSuffix(".count"), let count = UInt32(entry.value) {
      return (entry.key, .unsigned(UInt64(count), bits: 32))
    }
    if entry.value.utf8.first == UInt8(ascii: "["), entry.value.utf8.count <= listBytes,
      let texts = try? JSONValue.parse(Array(entry.value.utf8), file: entry.key).array?.map({
        $0.string
      }), !texts.contains(nil)
    {
      return (entry.key, .array(.strings(texts.compactMap { $0 })))
    }
    return (entry.key, .string(entry.value))
  }
}

/// How a model's makers sample from it: keys `general.sampling.…` of GGUF, `generation_config.json` of a directory.
package enum GGUFSampling {
  private static let table: [(name: String, key: String, isInteger: Bool)] = [
    ("temperature", "general.sampling.temp", false),
    ("top_k", "general.sampling.top_k", true), ("top_p", "general.sampling.top_p", false),
    ("min_p", "general.sampling.min_p", false),
    ("repetition_penalty", "general.sampling.penalty_repeat", false),
  ]

  /// The keys.
  static let keys = Set(table.map(\.key))
  /// The members of the configuration that have one.
  package static let names = Set(table.map(\.name))

  /// The keys that a configuration sets.
  static func entries(of generation: JSONValue) -> [(key: String, value: GGUFValue)] {
    table.compactMap { row -> (key: String, value: GGUFValue)? in
      guard let value = generation[row.name] else { return nil }
      guard row.isInteger else { return value.double.map { (row.key, .float32(Float($0))) } }
      return value.int.flatMap { Int32(exactly: $0) }.map {
        (row.key, .signed(Int64($0), bits: 32))
      }
    }
  }

  /// The members of the configuration that a file sets.
  static func members(of source: GGUFReader) -> [(key: String, value: JSONValue)] {
    let members = table.compactMap { row -> (key: String, value: JSONValue)? in
      if case .float32(let value) = source[row.key] { return (row.name, JSONValue(value)) }
      return source[row.key]?.int.map { (row.name, JSONValue($0)) }
    }
    return members.isEmpty ? [] : [("do_sample", true)] + members
  }
}
