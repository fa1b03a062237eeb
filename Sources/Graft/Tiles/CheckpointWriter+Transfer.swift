internal import GraftAdapters
internal import GraftCore

extension CheckpointWriter {
  /// Copies a tensor as it is.
  func transfer(_ tensor: Int, of reader: any CheckpointReader, to place: Int) throws(StorageError)
  {
    if let extent = reader.extent(of: tensor) {
      try copy(extent, to: place)
      return
    }
    let byteCount = reader.tensors[tensor].byteCount
    for start in stride(from: 0, to: byteCount, by: 4 << 20) {
      let tile = try MemorySlice(allocating: .u8, [min(4 << 20, byteCount - start)])
      try reader.read(tensor, at: start, into: tile)
      try write(tile.bytes, of: place, at: start)
    }
  }
}
