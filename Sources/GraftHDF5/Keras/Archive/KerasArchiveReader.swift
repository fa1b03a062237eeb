public import GraftCore
internal import GraftFormats

/// A `.keras` archive of Keras 3, opened: the tensors of the weights inside, and the configuration as a file.
///
/// Stored weights are read where they lie in the archive; deflated ones are unpacked into a file without a name. Nothing that the
/// configuration names is run. The format and its numbered rules are in `Formats/keras/SPEC.md`.
public final class KerasArchiveReader: CheckpointReader {
  /// The format.
  public let format = CheckpointFormat.keras
  /// The open file.
  public let file: InputFile
  /// The members beside the weights: configuration, metadata and assets.
  public let files: [HDF5Attachment]
  private let archive: ZipArchive
  private let weights: HDF5Reader
  private let checked = CheckedRecords()

  /// Opens and validates an archive.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the member and the byte.
  public convenience init(path: String) throws(StorageError) {
    try self.init(InputFile(path: path))
  }

  /// Validates an open file.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the member and the byte.
  public init(_ file: InputFile) throws(StorageError) {
    let archive = try ZipArchive(file)
    try Self.checkMembers(of: archive)
    var files: [HDF5Attachment] = []
    for member in archive.members where member.name != KerasMember.weights {
      switch member.name {
      case KerasMember.metadata:
        files.append(
          try Self.object(member, with: [], in: archive, rule: "K-3", KerasMember.metadataBytes))
      case KerasMember.configuration:
        files.append(
          try Self.object(
            member, with: KerasModel.keys, in: archive, rule: "K-2",
            KerasMember.configurationBytes))
      default: files.append(HDF5Attachment(member, in: archive))
      }
    }
    weights = try Self.weights(of: archive)
    self.file = file
    self.archive = archive
    self.files = files
  }

  /// The file at the path that was opened.
  public var path: String { file.path }

  /// The tensors in Keras's order.
  public var tensors: [TensorInfo] { weights.tensors }

  /// What Keras stores beside the tensors.
  public var metadata: [MetadataEntry] { weights.metadata }

  /// What of the weights conversions to other formats leave out, in words.
  public var omissions: [String] { weights.omissions }

  /// What another file can hold as well, see ``HDF5Reader/annotations(of:inKeras:)``.
  public func annotations(of tensors: [Int], inKeras: Bool) -> HDF5Annotations {
    weights.annotations(of: tensors, inKeras: inKeras)
  }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` (inside the tensor) on.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    try weights.read(tensor, at: byteOffset, into: &buffer)
  }

  /// Where a tensor's bytes lie in one piece.
  public func extent(of tensor: Int) -> FileExtent? { weights.extent(of: tensor) }

  /// The archive, and what its weights were unpacked to.
  public var inputs: [InputFile] { [file] + weights.inputs.filter { $0 !== file } }

  /// Compares the checksums of the weights and the assets, once.
  public func checkStoredBytes(of tensor: Int) throws(StorageError) {
    for member in archive.members { try checked.check(member, of: archive) }
  }

  // MARK: - Members

  private static func checkMembers(of archive: ZipArchive) throws(StorageError) {
    func malformed(_ rule: String, _ expected: String, _ found: String, at offset: Int?)
      -> StorageError
    {
      StorageError(
        .malformed(rule: "keras \(rule)", expected: expected, found: found),
        file: archive.file.path, offset: offset)
    }
    for member in archive.members {
      guard member.name != KerasMember.arrays else {
        throw StorageError(
          .unsupported(feature: "weights (keras K-4)", found: member.name.text),
          file: archive.file.path, offset: member.stored.lowerBound,
          remedy: "load the model in Keras and save it there again")
      }
      guard KerasMember.isKnown(member.name.text) else {
        throw malformed(
          "K-1", "config.json, metadata.json, model.weights.h5 and what is below assets",
          member.name.text, at: member.stored.lowerBound)
      }
      guard member.isDeflated, member.byteCount > KerasMember.inflatedBytes,
        member.byteCount / KerasMember.expansion > archive.file.byteCount
      else { continue }
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a deflated member for each byte of the archive (keras K-5)",
          maximum: KerasMember.expansion, found: "\(member.byteCount) bytes of \(member.name)"),
        file: archive.file.path, offset: member.stored.lowerBound)
    }
    guard archive[KerasMember.configuration] != nil else {
      throw malformed("K-2", "the member config.json", "none", at: nil)
    }
  }

  /// A member that is a JSON object with some keys, its checksum compared.
  private static func object(
    _ member: ZipMember, with keys: [String], in archive: ZipArchive, rule: String, _ limit: Int
  ) throws(StorageError) -> HDF5Attachment {
    guard member.byteCount <= limit else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of \(member.name) (keras \(rule))", maximum: limit,
          found: "\(member.byteCount)"),
        file: archive.file.path, offset: member.stored.lowerBound)
    }
    let bytes = try archive.contents(of: member, atMost: limit)
    var missing = keys
    var defect: String?
    do throws(StorageError) {
      // Token by token: a tree of a large text would be many times its size.
      var scanner = JSONScanner(bytes, file: archive.file.path)
      var token = try scanner.next()
      if token.kind != .objectStart { defect = "another value" }
      while token.kind != .end {
        token = try scanner.next()
        guard token.kind == .key, scanner.depth == 1 else { continue }
        missing.removeAll { scanner.matches(token, $0) }
      }
      if defect == nil, let key = missing.first { defect = "no \(key)" }
    } catch {
      defect = "\(error.diagnosis.summary) at its byte \(error.offset ?? 0)"
    }
    if let defect {
      throw StorageError(
        .malformed(
          rule: "keras \(rule)",
          expected: (["a JSON object"] + keys).joined(separator: " with "),
          found: "\(defect) in \(member.name)"),
        file: archive.file.path, offset: member.stored.lowerBound)
    }
    return HDF5Attachment(name: member.name.text, bytes: bytes)
  }

  private static func weights(of archive: ZipArchive) throws(StorageError) -> HDF5Reader {
    guard let member = archive[KerasMember.weights] else {
      throw StorageError(
        .malformed(rule: "keras K-4", expected: "the member model.weights.h5", found: "none"),
        file: archive.file.path)
    }
    let reader: HDF5Reader
    if member.isDeflated {
      let name = archive.file.path + "/" + member.name.text
      let unpacked = try OutputFile(namelessFor: name)
      try archive.unpack(member, to: unpacked)
      reader = try HDF5Reader(
        try InputFile(readingBack: unpacked, as: name), 0..<member.byteCount)
    } else {
      reader = try HDF5Reader(archive.file, member.stored)
    }
    guard reader.kerasLayout == .weights || reader.isBare else {
      throw StorageError(
        .malformed(
          rule: "keras K-6", expected: "weights in \(KerasLayout.weights.words)",
          found: "another HDF5 file in \(member.name)"),
        file: archive.file.path, offset: member.stored.lowerBound)
    }
    return reader
  }
}

extension HDF5Reader {
  /// Whether the file holds nothing at all, as that of a model without weights does.
  fileprivate var isBare: Bool { tensors.isEmpty && files.isEmpty && shards.isEmpty }
}
