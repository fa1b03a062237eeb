internal import GraftCore

/// A window that slides over a file, for formats without offsets.
struct BufferedInput {
  let file: InputFile
  /// The bytes of the window that haven't been consumed begin at ``position``.
  private(set) var window: [UInt8] = []
  private(set) var position = 0
  /// Where the window begins in the file.
  private var base = 0

  init(_ file: InputFile) { self.file = file }

  /// The place in the file of the next byte.
  var offset: Int { base + position }

  /// The bytes of the file that haven't been consumed.
  var remaining: Int { file.byteCount - offset }

  /// Makes the window hold the next `count` bytes, or all that are left.
  ///
  /// Returns how many bytes can be taken from ``position`` on.
  mutating func fill(_ count: Int) throws(StorageError) -> Int {
    let held = window.count - position
    guard held < count, held < remaining else { return held }
    var wider = Array(window[position...])
    base += position
    position = 0
    let more = min(file.byteCount - base - held, max(count - held, 1 << 20))
    wider += try file.bytes(at: base + held, count: more)
    window = wider
    return window.count
  }

  /// The range in the window of the bytes before the next `end`, which is consumed too; nil where none comes within
  /// `limit` bytes.
  mutating func take(until end: UInt8, limit: Int) throws(StorageError) -> Range<Int>? {
    var searched = 0
    while true {
      let held = try fill(searched + 1)
      let start = position
      if let found = Self.firstIndex(of: end, in: window, from: start + searched) {
        guard found - start <= limit else { return nil }
        position = found + 1
        return start..<found
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

  private static func firstIndex(of byte: UInt8, in window: [UInt8], from start: Int) -> Int? {
    let span = window.span
    var index = start
    while index < span.count {
      if span[index] == byte { return index }
      index += 1
    }
    return nil
  }
}
