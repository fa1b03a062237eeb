internal import Glibc
internal import GraftCore

/// A window that slides over a file in memory of its own, for formats without offsets.
///
/// Behind the bytes of the file stand ``padding`` zeros, so that numbers at the end can be loaded eight bytes at a time.
struct SlidingWindow {
  let file: InputFile
  /// The window and its padding.
  private(set) var bytes: [UInt8]
  /// Where the bytes that haven't been consumed begin.
  private(set) var position = 0
  /// The bytes of the file in the window.
  private var count = 0
  /// Where the window begins in the file.
  private var base: Int

  static let padding = 32

  /// A window that begins at a byte of the file.
  init(_ file: InputFile, at offset: Int, byteCount: Int) {
    self.file = file
    base = offset
    bytes = [UInt8](
      repeating: 0, count: min(byteCount, max(file.byteCount - offset, 0)) + Self.padding)
  }

  /// The place in the file of the next byte.
  var offset: Int { base + position }

  /// The bytes of the file that haven't been consumed.
  var remaining: Int { file.byteCount - offset }

  /// Makes the next `wanted` bytes available, or all that are left; returns how many there are.
  mutating func fill(_ wanted: Int) throws(StorageError) -> Int {
    let held = count - position
    if held >= wanted || base + count >= file.byteCount { return held }
    if wanted > bytes.count - Self.padding {
      // Whoever asks for a byte more each time must not move all for each.
      let size = min(max(wanted, 2 * (bytes.count - Self.padding)), max(wanted, remaining))
      bytes += [UInt8](repeating: 0, count: size - (bytes.count - Self.padding))
    }
    try slide(held)
    return count
  }

  /// Moves what is held to the front, and reads as much as fits behind it.
  private mutating func slide(_ held: Int) throws(StorageError) {
    let (file, start) = (file, position)
    let from = base + count
    let room = min(bytes.count - Self.padding - held, file.byteCount - from)
    try bytes.withMutableRawBytes { (whole: inout MutableRawSpan) throws(StorageError) in
      unsafe whole.withUnsafeMutableBytes { buffer in
        // Safety: both ranges lie in the buffer, and memmove allows them to overlap.
        if let front = buffer.baseAddress { unsafe memmove(front, front + start, held) }
      }
      var rest = whole._mutatingExtracting(held..<held + room)
      try file.read(at: from, into: &rest)
      for index in held + room..<min(held + room + Self.padding, whole.byteCount) {
        whole.storeBytes(of: 0, toByteOffset: index, as: UInt8.self)
      }
    }
    base += position
    position = 0
    count = held + room
  }

  /// What comes next in a text.
  enum Line {
    /// The range of a line, without its line feed.
    case range(Range<Int>)
    /// The line has more bytes than are allowed.
    case tooLong
    /// The end of the file.
    case end
  }

  /// Consumes the next line of at most `limit` bytes, and its line feed.
  mutating func takeLine(limit: Int) throws(StorageError) -> Line {
    var searched = 0
    var held = count - position
    while true {
      if let found = lineFeed(from: position + searched) {
        let line = position..<found
        guard line.count <= limit else { return .tooLong }
        position = found + 1
        return .range(line)
      }
      guard held <= limit else { return .tooLong }
      searched = held
      let before = held
      held = try fill(max(held + 1, min(held * 2, limit + 1)))
      guard held > before else { break }
    }
    return held > 0 ? .range(take(held)) : .end
  }

  /// How many bytes come before the next `end`; nil where none comes within `limit` bytes.
  mutating func distance(to end: UInt8, limit: Int) throws(StorageError) -> Int? {
    var searched = 0
    while true {
      let held = try fill(searched + 1)
      for index in searched..<held where bytes[position + index] == end {
        return index <= limit ? index : nil
      }
      guard held < remaining, held <= limit else { return nil }
      searched = held
    }
  }

  /// Consumes `count` bytes that ``fill(_:)`` has made available.
  mutating func take(_ count: Int) -> Range<Int> {
    position += count
    return position - count..<position
  }

  /// Where the next line feed stands in the window.
  private func lineFeed(from start: Int) -> Int? {
    let length = count - start
    guard length > 0 else { return nil }
    return unsafe bytes.withUnsafeBytes { buffer in
      // Safety: `length` bytes from `start` on lie in the buffer.
      guard let base = buffer.baseAddress, let found = unsafe memchr(base + start, 0x0A, length)
      else { return nil }
      return unsafe UnsafeRawPointer(found) - base
    }
  }
}
