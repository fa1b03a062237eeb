internal import GraftCore
internal import Synchronization

/// Reads the bytes of datasets, in tiles, from any thread.
final class DatasetStore: Sendable {
  let file: StructureFile
  private let cache = ChunkCache(capacity: HDF5Limits.cachedBytes)
  private let indexes = Mutex(Indexes())
  /// Held while a large chunk is decoded: two of them at once would be too much memory.
  private let largeChunk = Mutex<Void>(())

  /// The indexes of chunks that were read last.
  private struct Indexes {
    var known: [UInt64: ChunkIndex] = [:]
    var order: [UInt64] = []
    var count = 0
  }

  init(_ file: StructureFile) { self.file = file }

  /// The file.
  var input: InputFile { file.input }

  /// Fills `buffer` with a dataset's bytes, in native byte order, from `byteOffset` on.
  ///
  /// - Precondition: the range lies inside the dataset.
  func read(
    _ dataset: StoredDataset, at byteOffset: Int, into buffer: inout MutableRawSpan,
    tensor: TensorName? = nil
  ) throws(StorageError) {
    let range = byteOffset..<byteOffset + buffer.byteCount
    precondition(
      byteOffset >= 0 && range.upperBound <= dataset.byteCount, "a range inside the dataset")
    switch dataset.storage {
    case .contiguous(let offset):
      guard dataset.type.swappedBytes > 1 else {
        return try input.read(at: offset + byteOffset, into: &buffer)
      }
      try readSwapped(dataset, from: offset, range, into: &buffer)
    case .fill(let value): buffer.repeat(value, from: byteOffset)
    case .chunked(let storage):
      try readChunks(dataset, storage, range, into: &buffer, tensor)
    }
  }

  // MARK: - Kinds of storage

  private func readSwapped(
    _ dataset: StoredDataset, from offset: Int, _ range: Range<Int>,
    into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    let tile = 1 << 20
    var position = range.lowerBound
    while position < range.upperBound {
      // The tile is whole elements: its size and beginning are multiples of every element's size.
      let start = position / tile * tile
      var bytes = try input.bytes(
        at: offset + start, count: min(tile, dataset.byteCount - start))
      bytes.swapBytes(of: dataset.type.swappedBytes)
      let end = min(start + tile, range.upperBound)
      buffer.copy(bytes[(position - start)..<(end - start)], to: position - range.lowerBound)
      position = end
    }
  }

  private func readChunks(
    _ dataset: StoredDataset, _ storage: ChunkedStorage, _ range: Range<Int>,
    into buffer: inout MutableRawSpan, _ tensor: TensorName?
  ) throws(StorageError) {
    let index = try chunkIndex(of: dataset, storage, tensor)
    let grid = storage.grid
    var current: (chunk: Int, bytes: [UInt8]?)?
    var run = grid.run(at: range.lowerBound, until: range.upperBound)
    while let piece = run {
      if current?.chunk != piece.chunk {
        guard index[piece.chunk] != nil else {
          current = (piece.chunk, nil)
          continue
        }
        let bytes = try cache.chunk(
          piece.chunk, of: dataset.address, byteCount: grid.chunkBytes, end: grid.chunkCount
        ) { number throws(StorageError) in
          guard let entry = index[number] else { return [] }
          return try self.decode(entry, storage, dataset.type, tensor)
        }
        current = (piece.chunk, bytes)
      }
      let target = piece.tensorOffset - range.lowerBound
      if let bytes = current?.bytes {
        guard piece.chunkOffset + piece.byteCount <= bytes.count else {
          throw Self.malformedChunk(grid.chunkBytes, bytes.count, piece.chunk, input.path, tensor)
        }
        buffer.copy(bytes[piece.chunkOffset..<piece.chunkOffset + piece.byteCount], to: target)
      } else {
        var part = buffer._mutatingExtracting(target..<target + piece.byteCount)
        part.repeat(storage.fill, from: piece.chunkOffset)
      }
      run = grid.run(at: piece.tensorOffset + piece.byteCount, until: range.upperBound)
    }
  }

