/// The formats that a checkpoint can be written down in.
public enum CheckpointFormat: String, Sendable, CaseIterable {
  case safetensors
  case gguf
  case hdf5
  /// An archive of Keras 3: configuration and weights.
  case keras
  case pytorch
  case numpy
  case word2vec
  case glove
  case fastText = "fasttext"
}

/// A named set of tensors in some format, opened: the header is validated, no tensor byte is read yet.
///
/// After a successful open nothing re-checks. Implementations are immutable and read with `pread`.
public protocol CheckpointReader: Sendable {
  /// The format.
  var format: CheckpointFormat { get }
  /// The path that was opened.
  var path: String { get }
  /// The tensors in file order.
  var tensors: [TensorInfo] { get }
  /// Text metadata in file order: safetensors' `__metadata__`, GGUF's key-values as text, HDF5's attributes.
  var metadata: [MetadataEntry] { get }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` (inside the tensor) on.
  ///
  /// - Throws: ``StorageError`` when the file ends early or can't be read.
  func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)

  /// Where a tensor's bytes lie in a file as one piece, for copying and mapping; nil when they don't
  /// (compressed, or text).
  func extent(of tensor: Int) -> FileExtent?

  /// The elements of a tensor that are made at a time, where reading makes them: tiles best begin at multiples of it.
  func grain(of tensor: Int) -> Int

  /// The open files that tensors are read from, each once.
  var inputs: [InputFile] { get }

  /// The sets of tensors that the file says are one and the same, by their positions, the first of each the one that counts.
  var ties: [[Int]] { get }

  /// Tensors that the file holds and that can't be read, because no dtype or layout here is theirs.
  var unreadable: [UnreadableTensor] { get }

  /// Holds what is stored of a tensor against the checksum that the file keeps, where it keeps one.
  ///
  /// - Throws: ``StorageError`` when they differ.
  func checkStoredBytes(of tensor: Int) throws(StorageError)
}

/// A tensor that is there and can't be read.
public struct UnreadableTensor: Sendable, Hashable {
  /// Its name.
  public let name: TensorName
  /// What it is, such as "a sparse tensor".
  public let kind: String

  /// Names a tensor and what it is.
  public init(name: TensorName, kind: String) {
    self.name = name
    self.kind = kind
  }
}

extension CheckpointReader {
  /// Elements are where they are, one by one.
  public func grain(of tensor: Int) -> Int { 1 }

  /// No tensors are known to be one.
  public var ties: [[Int]] { [] }

  /// Every tensor can be read.
  public var unreadable: [UnreadableTensor] { [] }

  /// Files without checksums have nothing to compare.
  public func checkStoredBytes(of tensor: Int) throws(StorageError) {}
}

/// A run of bytes in an open file.
public struct FileExtent: Sendable {
  /// The file.
  public let file: InputFile
  /// The bytes.
  public let range: Range<Int>

  /// Names a run of bytes.
  public init(file: InputFile, range: Range<Int>) {
    self.file = file
    self.range = range
  }
}

/// One key and its text.
public struct MetadataEntry: Sendable, Hashable {
  /// The key.
  public let key: String
  /// The value.
  public let value: String

  /// Makes an entry.
  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}

extension CheckpointReader {
  /// The files of all tensors that lie in one as a piece.
  public var inputs: [InputFile] {
    var inputs: [InputFile] = []
    for tensor in tensors.indices {
      guard let file = extent(of: tensor)?.file, file !== inputs.last else { continue }
      if !inputs.contains(where: { $0 === file }) { inputs.append(file) }
    }
    return inputs
  }

  /// The position of a tensor by name; linear, so callers that ask often build their own index.
  public func index(of name: TensorName) -> Int? { tensors.firstIndex { $0.name == name } }

  /// A whole tensor in memory of its own, for tensors that are known to be small.
  public func contents(of tensor: Int) throws(StorageError) -> MemorySlice {
    let info = tensors[tensor]
    let slice = try MemorySlice(allocating: info.dtype, info.shape)
    try slice.memory.withMutableBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
      var part = bytes._mutatingExtracting(0..<info.byteCount)
      try read(tensor, at: 0, into: &part)
    }
    return slice
  }
}
