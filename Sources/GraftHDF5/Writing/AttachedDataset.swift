internal import GraftCore

/// A dataset of the layout's own: metadata, a file, a shard's header, the vocabulary.
struct AttachedDataset {
  let dataset: PlannedDataset
  let content: HDF5Attachment

  private init(_ path: String, _ content: HDF5Attachment, dtype: DType = .u8) {
    dataset = PlannedDataset(
      place: PlannedPlace(base: LinkPath(path.split(separator: "/").map { Array($0.utf8) })),
      dimensions: [content.byteCount / dtype.layout.bytes], dtype: dtype)
    self.content = content
  }

  /// Everything that goes into a file beside the tensors.
  static func all(
    metadata: [MetadataEntry], files: [HDF5Attachment], shards: [HDF5Attachment],
    vocabulary: (bytes: HDF5Attachment, ends: HDF5Attachment)?, _ status: HDF5Status
  ) throws(StorageError) -> [AttachedDataset] {
    var result: [AttachedDataset] = []
    if !metadata.isEmpty {
      result.append(
        AttachedDataset(
          Reserved.metadata,
          HDF5Attachment(name: Reserved.metadata, bytes: try text(of: metadata, status))))
    }
    for (folder, attachments) in [(Reserved.shards, shards), (Reserved.files, files)] {
      let sorted = attachments.sorted {
        $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
      }
      for attachment in sorted {
        guard Directory.isSafeRelativePath(attachment.name) else {
          throw Directory.refusal(of: attachment.name, in: status.file)
        }
        result.append(AttachedDataset(folder + "/" + attachment.name, attachment))
      }
    }
    if let vocabulary {
      result.append(AttachedDataset(Reserved.vocabularyBytes, vocabulary.bytes))
      result.append(AttachedDataset(Reserved.vocabularyEnds, vocabulary.ends, dtype: .u64))
    }
    return result
  }

  /// Metadata as the text of a JSON object, which readers take whole.
  private static func text(
    of metadata: [MetadataEntry], _ status: HDF5Status
  ) throws(StorageError) -> [UInt8] {
    let byteCount = metadata.reduce(2) {
      $0 + [UInt8].byteCount(quoted: $1.key) + [UInt8].byteCount(quoted: $1.value) + 2
    }
    guard byteCount <= HDF5Limits.metadataBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of metadata (HDF5 H-18)", maximum: HDF5Limits.metadataBytes,
          found: "\(byteCount)"),
        file: status.file)
    }
    var writer = JSONWriter(indent: nil)
    writer.reserve(byteCount)
    writer.open(.object)
    for entry in metadata { writer.member(entry.key, .string(entry.value)) }
    writer.close()
    return writer.bytes
  }

  /// The tokens of a table, written down: their bytes, and where each ends.
  static func vocabulary(_ tokens: [[UInt8]]) -> (bytes: HDF5Attachment, ends: HDF5Attachment) {
    var end = 0
    let ends = tokens.flatMap { token in
      end += token.count
      return (0..<8).map { UInt8(truncatingIfNeeded: end >> (8 * $0)) }
    }
    return (
      HDF5Attachment(name: "vocabulary", bytes: tokens.flatMap { $0 }),
      HDF5Attachment(name: "vocabulary", bytes: ends)
    )
  }
}
