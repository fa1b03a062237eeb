internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// The bytes of weight files before their tensor data, from which the files can be rebuilt exactly.
///
/// An index is such a file too: one without tensors.
extension OpenedCheckpoint {
  /// The headers of the weight files that the tensors come from, by file name; read where the form keeps them.
  func shardHeaders(for form: OutputForm) throws(StorageError) -> [HDF5Attachment] {
    if let hdf5 = reader as? HDF5Reader { return hdf5.shards }
    guard case .hdf5 = form else { return [] }
    if let planned = reader as? PlannedDirectory { return planned.headers }
    if let single = reader as? SafetensorsReader {
      return [Self.header(of: single)]
    }
    guard let sharded = reader as? ShardedReader, sharded.format == .safetensors else {
      return []
    }
    let index = try InputFile(path: sharded.path)
    let bytes = try index.bytes(at: 0, count: index.byteCount)
    return sharded.shards.map { Self.header(of: $0) }
      + [HDF5Attachment(name: Self.name(of: sharded.path), bytes: bytes)]
  }

  private static func header(of shard: any SingleFileReader) -> HDF5Attachment {
    let data = shard.tensors.reduce(0) { $0 + $1.byteCount }
    return HDF5Attachment(
      name: name(of: shard.path), file: shard.file, first: shard.file.byteCount - data)
  }

  private static func name(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}

/// Weight files being rebuilt behind headers that were kept: the bytes that the first converter read.
struct RestoringWriter: LaidOutWriter {
  let layout: LaidOutTensors

  /// Writes the headers, and finds a place for each tensor behind them.
  ///
  /// - Throws: ``StorageError`` when headers and tensors don't fit together.
  init(
    _ tensors: [TensorInfo], headers: [HDF5Attachment], source: String,
    into directory: AtomicDirectory
  ) throws(StorageError) {
    var homes: [TensorName: (file: OutputFile, offset: Int, info: TensorInfo)] = [:]
    for header in headers {
      let isIndex = header.name.hasSuffix(".json")
      let bytes = try header.contents(
        atMost: isIndex ? Self.maximumIndexBytes : Self.maximumHeaderBytes, file: source)
      let file = try directory.file(named: header.name)
      try file.write(bytes, at: 0)
      if isIndex { continue }
      let declared = try SafetensorsDeclaration(header: bytes, file: source)
      try file.reserve(byteCount: bytes.count + declared.dataByteCount)
      for (info, begin) in declared.tensors {
        homes[info.name] = (file, bytes.count + begin, info)
      }
    }
    var places: [(file: OutputFile, offset: Int)] = []
    for tensor in tensors {
      guard let home = homes.removeValue(forKey: tensor.name), home.info == tensor else {
        throw Self.disagreement(source, tensor.name)
      }
      places.append((home.file, home.offset))
    }
    if let surplus = homes.keys.min() { throw Self.disagreement(source, surplus) }
    layout = LaidOutTensors(tensors, at: places, target: directory.path)
  }

  /// The length of a header is told by eight bytes before it.
  private static var maximumHeaderBytes: Int { 8 + FormatLimits.standard.safetensorsHeaderBytes }
  private static var maximumIndexBytes: Int { FormatLimits.standard.shardIndexBytes }

  private static func disagreement(_ file: String, _ tensor: TensorName) -> StorageError {
    StorageError(
      .mismatch(
        subject: "the kept header of a weight file", expected: "the tensors of the checkpoint",
        found: "others"),
      file: file, tensor: tensor, remedy: "give --max-shard-size to lay the files out anew")
  }
}
