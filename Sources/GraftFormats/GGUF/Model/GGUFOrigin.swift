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
      if entry.key.hasPrefix(prefix), let text = entry.value.string {
        return MetadataEntry(key: String(entry.key.dropFirst(prefix.count)), value: text)
      }
      guard entry.key.hasPrefix("general."), !structural.contains(entry.key),
        !GGUFSampling.keys.contains(entry.key)
      else { return nil }
      if case .array(.strings(let texts)) = entry.value {
        let json = JSONValue.array(texts.map { .string($0) })
        return MetadataEntry(key: entry.key, value: json.serialized(indent: nil))
      }
      guard entry.value.array == nil else { return nil }
      return MetadataEntry(key: entry.key, value: entry.value.description)
    }
  }

  /// Text metadata as keys.
  package static func entries(of metadata: [MetadataEntry]) -> [(key: String, value: GGUFValue)] {
    var entries: [(key: String, value: GGUFValue)] = []
    entries.reserveCapacity(metadata.count)
    // PyTorch's files say so, and nothing else.
    for entry in metadata where entry.key != "format" || entry.value != "pt" {
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
enum GGUFSampling {
  private static let table: [(name: String, key: String, isInteger: Bool)] = [
    ("temperature", "general.sampling.temp", false),
    ("top_k", "general.sampling.top_k", true), ("top_p", "general.sampling.top_p", false),
    ("min_p", "general.sampling.min_p", false),
    ("repetition_penalty", "general.sampling.penalty_repeat", false),
  ]

  /// The keys.
  static let keys = Set(table.map(\.key))
  /// The members of the configuration that have one.
  static let names = Set(table.map(\.name))

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
