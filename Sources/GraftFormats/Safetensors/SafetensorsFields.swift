internal import GraftCore

/// The three fields of a tensor in a safetensors header.
struct SafetensorsFields {
  let dtype: DType
  let dimensions: [Int]
  let begin: Int
  let end: Int

  /// Takes fields that are read already.
  init(dtype: DType, dimensions: [Int], begin: Int, end: Int) {
    self.dtype = dtype
    self.dimensions = dimensions
    self.begin = begin
    self.end = end
  }

  /// Reads the object that follows a tensor's name.
  ///
  /// Further fields are skipped, as the reference implementation does.
  init(_ scanner: inout JSONScanner) throws(StorageError) {
    let start = try scanner.next()
    guard start.kind == .objectStart else {
      // A value that isn't JSON is told as that first.
      try scanner.skip(start)
      throw scanner.violation("S-6", "a tensor's fields", at: start.range.lowerBound)
    }
    var dtype: DType?
    var dimensions: [Int]?
    var offsets: [Int]?
    var others = JSONKeySet()
    while true {
      let key = try scanner.next()
      guard key.kind == .key else { break }
      if scanner.matches(key, "dtype") {
        guard dtype == nil else { throw scanner.repeated(key) }
        dtype = try Self.dtype(&scanner)
      } else if scanner.matches(key, "shape") {
        guard dimensions == nil else { throw scanner.repeated(key) }
        dimensions = try Self.integers("S-8", "extents", &scanner)
      } else if scanner.matches(key, "data_offsets") {
        guard offsets == nil else { throw scanner.repeated(key) }
        offsets = try Self.integers("S-9", "two offsets in order", &scanner)
      } else {
        guard others.insert(key, of: scanner) else { throw scanner.repeated(key) }
        try scanner.skip(scanner.next())
      }
    }
    guard let dtype, let dimensions, let offsets else {
      throw scanner.violation(
        "S-6", "dtype, shape and data_offsets", at: start.range.lowerBound)
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw scanner.violation("S-9", "two offsets in order", at: start.range.lowerBound)
    }
    self.dtype = dtype
    self.dimensions = dimensions
    (begin, end) = (offsets[0], offsets[1])
  }

  private static func dtype(_ scanner: inout JSONScanner) throws(StorageError) -> DType {
    let token = try scanner.next()
    guard token.kind == .string else {
      throw scanner.violation("S-7", "the name of a dtype", at: token.range.lowerBound)
    }
    let name = scanner.text(of: token)
    guard let dtype = DType(rawValue: name), dtype.isSafetensorsType else {
      throw StorageError(
        .unsupported(feature: "dtype (safetensors S-7)", found: "'\(name)'"), file: scanner.file,
        offset: scanner.base + token.range.lowerBound)
    }
    return dtype
  }

  /// An array of unsigned integers; how many there are is checked by the caller, how long the list may grow here.
  private static func integers(
    _ rule: String, _ expected: String, _ scanner: inout JSONScanner
  ) throws(StorageError) -> [Int] {
    let start = try scanner.next()
    guard start.kind == .arrayStart else {
      throw scanner.violation(rule, expected, at: start.range.lowerBound)
    }
    var result: [Int] = []
    result.reserveCapacity(4)
    while true {
      let token = try scanner.next()
      guard token.kind != .arrayEnd else { return result }
      guard let value = scanner.unsigned(token), let integer = Int(exactly: value) else {
        throw scanner.violation(rule, expected, at: token.range.lowerBound)
      }
      result.append(integer)
    }
  }
}
