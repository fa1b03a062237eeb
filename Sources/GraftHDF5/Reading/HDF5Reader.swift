public import GraftCore

/// An HDF5 file, opened: Graft's own layout, a file of Keras, or any tree of numeric datasets.
///
/// Everything is read here, without libhdf5, which crashes on hostile files: each part of the structure is held
/// against the rules of `Formats/hdf5/SPEC.md` before it is used. Any number of threads may read.
public final class HDF5Reader: CheckpointReader {
  /// The format.
  public let format = CheckpointFormat.hdf5
  /// The path that was opened.
  public let path: String
  /// The tensors: in the order in which they were written, in Keras's order, or by name in files of others.
  public let tensors: [TensorInfo]
  /// The text metadata: what the writer was given; in files of others the root's text attributes, and what Keras
  /// stores beside the tensors.
  public let metadata: [MetadataEntry]
  /// The other files of the model directory, by name.
  public let files: [HDF5Attachment]
  /// The weight files that the tensors came from, by name, with the bytes before their tensor data.
  public let shards: [HDF5Attachment]
  /// How Keras laid the file out; nil for other files.
  public let kerasLayout: KerasLayout?
  /// What of the file conversions to other formats leave out, in words: attributes that are neither metadata nor what Graft and Keras
  /// write, and groups with nothing in them.
  public let omissions: [String]
  private let annotated: AnnotatedTree
  private let store: DatasetStore
  private let datasets: [StoredDataset]
  private let vocabularyParts: (bytes: HDF5Attachment, ends: HDF5Attachment)?

  /// Opens a file and describes everything in it.
  ///
  /// - Throws: ``StorageError`` when a rule of `Formats/hdf5/SPEC.md` is broken or the system fails.
  public convenience init(path: String) throws(StorageError) {
    let input = try InputFile(path: path)
    try self.init(input, 0..<input.byteCount)
  }

  /// Opens a file that lies inside another one, such as the weights of a `.keras` archive.
  ///
  /// - Parameter region: the bytes of the file inside the other; not past its end.
  /// - Throws: ``StorageError`` when a rule of `Formats/hdf5/SPEC.md` is broken or the system fails.
  public init(_ input: InputFile, _ region: Range<Int>) throws(StorageError) {
    precondition(
      region.lowerBound >= 0 && region.upperBound <= input.byteCount, "a region of the file")
    let tree = try OpenTree(input, region)
    let contents = try TreeContents(tree)
    path = input.path
    store = tree.store
    kerasLayout = tree.keras?.layout
    omissions = tree.omissions
    annotated = tree.annotated
    tensors = contents.tensors
    datasets = contents.datasets
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

  /// What another file can hold as well, for the tensors at some places, which that file will have in this order.
  ///
  /// - Parameter inKeras: whether it is a file of Keras, which alone gets the groups that Keras makes for layers without variables.
  public func annotations(of tensors: [Int], inKeras: Bool) -> HDF5Annotations {
    let hasAny = tensors.contains { datasets[$0].isAnnotated }
    let headers =
      hasAny ? tensors.map { datasets[$0].isAnnotated ? datasets[$0].address : nil } : []
    return HDF5Annotations(annotated, datasets: headers, inKeras: inKeras)
  }

  /// Whether the file holds the tokens of an embedding table.
  public var hasVocabulary: Bool { vocabularyParts != nil }

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
