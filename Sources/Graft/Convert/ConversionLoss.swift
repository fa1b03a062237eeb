internal import GraftCore
internal import GraftHDF5

/// Something of a source that the target of a conversion has no place for.
///
/// A conversion names what it leaves out, and does so only when ``ConversionOptions/allowsLoss`` says that it may; of
/// ``ConversionReport/notes`` it does in any case.
public struct ConversionLoss: Sendable, Hashable {
  /// What is left out, for example `README.md`, or `the sliding window of layers 0, 2 and 4`.
  public let what: String

  /// Names a loss.
  public init(_ what: String) { self.what = what }

  /// Names metadata by its key, or by the beginning of one that is longer than anyone reads.
  static func metadata(_ key: String) -> ConversionLoss {
    ConversionLoss("the metadata " + beginning(of: key))
  }

  /// Names a key of a file, likewise.
  static func key(_ key: String, of file: String) -> ConversionLoss {
    ConversionLoss("\(beginning(of: key)) of \(file)")
  }

  /// Names the keys of a file that nothing depends on, in one line; nothing where there are none.
  static func bookkeeping(_ keys: [String], of file: String) -> [ConversionLoss] {
    guard !keys.isEmpty else { return [] }
    let names = keys.map { beginning(of: $0) }.joined(separator: ", ")
    return [ConversionLoss("bookkeeping of \(file): " + names)]
  }

  private static func beginning(of key: String) -> String {
    let start = String(key.unicodeScalars.prefix(80))
    return start.utf8.count < key.utf8.count ? start + "…" : start
  }
}

extension ConversionOptions {
  /// Checks that a form may be written that can't hold everything.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` that names what would be lost, unless that is allowed.
  func check(_ losses: [ConversionLoss], writing form: OutputForm, of source: String)
    throws(StorageError)
  {
    guard !losses.isEmpty, !allowsLoss else { return }
    throw StorageError(
      .notRepresentable(what: losses.map(\.what).listed, inFormat: form.description), file: source,
      remedy: "name a target of another form, or give --allow-loss to leave it out")
  }
}

extension [String] {
  /// Names as a message lists them: the first ones, and how many more there are.
  var listed: String {
    let rest = count > 4 ? [Quantity.count(count - 4) + " more"] : []
    return (prefix(4).map(\.escapedShortened) + rest).joined(separator: ", ")
  }
}

extension ConversionSource {
  /// What a form has no place for.
  func losses(in form: OutputForm) -> [ConversionLoss] {
    let unread = unreadable.map { ConversionLoss("tensor \($0.name), \($0.kind)") }
    let others = files.map { ConversionLoss($0.name) }
    switch form {
    case .safetensorsFile: return unread + others + omissions
    case .keras: return unread + (keras?.losses ?? others) + omissions
    case .gguf: return unread + (gguf?.losses ?? []) + omissions
    case .pyTorchDirectory: return unread + omissions + metadataLosses()
    case .pyTorchFile, .numPy: return unread + others + omissions + metadataLosses()
    case .wordVectors:
      // What Keras calls layers is as little of a table as what its tensors are called.
      return unread + others + omissions + metadataLosses(besides: KerasKey.all)
    case .directory, .hdf5: return unread + omissions
    }
  }

  /// The metadata, but for names that the form keeps in its own way, and the words by which safetensors and Keras's layouts are known.
  private func metadataLosses(besides keys: Set<String> = []) -> [ConversionLoss] {
    let names = Set(copies.map(\.name))
    let known = keys.union(["format", KerasKey.layout])
    return metadata.filter { !known.contains($0.key) && !names.contains(TensorName($0.key)) }
      .map { ConversionLoss.metadata($0.key) }
  }
}
