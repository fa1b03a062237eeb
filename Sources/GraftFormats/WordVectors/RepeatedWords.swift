internal import GraftCore

/// Finds the rows whose word has come before, by 88-bit hashes under a key of the process, in a bounded table.
///
/// Two different words have one hash with a probability below 10⁻¹⁰ in a file of a hundred million. Where a file has more words than
/// fit, its words are looked at several times, each time those of another share of the hashes.
struct RepeatedWords {
  /// A word's hash and where its row stands: 64 bits, then 24 bits with the 40 bits of an offset.
  private struct Entry {
    var high: UInt64
    var low: UInt64
  }

  private static let offsetBits: UInt64 = 40
  private static let offsetMask: UInt64 = 1 << offsetBits - 1

  /// The offsets of rows whose word stands in an earlier row too.
  private(set) var offsets: [Int] = []
  /// The bytes of their words.
  private(set) var byteCount = 0
  /// Whether the table had no room; what it found is then to be forgotten.
  private(set) var isFull = false
  private var entries: [Entry]
  private var count = 0
  private let share: Int
  private let shareCount: Int
  private let capacity: Int

  /// A table for one of several shares of the words, of which about `expected` are in it.
  ///
  /// - Parameter capacity: The most places of the table, a power of two.
  init(share: Int, of shareCount: Int, expecting expected: Int, capacity: Int) {
    self.share = share
    self.shareCount = shareCount
    self.capacity = capacity
    var places = 1024
    while places < capacity, places * 3 / 4 < expected { places *= 2 }
    entries = [Entry](repeating: Entry(high: 0, low: 0), count: min(places, capacity))
  }

  /// A word, hashed: on any thread.
  struct Hash {
    fileprivate let high: UInt64
    fileprivate let low: UInt64

    init(_ bytes: Span<UInt8>, _ word: Range<Int>) {
      high = Self.half(bytes, word, 1)
      low = Self.half(bytes, word, 2) & ~RepeatedWords.offsetMask
    }

    private static func half(_ bytes: Span<UInt8>, _ word: Range<Int>, _ salt: UInt8) -> UInt64 {
      var hasher = Hasher()
      hasher.combine(salt)
      unsafe bytes.extracting(word).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
      let value = UInt64(bitPattern: Int64(hasher.finalize()))
      // Zero marks an empty place.
      return salt == 1 && value == 0 ? 1 : value
    }
  }

  /// Adds a row; rows may come in any order.
  ///
  /// - Precondition: the offset is below a tebibyte.
  mutating func insert(_ hash: Hash, offset: Int, wordByteCount: Int) {
    guard shareCount == 1 || Int(hash.high % UInt64(shareCount)) == share, !isFull else { return }
    if count >= entries.count * 3 / 4 { grow() }
    guard !isFull else { return }
    var place = Int(truncatingIfNeeded: hash.high >> 20) & (entries.count - 1)
    while entries[place].high != 0 {
      let entry = entries[place]
      if entry.high == hash.high, entry.low & ~Self.offsetMask == hash.low {
        let first = Int(entry.low & Self.offsetMask)
        offsets.append(max(first, offset))
        byteCount += wordByteCount
        entries[place].low = hash.low | UInt64(min(first, offset))
        return
      }
      place = (place + 1) & (entries.count - 1)
    }
    entries[place] = Entry(high: hash.high, low: hash.low | UInt64(offset))
    count += 1
  }

  /// Forgets what was found, and keeps no table.
  mutating func forget() {
    self = RepeatedWords(share: 0, of: 1, expecting: 0, capacity: 1)
  }

  /// Takes over what another table found.
  mutating func add(_ other: RepeatedWords) {
    offsets += other.offsets
    byteCount += other.byteCount
    isFull = isFull || other.isFull
  }

  private mutating func grow() {
    guard entries.count < capacity else {
      isFull = true
      entries = []
      return
    }
    var wider = [Entry](repeating: Entry(high: 0, low: 0), count: entries.count * 2)
    for entry in entries where entry.high != 0 {
      var place = Int(truncatingIfNeeded: entry.high >> 20) & (wider.count - 1)
      while wider[place].high != 0 { place = (place + 1) & (wider.count - 1) }
      wider[place] = entry
    }
    entries = wider
  }
}

extension Vocabulary {
  /// Whether all words differ; nil when they do, else a row whose word has come before, and the word.
  ///
  /// - Throws: what ``visit(_:)`` throws.
  package func repetition(
    limits: FormatLimits = .standard
  ) throws -> (row: Int, word: [UInt8])? {
    var shareCount = 1
    var share = 0
    while share < shareCount {
      var table = RepeatedWords(
        share: share, of: shareCount, expecting: count / shareCount,
        capacity: limits.wordTablePlaces)
      var found: (row: Int, word: [UInt8])?
      try visit { row, word in
        guard found == nil, !table.isFull else { return }
        table.insert(
          RepeatedWords.Hash(word.span, 0..<word.count), offset: row, wordByteCount: word.count)
        if !table.offsets.isEmpty { found = (row, Array(word)) }
      }
      if let found { return found }
      if table.isFull {
        // Begin again with smaller shares.
        shareCount = max(shareCount * 2, count * 2 / limits.wordTablePlaces + 1)
        share = 0
      } else {
        share += 1
      }
    }
    return nil
  }
}
