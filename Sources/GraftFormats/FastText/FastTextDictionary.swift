internal import GraftCore

/// The words of a fastText model: found in one pass, and read from the file where they are asked for.
struct FastTextDictionary: Sendable {
  /// The words; labels not counted.
  let wordCount: Int
  /// The labels of a classifier.
  let labelCount: Int
  /// The words of the training text.
  let tokenCount: Int
  /// The bytes of all words.
  let wordByteCount: Int
  /// The rows of the buckets that are kept, where the model was pruned.
  let kept: [Int32: Int32]?
  /// Where the dictionary ends.
  let end: Int
  private let file: InputFile
  /// Where every ``stride``-th word stands.
  private let places: [Int]
  private let limits: FormatLimits

  private static let stride = 1024
  /// Where the number of kept buckets stands.
  static let keptCountOffset = FastTextArguments.byteCount + 20
  /// The bytes of count and type behind a word and its zero.
  private static let entryTail = 9

  /// Looks through a dictionary.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  init(
    _ file: InputFile, at offset: Int, bucketCount: Int, limits: FormatLimits
  ) throws(StorageError) {
    var window = SlidingWindow(file, at: offset, byteCount: 1 << 18)
    var cursor = EntryCursor(window: window, limits: limits)
    let sizes = try cursor.integers(7, part: "dictionary (fasttext F-4)")
    let (size, words, labels) = (Int(sizes[0]), Int(sizes[1]), Int(sizes[2]))
    let tokens = Int64(sizes[3]) & 0xFFFF_FFFF | Int64(sizes[4]) << 32
    let keptCount = Int64(sizes[5]) & 0xFFFF_FFFF | Int64(sizes[6]) << 32
    guard words >= 0, labels >= 0, words + labels == size, size <= limits.words else {
      throw FastTextArguments.malformed(
        "F-4", "words and labels that make up the entries, at most \(limits.words)",
        "\(words) and \(labels) of \(size)", file, offset)
    }
    guard keptCount >= -1, keptCount <= Int64(bucketCount) else {
      throw FastTextArguments.malformed(
        "F-6", "-1 or up to \(bucketCount) kept buckets", "\(keptCount)", file, offset + 20)
    }
    // An entry has at least its zero, count and type.
    guard size <= cursor.window.remaining / (1 + Self.entryTail) else {
      throw StorageError(
        .truncated(
          part: "dictionary (fasttext F-5)", expectedBytes: size * (1 + Self.entryTail),
          foundBytes: cursor.window.remaining), file: file.path, offset: cursor.window.offset)
    }
    var places: [Int] = []
    var byteCount = 0
    for entry in 0..<size {
      let place = cursor.window.offset
      if entry < words, entry % Self.stride == 0 { places.append(place) }
      let (word, type) = try cursor.next()
      guard type == (entry < words ? 0 : 1) else {
        throw FastTextArguments.malformed(
          "F-5", entry < words ? "a word, type 0" : "a label, type 1", "type \(type)", file,
          cursor.window.offset - 1)
      }
      if entry < words { byteCount += word.count }
    }
    kept = try keptCount < 0 ? nil : cursor.kept(Int(keptCount), bucketCount: bucketCount)
    window = cursor.window
    end = window.offset
    wordCount = words
    labelCount = labels
    tokenCount = Int(tokens)
    wordByteCount = byteCount
    self.file = file
    self.places = places
    self.limits = limits
  }

  /// Hands out the words of some rows.
  func collect(
    _ rows: ClosedRange<Int>, _ body: (_ row: Int, _ word: ArraySlice<UInt8>) -> Void
  ) throws(StorageError) {
    do {
      try visit(from: rows.lowerBound) { row, word in
        body(row, word)
        return row < rows.upperBound
      }
    } catch {
      throw error as? StorageError ?? StorageError(.notFound, file: file.path)
    }
  }

  /// Hands out the words from one on, until `body` returns false.
  func visit(
    from first: Int, _ body: (_ row: Int, _ word: ArraySlice<UInt8>) throws -> Bool
  ) throws {
    guard first < wordCount else { return }
    var row = first / Self.stride * Self.stride
    let window = SlidingWindow(file, at: places[first / Self.stride], byteCount: 1 << 15)
    var cursor = EntryCursor(window: window, limits: limits)
    while row < wordCount {
      let (word, _) = try cursor.next()
      if row >= first, try !body(row, cursor.window.bytes[word]) { return }
      row += 1
    }
  }
}

/// Reads the entries of a dictionary one by one.
private struct EntryCursor {
  var window: SlidingWindow
  let limits: FormatLimits

  /// 32-bit integers, one after the other.
  mutating func integers(_ count: Int, part: String) throws(StorageError) -> [Int32] {
    let held = try window.fill(count * 4)
    guard held >= count * 4 else {
      throw StorageError(
        .truncated(part: part, expectedBytes: count * 4, foundBytes: held),
        file: window.file.path, offset: window.offset)
    }
    let start = window.take(count * 4).lowerBound
    return (0..<count).map { window.bytes.littleEndian(at: start + $0 * 4, as: Int32.self) }
  }

  /// The next word in the window, and its type.
  mutating func next() throws(StorageError) -> (word: Range<Int>, type: UInt8) {
    let start = window.offset
    guard let length = try window.distance(to: 0, limit: limits.wordBytes) else {
      guard window.remaining > limits.wordBytes else {
        throw StorageError(
          .truncated(
            part: "word (fasttext F-5)", expectedBytes: window.remaining + 1,
            foundBytes: window.remaining), file: window.file.path, offset: start)
      }
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a word (fasttext F-5)", maximum: limits.wordBytes, found: "more"),
        file: window.file.path, offset: start)
    }
    let held = try window.fill(length + 10)
    guard held >= length + 10 else {
      throw StorageError(
        .truncated(part: "entry (fasttext F-5)", expectedBytes: length + 10, foundBytes: held),
        file: window.file.path, offset: start)
    }
    let word = window.take(length)
    let tail = window.take(10)
    return (word, window.bytes[tail.upperBound - 1])
  }

  /// The rows of the buckets that are kept.
  mutating func kept(
    _ count: Int, bucketCount: Int
  ) throws(StorageError) -> [Int32: Int32] {
    guard count <= window.remaining / 8 else {
      throw StorageError(
        .truncated(
          part: "kept buckets (fasttext F-6)", expectedBytes: count * 8,
          foundBytes: window.remaining), file: window.file.path, offset: window.offset)
    }
    var rows: [Int32: Int32] = [:]
    for _ in 0..<count {
      let offset = window.offset
      let pair = try integers(2, part: "kept buckets (fasttext F-6)")
      guard pair[0] >= 0, pair[0] < bucketCount, pair[1] >= 0, pair[1] < count,
        rows.updateValue(pair[1], forKey: pair[0]) == nil
      else {
        throw FastTextArguments.malformed(
          "F-6", "a bucket below \(bucketCount), once, and a row below \(count)",
          "\(pair[0]) and \(pair[1])", window.file, offset)
      }
    }
    return rows
  }
}
