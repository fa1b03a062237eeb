/// The hash XXH64, with seed 0, of bytes that come in pieces: tells contents apart, and is no protection against forgery.
///
/// The specification is `doc/xxhash_spec.md` of https://github.com/Cyan4973/xxHash.
package struct XXHash64 {
  private var lanes: (UInt64, UInt64, UInt64, UInt64)
  /// The bytes after the last whole stripe.
  private var tail: [UInt8] = []
  private var count: UInt64 = 0

  private static let stripe = 32
  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  /// The hash of no bytes yet.
  package init() {
    lanes = (Self.prime1 &+ Self.prime2, Self.prime2, 0, 0 &- Self.prime1)
    tail.reserveCapacity(Self.stripe)
  }

  /// Adds bytes.
  package mutating func combine(_ bytes: RawSpan) {
    count += UInt64(bytes.byteCount)
    var start = 0
    if !tail.isEmpty {
      start = min(Self.stripe - tail.count, bytes.byteCount)
      appendToTail(bytes, 0..<start)
      guard tail.count == Self.stripe else { return }
      let whole = tail
      whole.withRawBytes { _ = consume($0, from: 0) }
      tail.removeAll(keepingCapacity: true)
    }
    let rest = consume(bytes, from: start)
    appendToTail(bytes, rest..<bytes.byteCount)
  }

  /// Adds the bytes of elements.
  package mutating func combine<Element: BitwiseCopyable>(_ elements: [Element]) {
    elements.withRawBytes { combine($0) }
  }

  /// Adds bytes behind their number, so that parts that follow one another aren't taken for others.
  package mutating func combine(counted bytes: [UInt8]) {
    combine([UInt64(bytes.count).littleEndian])
    combine(bytes)
  }

  /// The hash of all bytes so far.
  package var value: UInt64 {
    var hash: UInt64
    if count >= UInt64(Self.stripe) {
      let (a, b, c, d) = lanes
      hash = Self.rotated(a, 1) &+ Self.rotated(b, 7) &+ Self.rotated(c, 12) &+ Self.rotated(d, 18)
      for lane in [a, b, c, d] {
        hash = (hash ^ Self.round(0, lane)) &* Self.prime1 &+ Self.prime4
      }
    } else {
      hash = Self.prime5
    }
    hash &+= count
    return Self.mixed(hash, tail)
  }

  /// The hash as 16 hexadecimal digits.
  package var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  // MARK: - Steps of the specification

  /// Takes the whole stripes from `start` on, and gives the place behind them.
  @discardableResult
  private mutating func consume(_ bytes: RawSpan, from start: Int) -> Int {
    var (a, b, c, d) = lanes
    var place = start
    while place + Self.stripe <= bytes.byteCount {
      a = Self.round(a, Self.load(bytes, place))
      b = Self.round(b, Self.load(bytes, place + 8))
      c = Self.round(c, Self.load(bytes, place + 16))
      d = Self.round(d, Self.load(bytes, place + 24))
      place += Self.stripe
    }
    lanes = (a, b, c, d)
    return place
  }

  private mutating func appendToTail(_ bytes: RawSpan, _ range: Range<Int>) {
    for place in range {
      // Safety: RawSpan checks the bounds, and every bit pattern is a byte.
      tail.append(unsafe bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self))
    }
  }

  private static func mixed(_ start: UInt64, _ tail: [UInt8]) -> UInt64 {
    var hash = start
    var place = 0
    tail.withRawBytes { bytes in
      while place + 8 <= bytes.byteCount {
        hash = rotated(hash ^ round(0, load(bytes, place)), 27) &* prime1 &+ prime4
        place += 8
      }
    }
    if place + 4 <= tail.count {
      let word = tail[place..<place + 4].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      hash = rotated(hash ^ word &* prime1, 23) &* prime2 &+ prime3
      place += 4
    }
    for byte in tail[place...] { hash = rotated(hash ^ UInt64(byte) &* prime5, 11) &* prime1 }
    hash = (hash ^ hash >> 33) &* prime2
    hash = (hash ^ hash >> 29) &* prime3
    return hash ^ hash >> 32
  }

  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotated(lane &+ word &* prime2, 31) &* prime1
  }

  private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    word &<< bits | word &>> (64 - bits)
  }

  private static func load(_ bytes: RawSpan, _ place: Int) -> UInt64 {
    // Safety: RawSpan checks the bounds, and every bit pattern is a number.
    UInt64(
      littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: place, as: UInt64.self))
  }
}
