internal import Glibc

extension Array where Element: BitwiseCopyable {
  /// Runs `body` with the elements' bytes, to read.
  ///
  /// Safe for the fully initialized, padding-free element types used here: integers, floats and Booleans. The bytes are lent to a
  /// scope, not by a property: swiftc 6.3 ends an array that only an expression holds, such as `[x]`, before a span of it is used.
  @inlinable
  public func withRawBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    // Safety: the buffer is good for the closure, which a span can't leave.
    try unsafe withUnsafeBufferPointer { (elements) throws(E) -> R in
      try body(unsafe RawSpan(_unsafeElements: elements))
    }
  }

  /// Runs `body` with the elements' bytes, to write; every bit pattern must be a valid element.
  @inlinable
  public mutating func withMutableRawBytes<R, E: Error>(
    _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    var elements = mutableSpan
    var bytes = unsafe elements.mutableBytes
    return try body(&bytes)
  }
}

extension MutableRawSpan {
  /// Overwrites bytes from an offset on.
  ///
  /// - Precondition: they fit.
  package mutating func overwrite(at offset: Int, with source: RawSpan) {
    precondition(
      offset >= 0 && source.byteCount <= byteCount - offset, "a copy lies inside its target")
    // Safety: both are good for their counts inside the closures, and the counts were compared.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
      }
    }
  }
}

extension Array where Element == UInt8 {
  /// A little-endian integer at a byte.
  ///
  /// - Precondition: it lies inside the array.
  @inlinable
  package func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as _: Value.Type
  ) -> Value {
    withRawBytes {
      // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
      Value(littleEndian: unsafe $0.unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self))
    }
  }

  /// Whether two arrays are equal, compared as one run of memory: names make up hash tables by the 100,000.
  package func hasSameBytes(as other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    return unsafe withUnsafeBytes { left in
      unsafe other.withUnsafeBytes { right in
        guard let left = left.baseAddress, let right = right.baseAddress else {
          return true
        }
        return unsafe memcmp(left, right, count) == 0
      }
    }
  }

  /// Whether a range has the bytes that another array has from a place on.
  package func hasSameBytes(in range: Range<Int>, as other: [UInt8], from start: Int) -> Bool {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "a range of this array")
    precondition(start >= 0 && range.count <= other.count - start, "a range of the other array")
    return unsafe withUnsafeBytes { left in
      unsafe other.withUnsafeBytes { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return true }
        return unsafe memcmp(left + range.lowerBound, right + start, range.count) == 0
      }
    }
  }

  /// Whether a slice has the same bytes.
  package func hasSameBytes(as other: ArraySlice<UInt8>) -> Bool {
    guard count == other.count else { return false }
    return unsafe withUnsafeBytes { left in
      unsafe other.withUnsafeBytes { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return true }
        return unsafe memcmp(left, right, count) == 0
      }
    }
  }

  /// Where a piece ends that begins at a place and has at most so many bytes: between characters of UTF-8.
  ///
  /// Bytes that aren't UTF-8 are cut anywhere.
  /// - Precondition: a piece has room for a byte.
  package func endOfPiece(from start: Int, atMost byteCount: Int) -> Int {
    precondition(byteCount > 0, "a piece has room for a byte")
    let limit = Swift.min(start + byteCount, count)
    guard limit < count else { return limit }
    // After the first byte of a character there are at most three.
    let ends = (Swift.max(limit - 3, start + 1)...limit).reversed()
    return ends.first { self[$0] & 0xC0 != 0x80 } ?? limit
  }

  /// Whether the bytes come before others in the order of their values.
  package func precedes(_ other: [UInt8]) -> Bool {
    let shared = Swift.min(count, other.count)
    let order = unsafe withUnsafeBytes { left in
      unsafe other.withUnsafeBytes { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return Int32(0) }
        return unsafe memcmp(left, right, shared)
      }
    }
    return order == 0 ? count < other.count : order < 0
  }

  /// Hashes the bytes as one run of memory.
  package func hashBytes(into hasher: inout Hasher) {
    unsafe withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
  }
}
