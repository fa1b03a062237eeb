import FuzzTargets

/// Changes inputs where it hurts: numbers become the ones next to a limit, and lengths stay right so that the change is reached.
struct Mutator {
  private var state: UInt64
  let maximum: Int

  init(seed: UInt32, maximum: Int) {
    state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
    self.maximum = maximum
  }

  mutating func mutant(of bytes: [UInt8], _ structure: FuzzTarget.Structure) -> [UInt8] {
    switch structure {
    case .lengthAndHeader where next(4) > 0: headerMutant(of: bytes)
    case .numbers where next(2) > 0: numberMutant(of: bytes)
    case .text where next(3) > 0: textMutant(of: bytes)
    case .pickle where next(4) > 0: pickleMutant(of: bytes)
    case .array where next(4) > 0: arrayMutant(of: bytes)
    case .archive where next(4) > 0: archiveMutant(of: bytes)
    case .file: mutant(of: bytes, Self.structure(of: bytes))
    default: generalMutant(of: bytes, atMost: maximum)
    }
  }

  /// What the first bytes of a file say that it is.
  private static func structure(of bytes: [UInt8]) -> FuzzTarget.Structure {
    switch bytes.first {
    case UInt8(ascii: "P"): .archive
    case 0x80: .pickle
    case 0x93: .array
    case 0x89, 0xBA, UInt8(ascii: "G"): .numbers
    default:
      bytes.count > 8 && bytes[8] == UInt8(ascii: "{") && bytes[7] == 0 ? .lengthAndHeader : .text
    }
  }

  // MARK: - Length, header and data

  /// Changes the header alone, writes its new length before it, and lets the data be as long as the largest end that it names.
  private mutating func headerMutant(of bytes: [UInt8]) -> [UInt8] {
    guard bytes.count > 8 else { return generalMutant(of: bytes, atMost: maximum) }
    let declared = bytes[..<8].number
    guard (0...bytes.count - 8).contains(declared) else {
      return generalMutant(of: bytes, atMost: maximum)
    }
    let end = 8 + declared
    let header = textMutant(of: Array(bytes[8..<end]))
    var data = Array(bytes[end...])
    if next(2) > 0, let size = largestNumber(in: header), (0...1 << 16).contains(size) {
      data = (0..<size).map { $0 < data.count ? data[$0] : UInt8(truncatingIfNeeded: $0) }
    }
    return header.count.littleEndian(8) + header + data
  }

  private func largestNumber(in text: [UInt8]) -> Int? {
    numbers(in: text).compactMap { Int(String(decoding: text[$0], as: UTF8.self)) }.max()
  }

  // MARK: - Text

  /// Replaces a number, repeats or removes a piece between commas, exchanges two, or leaves it to libFuzzer.
  mutating func textMutant(of bytes: [UInt8]) -> [UInt8] {
    switch next(5) {
    case 0, 1:
      let numbers = numbers(in: bytes)
      guard !numbers.isEmpty else { break }
      let chosen = numbers[next(numbers.count)]
      let value = Int(String(decoding: bytes[chosen], as: UTF8.self)) ?? 0
      let text = next(3) > 0 ? boundary(near: value, size: bytes.count).description : oddNumber()
      return Array(bytes[..<chosen.lowerBound]) + Array(text.utf8)
        + Array(bytes[chosen.upperBound...])
    case 2:
      var pieces = bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      guard pieces.count > 1 else { break }
      let (first, second) = (next(pieces.count), next(pieces.count))
      switch next(3) {
      case 0: pieces.insert(pieces[first], at: second)
      case 1: pieces.remove(at: first)
      default: pieces.swapAt(first, second)
      }
      return Array(pieces.joined(separator: [UInt8(ascii: ",")]))
    default: break
    }
    return generalMutant(of: bytes, atMost: max(bytes.count + 32, 64))
  }

  private func numbers(in text: [UInt8]) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var start: Int?
    for (position, byte) in (text + [0]).enumerated() {
      if (0x30...0x39).contains(byte) {
        start = start ?? position
      } else if let first = start {
        result.append(first..<position)
        start = nil
      }
    }
    return result
  }

  private mutating func oddNumber() -> String {
    let spellings = [
      "18446744073709551615", "18446744073709551616", "9223372036854775808", "-1", "-0", "1e400",
      "1.0", "0x10", "00", "1e1", "99999999999999999999999999", "",
    ]
    return spellings[next(spellings.count)]
  }

  // MARK: - Binary numbers

  /// Writes a number at a limit over two, four or eight bytes somewhere.
  mutating func numberMutant(of bytes: [UInt8]) -> [UInt8] {
    let width = [1, 2, 4, 8][next(4)]
    guard bytes.count >= width else { return generalMutant(of: bytes, atMost: maximum) }
    // Headers come first.
    let reach = next(3) > 0 ? min(bytes.count - width, 256) : bytes.count - width
    let place = next(reach + 1)
    var mutant = bytes
    let old = bytes[place..<place + width].number
    let value = boundary(near: old, size: bytes.count - place)
    mutant.replaceSubrange(place..<place + width, with: value.littleEndian(width))
    return mutant
  }

  /// A number next to a limit, to the old one, or to the bytes that are left.
  mutating func boundary(near value: Int, size: Int) -> Int {
    let limits = [
      0, 1 << 7, 1 << 8, 1 << 15, 1 << 16, 1 << 20, 1 << 24, 1 << 30, 1 << 31, 1 << 32, 1 << 40,
      1 << 53, 1 << 62, Int.max, Int.min, value, value &* 2, size, size / 2, size / 4, size / 8,
    ]
    return limits[next(limits.count)] &+ [0, 1, -1][next(3)]
  }

  /// The next random number below a limit.
  mutating func next(_ limit: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state >> 1) % max(limit, 1)
  }
}

extension Int {
  /// The bytes of a number, the lowest first.
  func littleEndian(_ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) }
  }
}

extension Collection<UInt8> {
  /// A number of a few bytes, the lowest first.
  var number: Int { reversed().reduce(0) { $0 << 8 | Int($1) } }
}
