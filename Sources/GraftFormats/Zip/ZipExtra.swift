internal import GraftCore

/// The wide sizes and offset of an entry, kept in its extra field where the usual fields are at their maximum.
struct ZipExtra {
  private(set) var byteCount: UInt64
  private(set) var storedByteCount: UInt64
  private(set) var offset: UInt64

  private static let wideField = 0x0001
  private static let maximum: UInt32 = 0xFFFF_FFFF

  /// Reads an extra field; nil where its records don't fit it, or a wide number is missing.
  ///
  /// - Parameter offset: The narrow offset; nil in a local header, which has none.
  init?(_ extra: ArraySlice<UInt8>, byteCount: UInt32, storedByteCount: UInt32, offset: UInt32?) {
    self.byteCount = UInt64(byteCount)
    self.storedByteCount = UInt64(storedByteCount)
    self.offset = UInt64(offset ?? 0)
    var wide: ArraySlice<UInt8>?
    var rest = extra
    while !rest.isEmpty {
      guard rest.count >= 4 else { return nil }
      let fields = ZipFields(rest)
      let (kind, size) = (fields.u16(at: 0), fields.u16(at: 2))
      guard rest.count - 4 >= size else { return nil }
      let body = rest.dropFirst(4).prefix(size)
      if kind == Self.wideField {
        guard wide == nil else { return nil }
        wide = body
      }
      rest = rest.dropFirst(4 + size)
    }
    func next() -> UInt64? {
      guard let body = wide, body.count >= 8 else { return nil }
      wide = body.dropFirst(8)
      return ZipFields(body).u64(at: 0)
    }
    if byteCount == Self.maximum {
      guard let value = next() else { return nil }
      self.byteCount = value
    }
    if storedByteCount == Self.maximum {
      guard let value = next() else { return nil }
      self.storedByteCount = value
    }
    if offset == Self.maximum {
      guard let value = next() else { return nil }
      self.offset = value
    }
  }
}
