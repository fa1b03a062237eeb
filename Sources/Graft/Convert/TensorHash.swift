internal import GraftCore
internal import GraftFormats

/// The SHA-256 of all tensor bytes that sd-scripts keeps in the metadata of a safetensors file.
///
/// It is true of one file: another form, dtype or order has another one.
struct TensorHash {
  static let key = "sshs_model_hash"
  private let tensors: [TensorInfo]
  private let metadata: [MetadataEntry]

  /// The hash that a planned file is to have; nil where its metadata have none.
  init?(of tensors: [TensorInfo], _ metadata: [MetadataEntry]) {
    guard metadata.contains(where: Self.isHash) else { return nil }
    (self.tensors, self.metadata) = (tensors, metadata)
  }

  /// The metadata of a result: with room for the hash where the form is one safetensors file, else without it, which is noted.
  static func settled(
    _ metadata: [MetadataEntry], in form: OutputForm
  ) -> (metadata: [MetadataEntry], notes: [ConversionLoss]) {
    guard metadata.contains(where: isHash) else { return (metadata, []) }
    guard form == .safetensorsFile else {
      return (
        metadata.filter { !isHash($0) },
        [ConversionLoss("\(ConversionLoss.metadata(key).what), a hash of the source's bytes")]
      )
    }
    return (replaced(in: metadata, by: String(repeating: "0", count: digitCount)), [])
  }

  /// What is noted of a source with a hash of other bytes, which the result doesn't have.
  static func corrections(
    of source: any CheckpointReader
  ) throws(StorageError) -> [ConversionLoss] {
    guard let hash = try compared(source), !hash.isRight else { return [] }
    return [
      ConversionLoss(
        "\(ConversionLoss.metadata(key).what), which isn't the hash of the source's bytes")
    ]
  }

  /// The hash that a safetensors file states, and that of its bytes; nil for other files, and those without one.
  static func compared(
    _ source: any CheckpointReader
  ) throws(StorageError) -> (file: InputFile, stated: String, found: String, isRight: Bool)? {
    guard source.format == .safetensors, let stated = source.metadataText(key), !stated.isEmpty,
      source.inputs.count == 1, let file = source.inputs.first,
      let start = source.tensors.indices.lazy.compactMap({ source.extent(of: $0) })
        .map(\.range.lowerBound).min()
    else { return nil }
    let found = try text(of: file, from: start)
    return (file, stated, found, found == stated.lowercased())
  }

  /// Writes the hash into the header of a file whose tensors are complete.
  func write(to output: OutputFile) throws(StorageError) {
    func header(_ metadata: [MetadataEntry]) throws(StorageError) -> [UInt8] {
      try SafetensorsLayout(tensors, metadata: metadata, file: output.target, limits: .standard)
        .header
    }
    let start = try header(metadata).count
    let written = try InputFile(readingBack: output, as: output.target)
    let hash = try Self.text(of: written, from: start)
    // As many digits as there was room for: no tensor moves.
    try output.write(header(Self.replaced(in: metadata, by: hash)), at: 0)
  }

  /// The hash of a file's bytes from its first tensor on.
  static func text(of file: InputFile, from start: Int) throws(StorageError) -> String {
    var hash = SHA256()
    let tile = try Memory(byteCount: tileBytes)
    for position in stride(from: start, to: file.byteCount, by: tileBytes) {
      let count = min(tileBytes, file.byteCount - position)
      try tile.withMutableBytes { (whole: inout MutableRawSpan) throws(StorageError) in
        var part = whole._mutatingExtracting(0..<count)
        try file.read(at: position, into: &part)
      }
      hash.combine(tile.bytes.extracting(0..<count))
    }
    return hash.text
  }

  private static let tileBytes = 1 << 20
  private static let digitCount = 64

  private static func isHash(_ entry: MetadataEntry) -> Bool {
    entry.key == key && !entry.value.isEmpty
  }

  private static func replaced(
    in metadata: [MetadataEntry], by hash: String
  ) -> [MetadataEntry] {
    metadata.map { isHash($0) ? MetadataEntry(key: key, value: hash) : $0 }
  }
}
