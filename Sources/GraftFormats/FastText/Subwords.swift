internal import GraftCore

/// The n-grams of words, as fastText cuts and hashes them.
///
/// Source: Bojanowski and others, arXiv 1607.04606; `Formats/fasttext/SPEC.md`.
public struct Subwords: Sendable {
  /// The shortest and longest n-grams, in characters; none where the longest have none.
  public let lengths: (least: Int, most: Int)
  /// What hashes are taken modulo.
  public let bucketCount: Int
  /// The row of each bucket that is kept, where not all are.
  private let kept: [Int32: Int32]?

  /// The word that stands for the end of a line, which has no n-grams.
  public static let endOfLine = Array("</s>".utf8)

  /// Describes n-grams.
  ///
  /// - Precondition: there are buckets where there are n-grams.
  public init(lengths: (least: Int, most: Int), bucketCount: Int, kept: [Int32: Int32]? = nil) {
    precondition(lengths.most <= 0 || bucketCount > 0, "n-grams have buckets")
    self.lengths = lengths
    self.bucketCount = bucketCount
    self.kept = kept
  }

  /// The rows of a word's n-grams among the n-grams' rows, in fastText's order, with repetitions.
  ///
  /// An n-gram is `least` to `most` characters of the word between `<` and `>`, but for these two alone. A character is a byte with the
  /// continuation bytes of UTF-8 behind it, whatever comes before.
  public func rows(of word: some Collection<UInt8>) -> [Int] {
    guard lengths.most > 0, !word.elementsEqual(Self.endOfLine) else { return [] }
    let bytes = [0x3C] + Array(word) + [0x3E]
    var rows: [Int] = []
    for start in bytes.indices where !Self.continues(bytes[start]) {
      var hash = Hash()
      var end = start
      var length = 1
      while end < bytes.count, length <= lengths.most {
        repeat {
          hash.combine(bytes[end])
          end += 1
        } while end < bytes.count && Self.continues(bytes[end])
        let isBoundAlone = length == 1 && (start == 0 || end == bytes.count)
        if length >= lengths.least, !isBoundAlone, let row = row(of: hash.value) {
          rows.append(row)
        }
        length += 1
      }
    }
    return rows
  }

  /// How many n-grams a word has, with those that aren't kept.
  func count(of word: some Collection<UInt8>) -> Int {
    greatestCount(of: word.count { !Self.continues($0) })
  }

  /// The n-grams that a word of so many characters can't have more of.
  func greatestCount(of characters: Int) -> Int {
    // One is at most a word without a character before its continuation bytes.
    lengths.most > 0 ? (characters + 3) * (lengths.most - lengths.least + 1) : 0
  }

  private func row(of hash: UInt32) -> Int? {
    let bucket = Int(hash) % bucketCount
    guard let kept else { return bucket }
    return kept[Int32(truncatingIfNeeded: bucket)].map(Int.init)
  }

  private static func continues(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

  /// FNV-1a of 32 bits in which bytes count as signed numbers: those above 127 change all upper bits.
  struct Hash {
    private(set) var value: UInt32 = 2_166_136_261

    mutating func combine(_ byte: UInt8) {
      value = (value ^ UInt32(bitPattern: Int32(Int8(bitPattern: byte)))) &* 16_777_619
    }
  }
}