  /// The index of a dataset's chunks, read when it is first needed.
  private func chunkIndex(
    of dataset: StoredDataset, _ storage: ChunkedStorage, _ tensor: TensorName?
  ) throws(StorageError) -> ChunkIndex {
    try indexes.withLock { indexes throws(StorageError) in
      if let known = indexes.known[dataset.address] { return known }
      let index = try ChunkIndex(
        storage.layout, storage.grid, isFiltered: !storage.filters.isEmpty,
        maximum: storage.maximum, in: file, tensor: tensor)
      indexes.known[dataset.address] = index
      indexes.order.append(dataset.address)
      indexes.count += index.count
      while indexes.count > HDF5Limits.indexedChunks || indexes.order.count > 4096,
        indexes.order.count > 1
      {
        let oldest = indexes.order.removeFirst()
        indexes.count -= indexes.known.removeValue(forKey: oldest)?.count ?? 0
      }
      return index
    }
  }

  // MARK: - Chunks

  /// Reads and decodes a chunk.
  private func decode(
    _ entry: ChunkIndex.Entry, _ storage: ChunkedStorage, _ type: StoredType, _ tensor: TensorName?
  ) throws(StorageError) -> [UInt8] {
    guard storage.grid.chunkBytes > HDF5Limits.largeChunkBytes else {
      return try decodeNow(entry, storage, type, tensor)
    }
    return try largeChunk.withLock { _ throws(StorageError) in
      try decodeNow(entry, storage, type, tensor)
    }
  }

  private func decodeNow(
    _ entry: ChunkIndex.Entry, _ storage: ChunkedStorage, _ type: StoredType, _ tensor: TensorName?
  ) throws(StorageError) -> [UInt8] {
    guard entry.skipped & ~storage.optional == 0 else {
      throw StorageError(
        .malformed(
          rule: "HDF5 H-11", expected: "all mandatory filters applied",
          found: "mask \(entry.skipped) of chunk \(entry.chunk)"), file: input.path, tensor: tensor)
    }
    let byteCount = storage.grid.chunkBytes
    let stored = try input.bytes(at: entry.offset, count: entry.byteCount)
    guard
      var bytes = Filter.decode(
        stored, through: storage.filters(ofChunk: entry.chunk), skipping: entry.skipped,
        byteCount: byteCount)
    else {
      throw Self.malformedChunk(byteCount, entry.byteCount, entry.chunk, input.path, tensor)
    }
    bytes.swapBytes(of: type.swappedBytes)
    return bytes
  }

  private static func malformedChunk(
    _ expected: Int, _ found: Int, _ chunk: Int, _ path: String, _ tensor: TensorName?
  ) -> StorageError {
    StorageError(
      .malformed(
        rule: "HDF5 H-12", expected: "a chunk of \(expected) bytes",
        found: "\(found) bytes that don't decode to it (chunk \(chunk))"), file: path,
      tensor: tensor)
  }
}

extension MutableRawSpan {
  /// Overwrites bytes from an offset on.
  ///
  /// - Precondition: they fit.
  mutating func copy(_ bytes: ArraySlice<UInt8>, to offset: Int) {
    precondition(offset >= 0 && bytes.count <= byteCount - offset, "the bytes fit")
    unsafe withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
      }
    }
  }

  /// Fills everything with a value again and again, beginning inside it.
  mutating func `repeat`(_ value: [UInt8], from offset: Int) {
    unsafe withUnsafeMutableBytes { target in
      guard let first = value.first, value.contains(where: { $0 != first }) else {
        for place in target.indices { unsafe target[place] = value.first ?? 0 }
        return
      }
      var phase = offset % value.count
      for place in target.indices {
        unsafe target[place] = value[phase]
        phase = phase + 1 == value.count ? 0 : phase + 1
      }
    }
  }
}
