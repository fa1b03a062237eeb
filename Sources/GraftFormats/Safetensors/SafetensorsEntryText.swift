internal import GraftCore

/// A tensor's entry of a header in the spelling that all known writers use: without white space and escapes, the three
/// fields in any order.
///
/// A hundred thousand tensors are read this way, without tokens. Whatever is spelled otherwise is left to ``SafetensorsFields``,
/// which this must equal.
struct SafetensorsEntryText {
  /// The place of the name between its quotes.
  let name: Range<Int>
  let fields: SafetensorsFields
  /// The place behind the entry.
  let end: Int

  /// Reads the entry that begins with a comma at `start`.
  init?(
    _ text: Span<UInt8>, at start: Int, _ dtypes: SafetensorsDTypes,
    _ shapes: inout SafetensorsShapes
  ) {
    var cursor = Cursor(text: text, position: start)
    guard cursor.takes(0x2C), cursor.takes(0x22) else { return nil }  // ,"
    let first = cursor.position
    // Names with an underscore in front may be __metadata__.
    guard cursor.byte != 0x5F, cursor.skipPlainASCII() else { return nil }
    name = first..<cursor.position - 1
    guard cursor.takes(0x3A), cursor.takes(0x7B) else { return nil }  // :{
    var dtype: DType?
    var dimensions: [Int]?
    var offsets: (begin: Int, end: Int)?
    for field in 0..<3 {
      guard field == 0 || cursor.takes(0x2C), cursor.takes(0x22) else { return nil }
      if dtype == nil, cursor.takes(word: Self.dtypeKey) {
        dtype = cursor.dtype(dtypes)
        guard dtype != nil else { return nil }
      } else if dimensions == nil, cursor.takes(word: Self.shapeKey) {
        dimensions = cursor.integers(&shapes)
        guard dimensions != nil else { return nil }
      } else if offsets == nil, cursor.takes(word: Self.offsetsKey),
        cursor.takes(part: Self.offsetsEnd)
      {
        guard let begin = cursor.integer(), cursor.takes(0x2C), let end = cursor.integer(),
          cursor.takes(0x5D), begin <= end
        else { return nil }
        offsets = (begin, end)
      } else {
        return nil
      }
    }
    guard cursor.takes(0x7D), let dtype, let dimensions, let offsets else { return nil }
    fields = SafetensorsFields(
      dtype: dtype, dimensions: dimensions, begin: offsets.begin, end: offsets.end)
    end = cursor.position
  }

  /// `dtype":"` as one word.
  private static var dtypeKey: UInt64 { 0x223A_2265_7079_7464 }
  /// `shape":[`.
  private static var shapeKey: UInt64 { 0x5B3A_2265_7061_6873 }
  /// `data_off`.
  private static var offsetsKey: UInt64 { 0x6666_6F5F_6174_6164 }
  /// `sets":[`, of which seven bytes count.
  private static var offsetsEnd: (word: UInt64, count: Int) { (0x5B_3A22_7374_6573, 7) }
}

/// The names of dtypes as words to compare.
struct SafetensorsDTypes {
  private let words: [(word: UInt64, dtype: DType)]

  /// Those of at most eight characters, the usual ones first.
  init() {
    let usual: [DType] = [.bf16, .f32, .f16, .u32, .f8E4M3, .i64, .u8]
    words = (usual + DType.allCases.filter { !usual.contains($0) && $0.isSafetensorsType })
      .compactMap { dtype in
        let name = dtype.rawValue.utf8
        guard name.count <= 8 else { return nil }
        return (name.reversed().reduce(0) { $0 << 8 | UInt64($1) }, dtype)
      }
  }

  /// The dtype of a name.
  subscript(_ word: UInt64) -> DType? {
    for entry in words where entry.word == word { return entry.dtype }
    return nil
  }
}

/// The shapes met last, so that the many tensors of one shape share its extents.
struct SafetensorsShapes {
  private var known: [(place: Range<Int>, extents: [Int])] = []
  private var oldest = 0

