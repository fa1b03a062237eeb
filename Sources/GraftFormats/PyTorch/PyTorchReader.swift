public import GraftCore

/// A PyTorch file, opened: its pickle is read without executing anything, and every tensor found inside its storage.
///
/// Both forms are read, the archives since 1.6 and the stacked pickles before. Names are the keys of nested dictionaries and
/// the positions in lists, joined by dots; what isn't a tensor is metadata. The format and its numbered rules are in
/// `Formats/pytorch/SPEC.md`.
public struct PyTorchReader: StoredArrayReader {
  /// The open file.
  public let file: InputFile
  /// What isn't a tensor, by its name, as JSON.
  public let metadata: [MetadataEntry]
  private let cutKeys: [String]
  /// Tensors of kinds that aren't read, such as sparse ones.
  public let unreadable: [UnreadableTensor]
  /// The sets of tensors that are one and the same, by their positions.
  public let ties: [[Int]]
  /// The tensors as views of their storages.
  public let arrays: StoredArrays

  /// Validates an open file.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the tensor and the byte.
  public init(_ file: InputFile, limits: FormatLimits = .standard) throws(StorageError) {
    let start = try file.bytes(at: 0, count: min(file.byteCount, 4))
    if start == [0x50, 0x4B, 0x03, 0x04] {
      try self.init(ZipArchive(file, limits: limits), limits: limits)
    } else {
      let stack = try PyTorchStack(file, limits: limits)
      try self.init(stack.contents, of: file, nil, [], limits: limits)
    }
  }

  /// Reads an open archive.
  package init(_ archive: ZipArchive, limits: FormatLimits = .standard) throws(StorageError) {
    let form = try PyTorchArchive(archive, limits: limits)
    try self.init(form.contents, of: archive.file, archive, form.records, limits: limits)
  }

  private init(
    _ contents: PyTorchContents, of file: InputFile, _ archive: ZipArchive?,
    _ records: [Int], limits: FormatLimits
  ) throws(StorageError) {
    let found = try PyTorchTensors(contents, limits: limits)
    self.file = file
    arrays = StoredArrays(
      found.placements,
      members: archive.map { archive in
        ArrayMembers(found.storages.map { archive.members[records[$0]] }, of: archive)
      })
    (metadata, cutKeys) = (found.metadata, found.cutKeys)
    unreadable = found.unreadable
    ties = found.ties
  }

  /// What isn't kept of the metadata, in words.
  public var omissions: [String] { cutKeys.map { "the end of the metadata \($0)" } }

  /// PyTorch.
  public var format: CheckpointFormat { .pytorch }
}

extension PyTorchReader {
  /// The names of the tensors that a bare pickle describes, wherever their storages may be; for fuzzing without an archive around it.
  ///
  /// - Throws: ``StorageError`` with the broken rule.
  package static func tensorNames(
    inPickle bytes: [UInt8], limits: FormatLimits = .standard
  ) throws(StorageError) -> [TensorName] {
    var machine = PickleMachine(bytes, file: "pickle", base: 0, limits: limits)
    let root = try machine.run()
    return try PickleTree(root, of: machine, limits: limits).tensors.map(\.name)
  }
}
