internal import CHDF5
public import GraftCore
internal import Synchronization

/// A checkpoint being written as HDF5: in the layout of `Formats/hdf5/SPEC.md`, or in one of Keras's.
///
/// The whole structure exists when the initializer returns. Tensors stored as they are then take their bytes without
/// libhdf5; compressed ones are gathered into chunks, encoded by the threads that bring the bytes, and reach the file in
/// the order of the plan. Tensors written from front to back, by any number of threads, give one file.
public final class HDF5Writer: CheckpointWriter {
  /// The tensors that were announced, in order.
  public let tensors: [TensorInfo]
  private let output: OutputFile
  private let file: OpenFile
  /// The tensors' datasets, then those of the files inside.
  private let places: [Place]
  /// The bytes of all datasets, before compression.
  private let declaredBytes: Int
  /// The bytes of the largest dataset that isn't a tensor.
  private let attachedBytes: Int
  private let level: Int32
  private let chunks = ChunkBuffers()
  private let order: ChunkOrder
  /// The dataset of the last chunk: chunks come dataset by dataset, and the library keeps kibibytes for each that is open.
  private let opened = Mutex<(place: Int, id: hid_t)?>(nil)

  /// Where a dataset's bytes go.
  enum Place {
    /// There are none.
    case nowhere
    /// In one piece from an offset of the file on.
    case contiguous(offset: Int)
    /// Through the library, chunk by chunk.
    case chunked(ChunkGrid, LinkPath)
  }

  /// Lays the file out and writes everything but the tensors' bytes.
  ///
  /// - Parameters:
  ///   - output: an empty file, of an ``AtomicFile`` or ``AtomicDirectory``.
  ///   - annotations: what a source has besides tensors and metadata, for these tensors.
  ///   - files: the other files of the model directory, kept byte for byte.
  ///   - shards: for every weight file that the tensors come from, its name and the bytes before its tensor data,
  ///     from which it can be rebuilt exactly.
  ///   - vocabulary: the tokens of an embedding table, by row.
  ///   - vocabularyFiles: the same, written down: the tokens' bytes, and where each ends as little-endian u64.
  /// - Throws: ``StorageError`` when names collide, a name can't be held, or the system fails.
  public convenience init(
    _ output: OutputFile, tensors: [TensorInfo], metadata: [MetadataEntry] = [],
    annotations: HDF5Annotations? = nil,
    files: [HDF5Attachment] = [], shards: [HDF5Attachment] = [], vocabulary: [[UInt8]]? = nil,
    vocabularyFiles: (bytes: HDF5Attachment, ends: HDF5Attachment)? = nil,
    compression: HDF5Compression = .none
  ) throws(StorageError) {
    let status = HDF5Status(file: output.target)
    let attachments = try AttachedDataset.all(
      metadata: metadata, files: files, shards: shards,
      vocabulary: vocabularyFiles ?? vocabulary.map(AttachedDataset.vocabulary), status)
    let groups = annotations.map { $0.groups.map($0.name(ofGroup:)) } ?? []
    var tree = try PlannedTree(tensors, annotatedGroups: groups, status)
    tree.datasets += attachments.map(\.dataset)
    try self.init(output, tensors, tree, annotations, compression)
    for (position, attached) in attachments.enumerated() {
      try write(attached.content, to: tensors.count + position)
    }
  }

  /// Lays a file of Keras out, which holds tensors and what Keras stores beside them, but no other files.
  ///
  /// - Parameters:
  ///   - metadata: what ``HDF5Reader`` gives of a file of Keras, so that the file comes back as it was.
  ///   - annotations: what a source of the same layout has besides, for these tensors.
  /// - Throws: ``StorageError`` when the layout can't hold a tensor, or the system fails.
  public convenience init(
    _ output: OutputFile, tensors: [TensorInfo], metadata: [MetadataEntry] = [],
    annotations: HDF5Annotations? = nil, keras layout: KerasLayout,
    compression: HDF5Compression = .none
  ) throws(StorageError) {
    let status = HDF5Status(file: output.target)
    var tree = try PlannedTree(keras: layout, tensors, metadata, status)
    if let annotations {
      try tree.annotate(annotations.groups.map(annotations.name(ofGroup:)), keras: status)
    }
    try self.init(output, tensors, tree, annotations, compression)
  }

