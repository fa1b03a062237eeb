/// How a chunked dataset is cut: chunks of one shape on a grid over the tensor, the last ones reaching past its edge.
struct ChunkGrid: Sendable, Equatable {
  /// The extents of the tensor; rank at least 1, no extent 0.
  let shape: [Int]
  /// The extents of a chunk; none is 0.
  let chunk: [Int]
  /// The bytes of an element.
  let elementBytes: Int

  /// The bytes of a decoded chunk.
  var chunkBytes: Int { chunk.reduce(elementBytes, *) }

  /// The bytes of the longest run.
  var runBytes: Int {
    let cut = shape.indices.last { chunk[$0] != shape[$0] } ?? 0
    return shape[(cut + 1)...].reduce(min(chunk[cut], shape[cut]) * elementBytes, *)
  }

  /// A piece of the tensor's bytes that is one piece in a chunk, too.
  struct Run: Equatable {
    /// The chunk, counted in row-major order over the grid.
    let chunk: Int
    /// Where the piece begins in the chunk.
    let chunkOffset: Int
    /// Where the piece begins in the tensor.
    let tensorOffset: Int
    /// The bytes of the piece.
    let byteCount: Int
  }

  /// Cuts a tensor into chunks that are pieces of its bytes, of about `target` bytes each.
  ///
  /// The inner axes stay whole; the axis where `target` is passed is cut evenly.
  init(cutting shape: [Int], elementBytes: Int, target: Int) {
    var chunk = [Int](repeating: 1, count: shape.count)
    var room = max(1, target / elementBytes)
    for axis in shape.indices.reversed() {
      let pieces = (shape[axis] + room - 1) / room
      chunk[axis] = (shape[axis] + pieces - 1) / pieces
      guard pieces == 1 else { break }
      room = max(1, room / shape[axis])
    }
    self.init(shape: shape, chunk: chunk, elementBytes: elementBytes)
  }

  /// A grid that a file declares.
  init(shape: [Int], chunk: [Int], elementBytes: Int) {
    self.shape = shape
    self.chunk = chunk
    self.elementBytes = elementBytes
  }

  /// The position of a chunk's first element in the tensor.
  func origin(of index: Int) -> [Int] {
    var rest = index
    var origin = [Int](repeating: 0, count: shape.count)
    for axis in shape.indices.reversed() {
      let count = chunkCount(along: axis)
      origin[axis] = rest % count * chunk[axis]
      rest /= count
    }
    return origin
  }

  /// The bytes of a chunk that belong to the tensor: all but those past its edge.
  func usedBytes(of index: Int) -> Int {
    zip(origin(of: index), zip(shape, chunk)).reduce(elementBytes) { bytes, axis in
      bytes * min(axis.1.1, axis.1.0 - axis.0)
    }
  }

  /// The longest run that begins at a byte of the tensor and doesn't pass `end`; nil when there is none left.
  func run(at offset: Int, until end: Int) -> Run? {
    guard offset < end else { return nil }
    // Axes behind `cut` are whole in every chunk, so a run goes on over them.
    let cut = shape.indices.last { chunk[$0] != shape[$0] } ?? 0
    let inner = shape[(cut + 1)...].reduce(elementBytes, *)
    var position = offset / inner
    var (index, gridStride) = (0, 1)
    var (chunkOffset, stride) = (offset % inner, inner)
    var left = -chunkOffset
    for axis in (0...cut).reversed() {
      let coordinate = position % shape[axis]
      let inChunk = coordinate % chunk[axis]
      position /= shape[axis]
      index += coordinate / chunk[axis] * gridStride
      gridStride *= chunkCount(along: axis)
      chunkOffset += inChunk * stride
      stride *= chunk[axis]
      if axis == cut { left += min(chunk[axis] - inChunk, shape[axis] - coordinate) * inner }
    }
    return Run(
      chunk: index, chunkOffset: chunkOffset, tensorOffset: offset,
      byteCount: min(left, end - offset))
  }

  /// The chunks of the whole grid.
  var chunkCount: Int { shape.indices.reduce(1) { $0 * chunkCount(along: $1) } }

  /// The chunks along an axis.
  func chunkCount(along axis: Int) -> Int {
    shape[axis] / chunk[axis] + (shape[axis] % chunk[axis] > 0 ? 1 : 0)
  }
}