  private static let capacity = 8

  /// The extents that the text spells from a place on up to the bracket, and where they end.
  func find(_ text: Span<UInt8>, at start: Int) -> (extents: [Int], end: Int)? {
    for shape in known {
      let count = shape.place.count
      guard text.count - start >= count else { continue }
      var index = 0
      while index < count, text[start + index] == text[shape.place.lowerBound + index] {
        index += 1
      }
      if index == count { return (shape.extents, start + count) }
    }
    return nil
  }

  /// Keeps extents that a range of the text spells, its bracket with them.
  mutating func keep(_ extents: [Int], at place: Range<Int>) {
    if known.count < Self.capacity {
      known.append((place, extents))
    } else {
      known[oldest] = (place, extents)
      oldest = (oldest + 1) % Self.capacity
    }
  }
}

/// Goes through a text byte by byte.
private struct Cursor: ~Escapable {
  let text: Span<UInt8>
  var position: Int

  @_lifetime(copy text)
  init(text: Span<UInt8>, position: Int) {
    self.text = text
    self.position = position
  }

  var byte: UInt8? { position < text.count ? text[position] : nil }

  /// Goes on behind a byte, if it stands here.
  mutating func takes(_ byte: UInt8) -> Bool {
    guard position < text.count, text[position] == byte else { return false }
    position += 1
    return true
  }

  /// Goes on behind eight bytes, if they stand here.
  mutating func takes(word: UInt64) -> Bool { takes(part: (word, 8)) }

  /// Goes on behind the first bytes of a word, if they stand here.
  mutating func takes(part bytes: (word: UInt64, count: Int)) -> Bool {
    guard text.count - position >= 8 else { return false }
    // Safety: RawSpan checks the bounds, and every bit pattern is a number.
    let found = unsafe text.bytes.unsafeLoadUnaligned(
      fromByteOffset: position, as: UInt64.self
    ).littleEndian
    guard (found ^ bytes.word) << UInt64(64 - 8 * bytes.count) == 0 else { return false }
    position += bytes.count
    return true
  }

  /// Goes on behind the quote that ends a string of plain ASCII.
  mutating func skipPlainASCII() -> Bool {
    var index = position
    while index < text.count {
      let byte = text[index]
      guard byte != 0x22 else {
        position = index + 1
        return true
      }
      guard byte >= 0x20, byte < 0x80, byte != 0x5C else { return false }
      index += 1
    }
    return false
  }

  /// The dtype whose name ends at the next quote.
  mutating func dtype(_ dtypes: SafetensorsDTypes) -> DType? {
    var word: UInt64 = 0
    var count: UInt64 = 0
    while position < text.count, text[position] != 0x22, count < 8 {
      word |= UInt64(text[position]) << (8 * count)
      count += 1
      position += 1
    }
    return takes(0x22) ? dtypes[word] : nil
  }

  /// A number of at most 18 digits.
  mutating func integer() -> Int? {
    let start = position
    var value = 0
    while position < text.count, position - start < 18 {
      let digit = text[position] &- 0x30
      guard digit < 10 else { break }
      value = value &* 10 &+ Int(digit)
      position += 1
    }
    let count = position - start
    guard count > 0, count == 1 || text[start] != 0x30 else { return nil }
    return value
  }

  /// The numbers before the next closing bracket.
  mutating func integers(_ shapes: inout SafetensorsShapes) -> [Int]? {
    if let (extents, end) = shapes.find(text, at: position) {
      position = end
      return extents
    }
    let start = position
    var result: [Int] = []
    guard !takes(0x5D) else { return result }
    result.reserveCapacity(4)
    repeat {
      guard let value = integer() else { return nil }
      result.append(value)
    } while takes(0x2C)
    guard takes(0x5D) else { return nil }
    shapes.keep(result, at: start..<position)
    return result
  }
}
