internal import GraftCore

/// What of a GGUF file's keys neither text metadata has nor, of a model, its directory.
package struct GGUFOmissions: Sendable, Equatable {
  /// An architecture that no directory has.
  package private(set) var architecture: String?
  /// Keys that no text metadata can be made of.
  package private(set) var metadata: [String] = []
  /// Keys of a model's architecture and tokenizer that may change what is computed.
  package private(set) var keys: [String] = []
  /// Those that change nothing.
  package private(set) var bookkeeping: [String] = []

  /// How a key of an architecture or a tokenizer stands to the files of a directory.
  enum Standing {
    /// The files say it, or it says what would be so without it.
    case held
    /// They don't, and nothing depends on it.
    case bookkeeping
    /// They don't, and something may depend on it.
    case lost
  }

  /// Looks through a file whose tensors keep their own names.
  package init(ofPlain source: GGUFReader) {
    for entry in source.entries where !GGUFOrigin.isKept(entry.key, entry.value) {
      if entry.key == "general.architecture", let name = entry.value.string {
        architecture = name
      } else {
        metadata.append(entry.key)
      }
    }
  }

  /// Looks through a model that becomes a directory.
  init(of source: GGUFReader, _ parameters: GGUFParameters, hasTokenizer: Bool) {
    let prefix = parameters.architecture.rawValue + "."
    // Where nothing is scaled, nothing else that is said of scaling counts.
    let isUnscaled = source[prefix + "rope.scaling.type"]?.string == "none"
    let known = parameters.knownKeys
    for (key, value) in source.entries
    where !GGUFOrigin.isKept(key, value) && !GGUFOrigin.isOfModel(key) {
      let standing: Standing
      if key.hasPrefix(prefix) {
        let name = String(key.dropFirst(prefix.count))
        standing =
          isUnscaled && name.hasPrefix("rope.scaling.")
          ? .held : parameters.standing(of: name, value, known: known)
      } else if key.hasPrefix("tokenizer.") {
        standing = GGUFTokenizerKeys.standing(of: key, value, hasTokenizer: hasTokenizer)
      } else {
        metadata.append(key)
        continue
      }
      switch standing {
      case .held: break
      case .bookkeeping: bookkeeping.append(key)
      case .lost: keys.append(key)
      }
    }
  }
}
