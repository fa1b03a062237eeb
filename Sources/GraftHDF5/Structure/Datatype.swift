internal import GraftCore

/// The type of the elements of a dataset or attribute, as the file describes it.
enum Datatype {
  /// An integer that fills its bytes.
  case integer(byteCount: Int, isSigned: Bool, isBigEndian: Bool)
  /// A binary float; nil fields for one that isn't laid out as sign, exponent, mantissa with a hidden bit.
  case float(FloatFields?, byteCount: Int, isBigEndian: Bool)
  /// Text of a fixed number of bytes.
  case text(byteCount: Int, HDF5TextForm)
  /// Text in a heap.
  case heapText(HDF5TextForm)
  /// Bytes with a tag.
  case opaque(tag: [UInt8], byteCount: Int)
  /// Named members at offsets.
  case compound([Member], byteCount: Int)
  /// Names for values of an integer.
  indirect case enumeration(Datatype, [(name: [UInt8], value: ArraySlice<UInt8>)])
  /// Anything else, in words.
  case other(String, byteCount: Int)

  /// A member of a compound.
  struct Member {
    let name: [UInt8]
    let offset: Int
    let type: Datatype
  }

  /// How deep types may be made of types; what is read here needs two.
  private static let maximumDepth = 8

  /// The bytes of an element.
  var byteCount: Int {
    switch self {
    case .integer(let count, _, _), .float(_, let count, _), .text(let count, _),
      .opaque(_, let count), .compound(_, let count), .other(_, let count):
      count
    case .heapText: 16
    case .enumeration(let base, _): base.byteCount
    }
  }

  /// The type in words, for errors.
  var words: String {
    let kind =
      switch self {
      case .integer: "an integer"
      case .float: "a float"
      case .text, .heapText: "a string"
      case .opaque: "an opaque value"
      case .compound: "a compound"
      case .enumeration: "an enumeration"
      case .other(let words, _): words
      }
    return "\(kind) of \(byteCount) bytes"
  }

  /// Reads a type, which ends where the cursor stands afterwards.
  ///
  /// - Throws: ``StorageError`` when it breaks its form.
  init(_ cursor: inout StructureCursor, depth: Int = 0) throws(StorageError) {
    guard depth < Self.maximumDepth else {
      throw cursor.malformed(
        "types inside types at most \(Self.maximumDepth) deep", found: "more")
    }
    let head = try cursor.u8()
    let (version, number) = (head >> 4, head & 15)
    guard (1...5).contains(version) else {
      throw cursor.unsupported("version of a datatype", found: "\(version)")
    }
    let bits = try cursor.number(3)
    let byteCount = try cursor.u32()
    guard byteCount > 0 else { throw cursor.malformed("an element of a byte or more", found: "0") }
    switch number {
    case 0: self = try Self.integer(&cursor, bits, byteCount)
    case 1: self = try Self.float(&cursor, bits, byteCount)
    case 2:
      try cursor.skip(2)
      self = .other("a time", byteCount: byteCount)
    case 3: self = .text(byteCount: byteCount, HDF5TextForm(bits))
    case 4:
      try cursor.skip(4)
      self = .other("a bit field", byteCount: byteCount)
    case 5: self = .opaque(tag: try Self.tag(&cursor, bits), byteCount: byteCount)
    case 6:
      self = try Self.compound(
        &cursor, count: Int(bits & 0xFFFF), version: version, byteCount: byteCount, depth)
    case 8:
      self = try Self.enumeration(
        &cursor, count: Int(bits & 0xFFFF), version: version, depth)
    case 9:
      _ = try Datatype(&cursor, depth: depth + 1)
      let isText = bits & 15 == 1 && byteCount == 16
      self =
        isText
        ? .heapText(HDF5TextForm(bits >> 4))
        : .other("a list of varying length", byteCount: byteCount)
    case 7: self = .other("a reference", byteCount: byteCount)
    case 10: self = .other("an array", byteCount: byteCount)
    default: self = .other("a value of class \(number)", byteCount: byteCount)
    }
  }

