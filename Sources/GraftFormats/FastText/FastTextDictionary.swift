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
    _ file: InputFile, after arguments: FastTextArguments, limits: FormatLimits
  ) throws(StorageError) {
    let (offset, bucketCount) = (FastTextArguments.byteCount, arguments.bucketCount)
    let ngrams = Subwords(lengths: arguments.ngramLengths, bucketCount: max(bucketCount, 1))
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
      guard entry < words else { continue }
      byteCount += word.count
      guard
        ngrams.greatestCount(of: word.count) <= limits.ngrams
          || ngrams.count(of: cursor.window.bytes[word]) <= limits.ngrams
      else {
        throw StorageError(
          .limitExceeded(
            limit: "n-grams of a word (fasttext F-5)", maximum: limits.ngrams,
            found: "more, of \(word.count) bytes"),
          file: file.path, offset: place)
      }
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

  /// The words from one on.
  ///
  /// - Precondition: there is such a word.
  func words(from first: Int) throws(StorageError) -> Words {
    let window = SlidingWindow(file, at: places[first / Self.stride], byteCount: 1 << 15)
    var words = Words(cursor: EntryCursor(window: window, limits: limits))
    for _ in 0..<first % Self.stride { _ = try words.next() }
    return words
  }

  /// Reads words one after the other; no more than there are.
  struct Words {
    fileprivate var cursor: EntryCursor

    mutating func next() throws(StorageError) -> ArraySlice<UInt8> {
      let (word, _) = try cursor.next()
      return cursor.window.bytes[word]
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
