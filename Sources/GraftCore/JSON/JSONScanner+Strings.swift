extension JSONScanner {
  /// Scans a string from its opening quote on, checking UTF-8 and escapes without decoding.
  mutating func scanString(_ kind: JSONToken.Kind) throws(StorageError) -> JSONToken {
    position += 1
    let start = position
    var hasEscapes = false
    while true {
      skipPlainASCII()
      switch byte {
      case 0x22:
        position += 1
        return JSONToken(kind, start..<position - 1, hasEscapes: hasEscapes)
      case 0x5C:
        hasEscapes = true
        _ = try scanEscape()
      case .some(let byte) where byte >= 0x80: try scanMultibyte()
      case nil: throw malformed("json J-8", "the closing quote")
      default: throw malformed("json J-8", "an escape for the control character")
      }
    }
  }

  /// The bytes that a key or string stands for, escapes decoded.
  public func contents(of token: JSONToken) -> [UInt8] {
    guard token.hasEscapes else { return Array(bytes[token.range]) }
    var cursor = self
    cursor.position = token.range.lowerBound
    var decoded: [UInt8] = []
    decoded.reserveCapacity(token.range.count)
    while cursor.position < token.range.upperBound {
      let byte = bytes[cursor.position]
      if byte == 0x5C, let scalar = try? cursor.scanEscape() {
        decoded += Array(String(scalar).utf8)
      } else {
        decoded.append(byte)
        cursor.position += 1
      }
    }
    return decoded
  }

  /// Whether a key or string stands for these bytes.
  public func matches(_ token: JSONToken, _ text: String) -> Bool {
    guard !token.hasEscapes else { return contents(of: token).elementsEqual(text.utf8) }
    guard token.range.count == text.utf8.count else { return false }
    let span = bytes.span
    var index = token.range.lowerBound
    for byte in text.utf8 {
      guard span[index] == byte else { return false }
      index += 1
    }
    return true
  }

  /// The text that a key or string stands for.
  public func text(of token: JSONToken) -> String {
    token.hasEscapes
      ? String(decoding: contents(of: token), as: UTF8.self)
      : String(decoding: bytes[token.range], as: UTF8.self)
  }

  private mutating func skipPlainASCII() { position = endOfPlainASCII }

  private var endOfPlainASCII: Int {
    let span = bytes.span
    var index = position
    while index < span.count {
      let byte = span[index]
      guard byte >= 0x20, byte < 0x80, byte != 0x22, byte != 0x5C else { break }
      index += 1
    }
    return index
  }

  /// Scans one well-formed UTF-8 sequence of two to four bytes (Unicode, table 3-7).
  private mutating func scanMultibyte() throws(StorageError) {
    let lead = bytes[position]
    let second: ClosedRange<UInt8>
    let length: Int
    switch lead {
    case 0xC2...0xDF: (second, length) = (0x80...0xBF, 2)
    case 0xE0: (second, length) = (0xA0...0xBF, 3)
    case 0xED: (second, length) = (0x80...0x9F, 3)
    case 0xE1...0xEF: (second, length) = (0x80...0xBF, 3)
    case 0xF0: (second, length) = (0x90...0xBF, 4)
    case 0xF1...0xF3: (second, length) = (0x80...0xBF, 4)
    case 0xF4: (second, length) = (0x80...0x8F, 4)
    default: throw malformed("json J-1", "UTF-8")
    }
    for index in 1..<length {
      let allowed = index == 1 ? second : 0x80...0xBF
      guard position + index < bytes.count, allowed.contains(bytes[position + index]) else {
        throw malformed("json J-1", "UTF-8")
      }
    }
    position += length
  }

  /// Scans one escape from its backslash on; a surrogate pair is one escape.
  private mutating func scanEscape() throws(StorageError) -> Unicode.Scalar {
    let start = position
    position += 1
    let letter = byte
    position += 1
    switch letter {
    case 0x22: return "\""
    case 0x5C: return "\\"
    case 0x2F: return "/"
    case 0x62: return "\u{8}"
    case 0x66: return "\u{C}"
    case 0x6E: return "\n"
    case 0x72: return "\r"
    case 0x74: return "\t"
    case 0x75: break
    default:
      position = min(start + 1, bytes.count)
      throw malformed("json J-9", "one of \"\\/bfnrtu after a backslash")
    }
    let high = try scanHexadecimal()
    if let scalar = Unicode.Scalar(high) { return scalar }
    if high < 0xDC00, byte == 0x5C, position + 1 < bytes.count, bytes[position + 1] == 0x75 {
      position += 2
      let low = try scanHexadecimal()
      if (0xDC00...0xDFFF).contains(low),
        let scalar = Unicode.Scalar(0x10000 + (UInt32(high) - 0xD800) << 10 + UInt32(low) - 0xDC00)
      {
        return scalar
      }
    }
    position = start
    throw malformed("json J-10", "a whole surrogate pair")
  }

  private mutating func scanHexadecimal() throws(StorageError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch byte {
      case .some(let byte) where (0x30...0x39).contains(byte): digit = byte - 0x30
      case .some(let byte) where (0x41...0x46).contains(byte): digit = byte - 0x41 + 10
      case .some(let byte) where (0x61...0x66).contains(byte): digit = byte - 0x61 + 10
      default: throw malformed("json J-9", "four hexadecimal digits")
      }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    return value
  }
}
