internal import GraftCore

/// The value of elements that were never written.
enum FillValue {
  /// The bytes of one element as stored: from the message of either kind, else zeros.
  ///
  /// - Throws: ``StorageError`` when the value isn't one element.
  static func bytes(_ header: ObjectHeader, elementBytes: Int) throws(StorageError) -> [UInt8] {
    let value: ArraySlice<UInt8>
    let cursor: StructureCursor
    if let body = try header.body(.fillValue)?.under("fill value", "H-8") {
      cursor = body
      value = try new(body)
    } else if let body = try header.body(.oldFillValue)?.under("fill value", "H-8") {
      cursor = body
      var body = body
      value = try body.take(body.u32())
    } else {
      return [UInt8](repeating: 0, count: elementBytes)
    }
    guard !value.isEmpty else { return [UInt8](repeating: 0, count: elementBytes) }
    guard value.count == elementBytes else {
      throw cursor.malformed(
        "a fill value of \(elementBytes) bytes", found: "\(value.count) bytes")
    }
    return Array(value)
  }

  /// The value of the message that 1.6 and later write.
  private static func new(_ body: StructureCursor) throws(StorageError) -> ArraySlice<UInt8> {
    var cursor = body
    let version = try cursor.version(1...3)
    if version == 3 {
      guard try cursor.u8() & 0x20 != 0 else { return [] }
    } else {
      try cursor.skip(2)
      let isDefined = try cursor.u8() != 0
      guard isDefined || version == 1 else { return [] }
    }
    let count = try cursor.u32()
    // Version 1 gives a size even where nothing is defined.
    return count > cursor.remaining && version == 1 ? [] : try cursor.take(count)
  }
}
