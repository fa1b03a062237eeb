internal import CHDF5
internal import GraftCore

/// Reads the bytes of datasets, in tiles, from any thread.
final class DatasetStore: Sendable {
  let input: InputFile
  private let file: OpenFile
  private let cache = ChunkCache(capacity: HDF5Limits.cachedBytes)

  init(input: InputFile, file: OpenFile) {
    self.input = input
    self.file = file
  }

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
    case .fill(let value):
      for position in range { buffer.set(value[position % value.count], at: position - byteOffset) }
    case .compact:
      var bytes = try compactBytes(of: dataset, tensor)
      bytes.swapBytes(of: dataset.type.swappedBytes)
      buffer.copy(bytes[range], to: 0)
    case .chunked(let grid, let filters, let optional, let fill):
      var current: (index: Int, bytes: [UInt8])?
      var run = grid.run(at: range.lowerBound, until: range.upperBound)
      while let piece = run {
        if current?.index != piece.chunk {
          let decode = { () throws(StorageError) -> [UInt8] in
            try self.chunk(
              piece.chunk, of: grid, in: dataset, filters, optional, fill: fill, tensor)
          }
          current = (
            piece.chunk, try cache.chunk(piece.chunk, of: dataset.address, decode)
          )
        }
        if let bytes = current?.bytes {
          buffer.copy(
            bytes[piece.chunkOffset..<piece.chunkOffset + piece.byteCount],
            to: piece.tensorOffset - byteOffset)
        }
        run = grid.run(at: piece.tensorOffset + piece.byteCount, until: range.upperBound)
      }
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

  private func compactBytes(
    of dataset: StoredDataset, _ tensor: TensorName?
  ) throws(StorageError) -> [UInt8] {
    let status = HDF5Status(file: input.path, purpose: .reading, tensor: tensor)
    var bytes = [UInt8](repeating: 0, count: dataset.byteCount)
    try HDF5Library.enter { () throws(StorageError) in
      let handle = try status.handle(H5Oopen_by_addr(file.id, dataset.address), "H5Oopen_by_addr")
      let type = try status.handle(H5Dget_type(handle.id), "H5Dget_type")
      try status.done(
        unsafe H5Dread(handle.id, type.id, 0, 0, HDF5Library.defaults, &bytes), "H5Dread")
    }
    return bytes
  }

  private func chunk(
    _ index: Int, of grid: ChunkGrid, in dataset: StoredDataset, _ filters: [Filter],
    _ optional: UInt32, fill: [UInt8], _ tensor: TensorName?
  ) throws(StorageError) -> [UInt8] {
    let status = HDF5Status(file: input.path, purpose: .reading, tensor: tensor)
    let byteCount = grid.chunkBytes
    guard
      let (stored, skipped) = try storedChunk(
        index, of: grid, in: dataset, isFiltered: !filters.isEmpty, status)
    else {
      return fill.allSatisfy { $0 == 0 }
        ? [UInt8](repeating: 0, count: byteCount)
        : (0..<byteCount).map { fill[$0 % fill.count] }
    }
    guard skipped & ~optional == 0 else {
      throw status.malformed(
        "H-11", expected: "all mandatory filters applied",
        found: "mask \(skipped) of chunk \(index)")
    }
    guard
      var bytes = Filter.decode(stored, through: filters, skipping: skipped, byteCount: byteCount)
    else {
      throw status.malformed(
        "H-12", expected: "a chunk of \(byteCount) bytes",
        found: "\(stored.count) bytes that don't decode to it (chunk \(index))")
    }
    bytes.swapBytes(of: dataset.type.swappedBytes)
    return bytes
  }

  /// A chunk as it stands in the file, and which filters it skipped; nil when it was never written.
  private func storedChunk(
    _ index: Int, of grid: ChunkGrid, in dataset: StoredDataset, isFiltered: Bool,
    _ status: HDF5Status
  ) throws(StorageError) -> (bytes: [UInt8], skipped: UInt32)? {
    let corner = grid.origin(of: index).map { hsize_t($0) }
    return try HDF5Library.enter { () throws(StorageError) in
      let handle = try status.handle(H5Oopen_by_addr(file.id, dataset.address), "H5Oopen_by_addr")
      var size: hsize_t = 0
      // The quick question has no answer for a chunk that was never written, and for one without filters the
      // answer isn't what the library will read; the slow one asks the index.
      if unsafe !isFiltered || H5Dget_chunk_storage_size(handle.id, corner, &size) < 0 {
        var address = graft_h5_no_address()
        try status.done(
          unsafe H5Dget_chunk_info_by_coord(handle.id, corner, nil, &address, &size),
          "H5Dget_chunk_info_by_coord")
        guard address != graft_h5_no_address() else { return nil }
      }
      guard let count = Int(exactly: size), count <= input.byteCount else {
        throw StorageError(
          .truncated(
            part: "chunk (H-12)", expectedBytes: Int(clamping: size), foundBytes: input.byteCount),
          file: input.path, tensor: status.tensor)
      }
      var bytes = [UInt8](repeating: 0, count: count)
      var skipped: UInt32 = 0
      try status.done(
        unsafe H5Dread_chunk(handle.id, HDF5Library.defaults, corner, &skipped, &bytes),
        "H5Dread_chunk")
      return (bytes, skipped)
    }
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

  /// Overwrites one byte.
  mutating func set(_ byte: UInt8, at offset: Int) {
    precondition(offset >= 0 && offset < byteCount, "the byte fits")
    storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
  }
}