  private init(
    _ output: OutputFile, _ tensors: [TensorInfo], _ tree: PlannedTree,
    _ annotations: HDF5Annotations?, _ compression: HDF5Compression
  ) throws(StorageError) {
    let status = HDF5Status(file: output.target)
    var chosen: Int32?
    if case .zstd(let level) = compression { chosen = Int32(min(max(level, 1), 22)) }
    // What planning 100,000 datasets left behind is room that the library, with an allocator's lists of its own, doesn't find.
    ProcessMemory.releaseFreeMemory()
    let file = try HDF5Library.enter { () throws(StorageError) in
      try TreeBuilder.makeFile(
        output.path, status,
        objectCount: tree.datasets.count + tree.groups.count + tree.annotated.count)
    }
    // Closing is a visit of its own: where the plan can't be carried out, the file must outlive this one.
    places = try withExtendedLifetime(file) { () throws(StorageError) in
      try HDF5Library.enter { () throws(StorageError) in
        var builder = try TreeBuilder(file, status, attributes: tree.attributes, level: chosen)
        for group in tree.groups { try builder.add(group) }
        for (number, path) in tree.annotated.enumerated() {
          try builder.annotate(path, with: annotations?.attributes(ofGroup: number) ?? [])
        }
        var places: [Place] = []
        places.reserveCapacity(tree.datasets.count)
        for (number, dataset) in tree.datasets.enumerated() {
          // The tensors come first.
          places.append(
            try builder.add(
              dataset, annotations: annotations?.attributes(ofTensor: number) ?? []))
        }
        return places
      }
    }
    self.file = file
    self.tensors = tensors
    self.output = output
    level = chosen ?? 0
    declaredBytes = tree.datasets.reduce(0) { $0 + $1.byteCount }
    attachedBytes = tree.datasets.dropFirst(tensors.count).reduce(0) { max($0, $1.byteCount) }
    order = ChunkOrder(
      counts: places.map { place in
        if case .chunked(let grid, _) = place { grid.chunkCount } else { 0 }
      }, from: tensors.count)
    guard chosen == nil else { return }
    try file.close(status)
    try output.reserve(byteCount: output.currentByteCount())
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
    try order.finish { chunk throws(StorageError) in try store(chunk) }
    try file.close(HDF5Status(file: output.target))
    // What compresses to almost nothing is told from a bomb by the size of its file, by whoever reads it: rules H-8 and H-27.
    let tensorBytes =
      declaredBytes > HDF5Limits.sparseBytes ? declaredBytes / HDF5Limits.expansion : 0
    let otherBytes =
      attachedBytes > HDF5Limits.contentBytes ? attachedBytes / HDF5Limits.contentExpansion : 0
    let least = max(tensorBytes, otherBytes)
    if try output.currentByteCount() <= least { try output.reserve(byteCount: least + 1) }
  }

  // MARK: - Bytes

  private static let tileBytes = 4 << 20

  private func write(
    _ content: HDF5Attachment, from range: Range<Int>? = nil, to place: Int
  ) throws(StorageError) {
    let range = range ?? 0..<content.byteCount
    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.tileBytes) {
      let tile = try content.bytes(in: start..<min(start + Self.tileBytes, range.upperBound))
      try tile.withRawBytes { bytes throws(StorageError) in
        try write(bytes, toPlace: place, at: start - range.lowerBound)
      }
    }
  }

  private func write(
    _ bytes: RawSpan, toPlace place: Int, at byteOffset: Int
  ) throws(StorageError) {
    switch places[place] {
    case .nowhere: break
    case .contiguous(let offset): try output.write(bytes, at: offset + byteOffset)
    case .chunked(let grid, _):
      var run = grid.run(at: byteOffset, until: byteOffset + bytes.byteCount)
      while let piece = run {
        let start = piece.tensorOffset - byteOffset
        if let chunk = chunks.add(
          bytes.extracting(start..<start + piece.byteCount), piece, of: grid, place: place)
        {
          let encoded = try encode(chunk, elementBytes: grid.elementBytes)
          try order.add(
            ChunkOrder.Chunk(place: place, number: piece.chunk, bytes: encoded)
          ) { chunk throws(StorageError) in try store(chunk) }
        }
        run = grid.run(
          at: piece.tensorOffset + piece.byteCount, until: byteOffset + bytes.byteCount)
      }
    }
  }

  /// Encodes a chunk: bytes of one weight beside each other, then zstd.
  private func encode(_ chunk: [UInt8], elementBytes: Int) throws(StorageError) -> [UInt8] {
    let shuffled = Shuffle.encode(chunk, elementBytes: elementBytes)
    // The level is one that there is.
    guard let encoded = Zstd.encode(shuffled, level: level) else {
      throw StorageError(.noMemory, file: output.target)
    }
    return encoded
  }

  private func store(_ chunk: ChunkOrder.Chunk) throws(StorageError) {
    guard case .chunked(let grid, let path) = places[chunk.place] else { return }
    let status = HDF5Status(file: output.target)
    let corner = grid.origin(of: chunk.number).map { hsize_t($0) }
    try HDF5Library.enter { () throws(StorageError) in
      let dataset = try dataset(at: path, of: chunk.place, status)
      try status.done(
        unsafe H5Dwrite_chunk(
          dataset, HDF5Library.defaults, 0, corner, chunk.bytes.count, chunk.bytes),
        "H5Dwrite_chunk")
    }
  }
  /// The dataset of a place, opened; inside the library.
  private func dataset(
    at path: LinkPath, of place: Int, _ status: HDF5Status
  ) throws(StorageError) -> hid_t {
    try opened.withLock { opened throws(StorageError) in
      if let known = opened {
        if known.place == place { return known.id }
        opened = nil
        try status.done(H5Dclose(known.id), "H5Dclose")
      }
      let id = unsafe H5Dopen2(file.id, path.cString, HDF5Library.defaults)
      guard id >= 0 else { throw status.failure("H5Dopen2") }
      opened = (place, id)
      return id
    }
  }
}