  // MARK: - Classes

  private static func integer(
    _ cursor: inout StructureCursor, _ bits: UInt64, _ byteCount: Int
  ) throws(StorageError) -> Datatype {
    let (offset, precision) = (try cursor.u16(), try cursor.u16())
    guard offset == 0, precision == 8 * byteCount else {
      return .other("an integer of \(precision) bits", byteCount: byteCount)
    }
    return .integer(
      byteCount: byteCount, isSigned: bits & 8 != 0, isBigEndian: bits & 1 != 0)
  }

  private static func float(
    _ cursor: inout StructureCursor, _ bits: UInt64, _ byteCount: Int
  ) throws(StorageError) -> Datatype {
    let (offset, precision) = (try cursor.u16(), try cursor.u16())
    let (exponentPosition, exponentBits) = (try cursor.u8(), try cursor.u8())
    let (mantissaPosition, mantissaBits) = (try cursor.u8(), try cursor.u8())
    let bias = try cursor.u32()
    let isVAX = bits & 0x40 != 0
    let hidesTopBit = bits >> 4 & 3 == 2
    let isPlain =
      offset == 0 && precision == 8 * byteCount && !isVAX && hidesTopBit
      && Int(bits >> 8 & 0xFF) == precision - 1 && mantissaPosition == 0
      && exponentPosition == mantissaBits && exponentBits + mantissaBits + 1 == precision
    let fields = FloatFields(
      byteCount: byteCount, exponentPosition: exponentPosition, exponentBits: exponentBits,
      bias: bias)
    return .float(isPlain ? fields : nil, byteCount: byteCount, isBigEndian: bits & 1 != 0)
  }

  private static func tag(
    _ cursor: inout StructureCursor, _ bits: UInt64
  ) throws(StorageError) -> [UInt8] {
    Array(try cursor.take(Int(bits & 0xFF)).prefix { $0 != 0 })
  }

  private static func compound(
    _ cursor: inout StructureCursor, count: Int, version: Int, byteCount: Int, _ depth: Int
  ) throws(StorageError) -> Datatype {
    var members: [Member] = []
    for _ in 0..<count {
      let name = try name(&cursor, isPadded: version < 3)
      let width = version < 3 ? 4 : Self.width(of: UInt64(byteCount))
      let offset = try cursor.size(width)
      var isArray = false
      if version == 1 {
        isArray = try cursor.u8() > 0
        try cursor.skip(27)
      }
      let type = try Datatype(&cursor, depth: depth + 1)
      guard offset <= byteCount, type.byteCount <= byteCount - offset else {
        throw cursor.malformed(
          "members inside the \(byteCount) bytes of their compound",
          found: "\(type.byteCount) at \(offset)")
      }
      members.append(
        Member(
          name: name, offset: offset,
          type: isArray ? .other("an array", byteCount: type.byteCount) : type))
    }
    return .compound(members, byteCount: byteCount)
  }

  private static func enumeration(
    _ cursor: inout StructureCursor, count: Int, version: Int, _ depth: Int
  ) throws(StorageError) -> Datatype {
    let base = try Datatype(&cursor, depth: depth + 1)
    var names: [[UInt8]] = []
    for _ in 0..<count { names.append(try name(&cursor, isPadded: version < 3)) }
    var members: [(name: [UInt8], value: ArraySlice<UInt8>)] = []
    for name in names { members.append((name, try cursor.take(base.byteCount))) }
    return .enumeration(base, members)
  }

  /// A name that ends with a NUL; padded, with more of them up to a multiple of 8 bytes.
  private static func name(
    _ cursor: inout StructureCursor, isPadded: Bool
  ) throws(StorageError) -> [UInt8] {
    let name = try cursor.text()
    if isPadded { try cursor.skip((8 - (name.count + 1) % 8) % 8) }
    return Array(name)
  }

  /// The bytes that hold a number.
  static func width(of value: UInt64) -> Int {
    max(1, (UInt64.bitWidth - value.leadingZeroBitCount + 7) / 8)
  }
}
