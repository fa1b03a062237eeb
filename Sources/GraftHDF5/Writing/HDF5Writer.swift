internal import CHDF5
public import GraftCore
internal import Synchronization

/// A checkpoint being written as HDF5, in the layout of `Formats/hdf5/SPEC.md`.
///
/// The whole structure exists when the initializer returns. Tensors stored as they are then take their bytes
/// without libhdf5, from any thread; compressed ones are gathered into chunks, which reach the file in the order
/// in which they fill up, so that one order of writing gives one file.
public final class HDF5Writer: CheckpointWriter {
  /// The tensors that were announced, in order.
  public let tensors: [TensorInfo]
  private let output: OutputFile
  private let file: OpenFile
  /// The tensors' datasets, then those of the files inside.
  private let places: [Place]
  private let level: Int32
  private let chunks = ChunkBuffers()

  /// Where a dataset's bytes go.
  enum Place {
    /// There are none.
    case nowhere
    /// In one piece from an offset of the file on.
    case contiguous(offset: Int)
    /// Through the library, chunk by chunk.
    case chunked(ChunkGrid, dataset: hid_t)
  }

  /// Lays the file out and writes everything but the tensors' bytes.
  ///
  /// - Parameters:
  ///   - output: an empty file, of an ``AtomicFile`` or ``AtomicDirectory``.
  ///   - files: the other files of the model directory, kept byte for byte.
  ///   - shards: for every weight file that the tensors come from, its name and the bytes before its tensor data,
  ///     from which it can be rebuilt exactly.
  ///   - vocabulary: the tokens of an embedding table, by row.
  ///   - vocabularyFiles: the same, written down: the tokens' bytes, and where each ends as little-endian u64.
  /// - Throws: ``StorageError`` when names collide, a name can't be held, or the system fails.
  public init(
    _ output: OutputFile, tensors: [TensorInfo], metadata: [MetadataEntry] = [],
    files: [HDF5Attachment] = [], shards: [HDF5Attachment] = [], vocabulary: [[UInt8]]? = nil,
    vocabularyFiles: (bytes: HDF5Attachment, ends: HDF5Attachment)? = nil,
    compression: HDF5Compression = .none
  ) throws(StorageError) {
    let status = HDF5Status(file: output.target, purpose: .writing)
    var isCompressed = false
    var level: Int32 = 0
    if case .zstd(let chosen) = compression {
      (isCompressed, level) = (true, Int32(min(max(chosen, 1), 22)))
    }
    let attachments = try AttachedDataset.all(
      metadata: metadata, files: files, shards: shards,
      vocabulary: vocabularyFiles ?? vocabulary.map(AttachedDataset.vocabulary), status)
    let plan = try TreeBuilder.datasets(for: tensors, status) + attachments.map(\.dataset)
    (self.file, self.places) = try HDF5Library.enter { () throws(StorageError) in
      var builder = try TreeBuilder(output.path, status, level: isCompressed ? level : nil)
      let places = try plan.map { dataset throws(StorageError) in try builder.add(dataset) }
      return (builder.file, places)
    }
    self.tensors = tensors
    self.output = output
    self.level = level
    if !isCompressed {
      try file.close(status)
      try output.reserve(byteCount: InputFile(path: output.path).byteCount)
    }
    for (position, attached) in attachments.enumerated() {
      try write(attached.content, to: tensors.count + position)
    }
  }

  /// Writes bytes of a tensor from `byteOffset` (inside the tensor) on.
  public func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError) {
    precondition(
      byteOffset >= 0 && byteOffset + bytes.byteCount <= tensors[tensor].byteCount,
      "bytes lie inside their tensor")
    try write(bytes, toPlace: tensor, at: byteOffset)
  }

  /// Copies a whole tensor from a file, inside the kernel where it is stored as it is.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    switch places[tensor] {
    case .nowhere: break
    case .contiguous(let offset): try output.copy(from: extent.file, extent.range, to: offset)
    case .chunked:
      let content = HDF5Attachment(name: tensors[tensor].name.text, file: extent.file)
      try write(content, from: extent.range, to: tensor)
    }
  }

  /// Completes the file; the caller commits afterwards.
  ///
  /// - Throws: ``StorageError`` when bytes of a compressed tensor never came, or the last ones can't be written.
  public func finish() throws(StorageError) {
    if let missing = chunks.unfinished {
      throw StorageError(
        .truncated(
          part: "tensor being written", expectedBytes: missing.expected, foundBytes: missing.found),
        file: output.target,
        tensor: missing.place < tensors.count ? tensors[missing.place].name : nil
      )
    }
    try file.close(HDF5Status(file: output.target, purpose: .writing))
  }

  // MARK: - Bytes

  private static let tileBytes = 4 << 20

  private func write(
    _ content: HDF5Attachment, from range: Range<Int>? = nil, to place: Int
  ) throws(StorageError) {
    let range = range ?? 0..<content.byteCount
    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.tileBytes) {
      let tile = try content.bytes(in: start..<min(start + Self.tileBytes, range.upperBound))
      try write(tile.rawBytes, toPlace: place, at: start - range.lowerBound)
    }
  }

  private func write(
    _ bytes: RawSpan, toPlace place: Int, at byteOffset: Int
  ) throws(StorageError) {
    switch places[place] {
    case .nowhere: break
    case .contiguous(let offset): try output.write(bytes, at: offset + byteOffset)
    case .chunked(let grid, let dataset):
      var run = grid.run(at: byteOffset, until: byteOffset + bytes.byteCount)
      while let piece = run {
        let start = piece.tensorOffset - byteOffset
        if let chunk = chunks.add(
          bytes.extracting(start..<start + piece.byteCount), piece, of: grid, place: place)
        {
          try store(chunk, at: grid.origin(of: piece.chunk), of: grid, in: dataset)
        }
        run = grid.run(
          at: piece.tensorOffset + piece.byteCount, until: byteOffset + bytes.byteCount)
      }
    }
  }

  private func store(
    _ chunk: [UInt8], at origin: [Int], of grid: ChunkGrid, in dataset: hid_t
  ) throws(StorageError) {
    let status = HDF5Status(file: output.target, purpose: .writing)
    guard let encoded = Filter.encode(chunk, elementBytes: grid.elementBytes, level: level) else {
      throw StorageError(
        .unsupported(feature: "zstd level", found: "\(level)"), file: output.target)
    }
    let corner = origin.map { hsize_t($0) }
    try HDF5Library.enter { () throws(StorageError) in
      try status.done(
        unsafe H5Dwrite_chunk(
          dataset, HDF5Library.defaults, 0, corner, encoded.count, encoded), "H5Dwrite_chunk")
    }
  }
}
