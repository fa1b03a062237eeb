public import GraftCore
internal import Synchronization

/// A PyTorch file, opened: its pickle is read without executing anything, and every tensor found inside its storage.
///
/// Both forms are read, the archives since 1.6 and the stacked pickles before. Names are the keys of nested dictionaries and
/// the positions in lists, joined by dots; what isn't a tensor is metadata. The format and its numbered rules are in
/// `Formats/pytorch/SPEC.md`.
public struct PyTorchReader: CheckpointReader {
  /// The open file.
  public let file: InputFile
  /// What isn't a tensor, by its name, as JSON.
  public let metadata: [MetadataEntry]
  /// Tensors of kinds that aren't read, such as sparse ones.
  public let unreadable: [UnreadableTensor]
  /// The sets of tensors that are one and the same, by their positions.
  public let ties: [[Int]]
  private let arrays: StoredArrays
  private let archive: ZipArchive?
  /// The record that holds each tensor's storage.
  private let records: [ZipMember]
  private let checked = CheckedRecords()

  /// Opens and validates a file.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the tensor and the byte.
  public init(path: String, limits: FormatLimits = .standard) throws(StorageError) {
    try self.init(InputFile(path: path), limits: limits)
  }

  /// Validates an open file.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the tensor and the byte.
  public init(_ file: InputFile, limits: FormatLimits = .standard) throws(StorageError) {
    let start = try file.bytes(at: 0, count: min(file.byteCount, 4))
    if start == [0x50, 0x4B, 0x03, 0x04] {
      try self.init(ZipArchive(file, limits: limits), limits: limits)
    } else {
      let stack = try PyTorchStack(file, limits: limits)
      try self.init(stack.contents, of: file, nil, [:], limits: limits)
    }
  }

  /// Reads an open archive.
  package init(_ archive: ZipArchive, limits: FormatLimits = .standard) throws(StorageError) {
    let form = try PyTorchArchive(archive, limits: limits)
    try self.init(form.contents, of: archive.file, archive, form.records, limits: limits)
  }

  private init(
    _ contents: PyTorchContents, of file: InputFile, _ archive: ZipArchive?,
    _ records: [String: ZipMember], limits: FormatLimits
  ) throws(StorageError) {
    let found = try PyTorchTensors(contents, limits: limits)
    self.file = file
    self.archive = archive
    arrays = found.arrays
    metadata = found.metadata
    unreadable = found.unreadable
    ties = found.ties
    self.records = archive == nil ? [] : found.keys.compactMap { records[$0] }
  }

  /// PyTorch.
  public var format: CheckpointFormat { .pytorch }

  /// The path that was opened.
  public var path: String { file.path }

  /// The tensors in the order of the pickle.
  public var tensors: [TensorInfo] { arrays.infos }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` on, in the order of its shape.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    try arrays.read(tensor, at: byteOffset, into: &buffer)
  }

  /// The file.
  public var inputs: [InputFile] { [file] }

  /// Where a tensor's bytes lie, where they do: not of a view that is strided.
  public func extent(of tensor: Int) -> FileExtent? { arrays.extent(of: tensor) }

  /// Compares the checksum of the record that a tensor lies in, once for each.
  public func checkStoredBytes(of tensor: Int) throws(StorageError) {
    guard let archive else { return }
    try checked.check(records[tensor], of: archive)
  }
}

/// The members whose checksums were compared already.
package final class CheckedRecords: Sendable {
  private let names = Mutex<Set<TensorName>>([])

  /// None yet.
  package init() {}

  /// Compares a member's checksum unless that was done, or will be: what is unpacked to its end is compared there.
  package func check(_ member: ZipMember, of archive: ZipArchive) throws(StorageError) {
    guard !member.isDeflated, names.withLock({ $0.insert(member.name).inserted }) else { return }
    try archive.check(member)
  }
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
