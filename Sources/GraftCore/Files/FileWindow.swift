/// Reads small parts of a file, those that follow each other closely from a window.
package struct FileWindow {
  /// The file.
  package let file: InputFile
  private var window: [UInt8] = []
  private var start = 0

  private static let byteCount = 1 << 15

  /// Begins at the start of a file.
  package init(_ file: InputFile) { self.file = file }

  /// The bytes of a part, as a slice of the window.
  ///
  /// - Throws: ``StorageError`` when the file ends before, or can't be read.
  package mutating func bytes(at offset: Int, count: Int) throws(StorageError) -> ArraySlice<UInt8>
  {
    if offset >= start, count <= window.count, offset - start <= window.count - count {
      return window[offset - start..<offset - start + count]
    }
    // What is far from the part before has nothing close behind it, as a rule.
    let isNear = offset >= start && offset - start <= 2 * Self.byteCount
    let room = max(0, file.byteCount - offset)
    window = try file.bytes(
      at: offset, count: isNear ? max(count, min(room, Self.byteCount)) : count)
    start = offset
    return window[..<count]
  }
}
