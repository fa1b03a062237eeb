internal import GraftCore

/// The header of a NumPy array: element type, extents, order, and where the elements begin.
///
/// The rules are those of `Formats/numpy/SPEC.md`.
struct NumPyHeader: Equatable {
  /// The element type.
  let dtype: DType
  /// Whether the elements have their high byte first.
  let isBigEndian: Bool
  /// The extents.
  let extents: [Int]
  /// The step of each dimension, in elements: in Fortran's order the first index is the fastest.
  let strides: [Int]
  /// The bytes before the elements.
  let byteCount: Int

  static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
  /// The bytes that say how long the header is: magic, version, and a length of 2 or 4 bytes.
  static let preambleByteCount = 12

  /// The bytes of a whole header, from an array's first ones.
  ///
  /// - Parameters:
  ///   - start: At least ``preambleByteCount`` bytes, or all there are.
  ///   - available: The bytes of the array with its header.
  /// - Throws: ``StorageError`` with the broken rule.
  static func byteCount(
    _ start: ArraySlice<UInt8>, of available: Int, file: String, base: Int?, limits: FormatLimits
  ) throws(StorageError) -> Int {
    guard start.count >= 10 else {
      guard magic.starts(with: start.prefix(magic.count)) else { throw notNumPy(file, base) }
      throw StorageError(
        .truncated(part: "header (numpy N-1)", expectedBytes: 10, foundBytes: start.count),
        file: file, offset: base)
    }
    guard start.starts(with: magic) else { throw notNumPy(file, base) }
    let version = start.dropFirst(magic.count).prefix(2)
    let (major, minor) = (version[version.startIndex], version[version.startIndex + 1])
    guard (1...3).contains(major), minor == 0 else {
      throw StorageError(
        .unsupported(feature: "version of an array (numpy N-2)", found: "\(major).\(minor)"),
        file: file, offset: base.map { $0 + 6 })
    }
    let fields = ZipFields(start)
    let preamble = major == 1 ? 10 : 12
    guard start.count >= preamble else {
      throw StorageError(
        .truncated(part: "header (numpy N-1)", expectedBytes: preamble, foundBytes: start.count),
        file: file, offset: base)
    }
    let length = major == 1 ? fields.u16(at: 8) : Int(fields.u32(at: 8))
    guard length <= limits.numPyHeaderBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a header (numpy N-3)", maximum: limits.numPyHeaderBytes,
          found: "\(length)"),
        file: file, offset: base.map { $0 + 8 })
    }
    guard length <= available - preamble else {
      throw StorageError(
        .truncated(
          part: "header (numpy N-3)", expectedBytes: length, foundBytes: available - preamble),
        file: file, offset: base.map { $0 + preamble })
    }
    return preamble + length
  }

  private static func notNumPy(_ file: String, _ base: Int?) -> StorageError {
    StorageError(
      .malformed(rule: "numpy N-1", expected: "the magic of NumPy's arrays", found: "other bytes"),
      file: file, offset: base)
  }

  /// Parses a whole header.
  ///
  /// - Parameter base: Where it begins in the file; nil where it doesn't stand there as it is.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  init(_ bytes: [UInt8], file: String, base: Int?) throws(StorageError) {
    let preamble = bytes.count > 6 && bytes[6] == 1 ? 10 : 12
    var literal = PythonLiteral(bytes, from: preamble, file: file, base: base)
    let fields = try literal.dictionary()
    let wanted = ["descr", "fortran_order", "shape"]
    guard fields.map(\.key).sorted() == wanted else {
      throw literal.violation(
        "N-5", "descr, fortran_order and shape, each once",
        fields.map(\.key).joined(separator: ", "), at: preamble)
    }
    var dtype: (DType, isBigEndian: Bool)?
    var order: Bool?
    var extents: [Int]?
    for field in fields {
      switch (field.key, field.value) {
      case ("descr", .text(let name)):
        dtype = try Self.dtype(name, file: file, offset: base.map { $0 + field.position })
      case ("descr", .list):
        throw StorageError(
          .unsupported(feature: "element type (numpy N-6)", found: "a structured array"),
          file: file, offset: base.map { $0 + field.position },
          remedy: "save its fields one by one")
      case ("fortran_order", .boolean(let flag)): order = flag
      case ("shape", .tuple(let integers)): extents = integers
      default:
        throw literal.violation(
          "N-5", "a text, a truth value and a tuple of whole numbers", field.key,
          at: field.position)
      }
    }
    guard let dtype, let order, let extents else {
      throw literal.violation("N-5", "descr, fortran_order and shape", "others", at: preamble)
    }
    (self.dtype, isBigEndian) = (dtype.0, dtype.isBigEndian)
    self.extents = extents
    strides = order ? StridedView.columnMajor(extents) : StridedView.rowMajor(extents)
    byteCount = bytes.count
  }

  /// The dtype that a description such as `<f4` stands for.
  private static func dtype(
    _ name: String, file: String, offset: Int?
  ) throws(StorageError) -> (DType, isBigEndian: Bool) {
    let mark = name.first
    let kind = String(name.dropFirst())
    if kind.hasPrefix("O") || name == "O" {
      throw StorageError(
        .refused(policy: "an array of Python objects (numpy N-6)", found: "'\(name)'"), file: file,
        offset: offset, remedy: "such arrays are pickles, which can run code: save plain numbers")
    }
    let single: [String: DType] = ["b1": .bool, "u1": .u8, "i1": .i8]
    let wide: [String: DType] = [
      "f2": .f16, "f4": .f32, "f8": .f64, "i2": .i16, "i4": .i32, "i8": .i64, "u2": .u16,
      "u4": .u32, "u8": .u64, "c8": .c64,
    ]
    if let dtype = single[kind], mark == "|" || mark == "<" || mark == ">" { return (dtype, false) }
    if let dtype = wide[kind], mark == "<" || mark == ">" { return (dtype, mark == ">") }
    throw StorageError(
      .unsupported(feature: "element type (numpy N-6)", found: "'\(name)'\(words(for: kind))"),
      file: file, offset: offset, remedy: "save the array as f2, f4, f8, an integer type or c8")
  }

  private static func words(for kind: String) -> String {
    switch kind.first {
    case "U", "S", "a": " (text)"
    case "M", "m": " (times)"
    case "V": " (raw bytes, as NumPy calls bfloat16 and 8-bit floats)"
    case "c": " (complex numbers of another width)"
    case "f": " (floats of another width)"
    default: ""
    }
  }
}
