internal import GraftCore
internal import Synchronization

/// The chunks that are partly filled.
///
/// A caller who writes a tensor from front to back keeps one or two of them alive.
final class ChunkBuffers: Sendable {
  private struct Key: Hashable {
    let place: Int
    let chunk: Int
  }

  private struct Buffer {
    var bytes: [UInt8]
    var expected: Int
    var found = 0
  }

  private let buffers = Mutex<[Key: Buffer]>([:])

  /// A chunk that still lacks bytes, if one does.
  var unfinished: (place: Int, expected: Int, found: Int)? {
    buffers.withLock { buffers in
      buffers.min { ($0.key.place, $0.key.chunk) < ($1.key.place, $1.key.chunk) }
        .map { ($0.key.place, $0.value.expected, $0.value.found) }
    }
  }

  /// Adds a piece; returns its chunk, zero past the tensor's edge, when that was the last piece.
  func add(_ piece: RawSpan, _ run: ChunkGrid.Run, of grid: ChunkGrid, place: Int) -> [UInt8]? {
    buffers.withLock { buffers in
      let key = Key(place: place, chunk: run.chunk)
      var buffer =
        buffers.removeValue(forKey: key)
        ?? Buffer(
          bytes: [UInt8](repeating: 0, count: grid.chunkBytes),
          expected: grid.usedBytes(of: run.chunk))
      buffer.bytes.replace(at: run.chunkOffset, with: piece)
      buffer.found += run.byteCount
      if buffer.found >= buffer.expected { return buffer.bytes }
      buffers[key] = buffer
      return nil
    }
  }
}

extension [UInt8] {
  /// Overwrites elements with bytes.
  ///
  /// - Precondition: they fit.
  mutating func replace(at start: Int, with bytes: RawSpan) {
    precondition(start >= 0 && bytes.byteCount <= count - start, "the bytes fit")
    unsafe withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: source)
      }
    }
  }
}
