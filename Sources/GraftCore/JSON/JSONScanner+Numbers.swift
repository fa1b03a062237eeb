extension JSONScanner {
  /// Scans a number by RFC 8259's grammar: minus, integer without leading zeros, fraction, exponent.
  mutating func scanNumber() throws(StorageError) {
    if byte == 0x2D { position += 1 }
    if byte == 0x30 {
      position += 1
      if isDigit { throw malformed("json J-7", "no digit after a leading zero") }
    } else {
      try scanDigits()
    }
    if byte == 0x2E {
      position += 1
      try scanDigits()
    }
    if byte == 0x65 || byte == 0x45 {
      position += 1
      if byte == 0x2B || byte == 0x2D { position += 1 }
      try scanDigits()
    }
  }

  /// The value of a number token that is a plain integer without sign; nil when it isn't one or is above
  /// `UInt64.max`.
  public func unsigned(_ token: JSONToken) -> UInt64? {
    guard token.kind == .number else { return nil }
    var value: UInt64 = 0
    for byte in bytes[token.range] {
      guard byte >= 0x30, byte <= 0x39 else { return nil }
      let (product, productOverflows) = value.multipliedReportingOverflow(by: 10)
      let (sum, sumOverflows) = product.addingReportingOverflow(UInt64(byte - 0x30))
      guard !productOverflows, !sumOverflows else { return nil }
      value = sum
    }
    return value
  }

  private var isDigit: Bool { byte.map { (0x30...0x39).contains($0) } ?? false }

  private mutating func scanDigits() throws(StorageError) {
    guard isDigit else { throw malformed("json J-7", "a digit") }
    while isDigit { position += 1 }
  }
}
