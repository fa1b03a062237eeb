internal import CHDF5
public import GraftCore

/// An HDF5 file, opened: Graft's own layout, or any tree of numeric datasets.
///
/// Tensors that are stored as they are get read without libhdf5; so do chunks, once the library has fetched
/// their encoded bytes.
public final class HDF5Reader: CheckpointReader {
  /// The format.
  public let format = CheckpointFormat.hdf5
  /// The path that was opened.
  public let path: String
  /// The tensors: in the order in which they were written, or by name in files of others.
  public let tensors: [TensorInfo]
  /// The text metadata: what the writer was given, or the root's text attributes in files of others.
  public let metadata: [MetadataEntry]
  /// The other files of the model directory, by name.
  public let files: [HDF5Attachment]
  /// The weight files that the tensors came from, by name, with the bytes before their tensor data.
  public let shards: [HDF5Attachment]
  private let store: DatasetStore
  private let datasets: [StoredDataset]
  private let vocabularyParts: (bytes: HDF5Attachment, ends: HDF5Attachment)?

  /// Whether a file begins like an HDF5 file.
  public static func recognizes(_ file: InputFile) throws(StorageError) -> Bool {
    try Superblock.find(in: file) != nil
  }

  /// Opens a file and describes everything in it.
  ///
  /// - Throws: ``StorageError`` when a rule of `Formats/hdf5/SPEC.md` is broken or the system fails.
  public init(path: String) throws(StorageError) {
    let input = try InputFile(path: path)
    try Superblock.check(input)
    let tree = try HDF5Library.enter { () throws(StorageError) in
      try OpenTree(input, HDF5Status(file: path, purpose: .reading))
    }
    let store = DatasetStore(input: input, file: tree.file)
    let contents = try TreeContents(tree, store)
    self.path = path
    self.store = store
    tensors = contents.tensors.map(\.info)
    datasets = contents.tensors.map(\.dataset)
    metadata = contents.metadata
    files = contents.files
    shards = contents.shards
    vocabularyParts = contents.vocabulary
  }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` (inside the tensor) on.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    try store.read(datasets[tensor], at: byteOffset, into: &buffer, tensor: tensors[tensor].name)
  }

  /// Where a tensor's bytes lie in one piece; nil for compressed and big-endian ones.
  public func extent(of tensor: Int) -> FileExtent? {
    guard case .contiguous(let offset) = datasets[tensor].storage,
      datasets[tensor].type.swappedBytes == 1
    else { return nil }
    return FileExtent(file: store.input, range: offset..<offset + datasets[tensor].byteCount)
  }

  /// The one file.
  public var inputs: [InputFile] { [store.input] }

  /// The tokens of an embedding table by row; nil when the file holds none.
  ///
  /// - Throws: ``StorageError`` when they can't be read or don't fit together.
  public func vocabulary() throws(StorageError) -> [[UInt8]]? {
    guard let parts = vocabularyParts else { return nil }
    let bytes = try parts.bytes.contents(atMost: HDF5Limits.textBytes, file: path)
    let table = try parts.ends.contents(atMost: HDF5Limits.textBytes, file: path)
    var tokens: [[UInt8]] = []
    var start = 0
    for entry in stride(from: 0, to: table.count - 7, by: 8) {
      let value = table[entry..<entry + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      guard let end = Int(exactly: value), end >= start, end <= bytes.count else {
        throw StorageError(
          .malformed(
            rule: "HDF5 H-19", expected: "rising ends up to \(bytes.count)", found: "\(value)"),
          file: path)
      }
      tokens.append(Array(bytes[start..<end]))
      start = end
    }
    return tokens
  }
}
