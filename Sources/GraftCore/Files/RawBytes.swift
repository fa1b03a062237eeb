extension Array where Element: BitwiseCopyable {
  /// The elements' bytes, to read.
  ///
  /// Safe for the fully initialized, padding-free element types used here: integers and floats.
  public var rawBytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe span.bytes }
  }

  /// Runs `body` with the elements' bytes, to write; every bit pattern must be a valid element.
  public mutating func withMutableRawBytes<R, E: Error>(
    _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    var elements = mutableSpan
    var bytes = unsafe elements.mutableBytes
    return try body(&bytes)
  }
}
