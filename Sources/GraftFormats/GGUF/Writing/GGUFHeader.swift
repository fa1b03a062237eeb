internal import GraftCore

/// The bytes of a GGUF file before its tensor data, checked against the rules of `Formats/gguf/SPEC.md` as a reader does.
struct GGUFHeader {
  /// Everything before the first tensor's data, with the padding.
  let bytes: [UInt8]
  /// Where each tensor's data begins, counted from the end of the header.
  let offsets: [Int]
  /// The bytes of all tensors, with the padding between and after them.
  let dataByteCount: Int

  /// What tensor data is aligned to; every reader's default.
  static let alignment = 32

  init(
    _ tensors: [TensorInfo], entries: [(key: String, value: GGUFValue)], file: String
  ) throws(StorageError) {
    var header = GGUFBytes()
    // A header that outgrows its room would be in memory twice, and metadata may have hundreds of megabytes.
    header.bytes.reserveCapacity(
      entries.reduce(64) { $0 + $1.key.utf8.count + 12 + $1.value.mostBytes }
        + tensors.reduce(0) { $0 + $1.name.utf8.count + 24 + 8 * $1.shape.rank })
    header.put(raw: Array("GGUF".utf8))
    header.put(UInt32(3))
    header.put(UInt64(tensors.count))
    header.put(UInt64(entries.count))
    try Self.checkKeys(entries, file: file)
    for entry in entries {
      header.put(entry.key)
      header.put(entry.value)
    }
    var offsets: [Int] = []
    var end = 0
    try tensors.lazy.map(\.name).checkDiffer(inFormat: "GGUF", rule: "gguf G-12", file: file)
    for tensor in tensors {
      let name = try Self.name(of: tensor, file: file)
      let code = try Self.code(of: tensor, file: file)
      header.put(name)
      header.put(UInt32(tensor.shape.rank))
      for extent in tensor.shape.dimensions.reversed() { header.put(UInt64(extent)) }
      header.put(code)
      header.put(UInt64(end))
      offsets.append(end)
      let (next, overflow) = end.addingReportingOverflow(tensor.byteCount)
      let (padded, paddingOverflow) = next.addingReportingOverflow(Self.padding(after: next))
      guard !overflow, !paddingOverflow else {
        throw StorageError(.overflow(part: "data (gguf G-16)"), file: file, tensor: tensor.name)
      }
      end = padded
    }
    header.put(raw: [UInt8](repeating: 0, count: Self.padding(after: header.bytes.count)))
    bytes = header.bytes
    self.offsets = offsets
    dataByteCount = end
  }

  private static func padding(after end: Int) -> Int { (alignment - end % alignment) % alignment }

  private static func checkKeys(
    _ entries: [(key: String, value: GGUFValue)], file: String
  ) throws(StorageError) {
    for (key, _) in entries {
      guard (1...GGUFLimits.keyBytes).contains(key.utf8.count), !key.utf8.contains(0) else {
        throw StorageError(
          .notRepresentable(
            what:
              "the metadata key \"\(key.prefix(80).description.escapedShortened)\" (gguf G-5)",
            inFormat: "GGUF"), file: file)
      }
    }
    try entries.lazy.map { TensorName($0.key) }.checkDiffer(
      "keys", inFormat: "GGUF", rule: "gguf G-6", file: file)
  }

  private static func name(of tensor: TensorInfo, file: String) throws(StorageError) -> String {
    guard let name = String(validating: tensor.name.utf8, as: UTF8.self) else {
      throw unspeakable("a name that isn't UTF-8 (gguf G-11)", tensor, file)
    }
    guard (1...GGUFLimits.nameBytes).contains(name.utf8.count) else {
      throw unspeakable(
        "a name of \(name.utf8.count) bytes, only of 1 to \(GGUFLimits.nameBytes) (gguf G-11)",
        tensor, file)
    }
    return name
  }

  private static func code(of tensor: TensorInfo, file: String) throws(StorageError) -> UInt32 {
    guard tensor.shape.rank <= 4 else {
      throw unspeakable("\(tensor.shape.rank) dimensions, only 4 (gguf G-13)", tensor, file)
    }
    guard let code = GGUFType.code(of: tensor.dtype) else {
      throw unspeakable("\(tensor.dtype) (gguf G-15)", tensor, file)
    }
    return code
  }

  private static func unspeakable(
    _ what: String, _ tensor: TensorInfo, _ file: String
  ) -> StorageError {
    StorageError(
      .notRepresentable(what: what, inFormat: "GGUF"), file: file, tensor: tensor.name)
  }
}

/// Bytes of a header in the order of the file; integers are little-endian.
private struct GGUFBytes {
  var bytes: [UInt8] = []

  mutating func put(raw more: [UInt8]) { bytes += more }

  mutating func put(_ value: some FixedWidthInteger) {
    for position in 0..<value.bitWidth / 8 {
      bytes.append(UInt8(truncatingIfNeeded: value >> (8 * position)))
    }
  }

  mutating func put(_ text: String) {
    put(UInt64(text.utf8.count))
    bytes += text.utf8
  }

  mutating func put(_ value: GGUFValue) {
    put(value.code)
    switch value {
    case .unsigned(let number, let bits): put(number, bits: bits)
    case .signed(let number, let bits): put(UInt64(bitPattern: number), bits: bits)
    case .float32(let number): put(number.bitPattern)
    case .float64(let number): put(number.bitPattern)
    case .bool(let flag): put(UInt8(flag ? 1 : 0))
    case .string(let text): put(text)
    case .array(let elements):
      put(elements.code)
      put(UInt64(elements.count))
      put(elements)
    }
  }

  private mutating func put(_ elements: GGUFArray) {
    switch elements {
    case .unsigned(let numbers, let bits): for number in numbers { put(number, bits: bits) }
    case .signed(let numbers, let bits):
      for number in numbers { put(UInt64(bitPattern: number), bits: bits) }
    case .float32(let numbers): for number in numbers { put(number.bitPattern) }
    case .float64(let numbers): for number in numbers { put(number.bitPattern) }
    case .bools(let flags): for flag in flags { put(UInt8(flag ? 1 : 0)) }
    case .strings(let texts): for text in texts { put(text) }
    }
  }

  private mutating func put(_ number: UInt64, bits: Int) {
    for position in 0..<bits / 8 {
      bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * position)))
    }
  }
}

extension GGUFValue {
  /// The bytes that the value takes at most.
  fileprivate var mostBytes: Int {
    switch self {
    case .string(let text): 8 + text.utf8.count
    case .array(.strings(let texts)): 12 + texts.reduce(0) { $0 + 8 + $1.utf8.count }
    case .array(.unsigned(let numbers, let bits)): 12 + numbers.count * bits / 8
    case .array(.signed(let numbers, let bits)): 12 + numbers.count * bits / 8
    case .array(let elements): 12 + elements.count * 8
    case .unsigned, .signed, .float32, .float64, .bool: 8
    }
  }

  /// The number of the value's type.
  fileprivate var code: UInt32 {
    switch self {
    case .unsigned(_, let bits): Self.code(bits, isSigned: false)
    case .signed(_, let bits): Self.code(bits, isSigned: true)
    case .float32: 6
    case .bool: 7
    case .string: 8
    case .array: 9
    case .float64: 12
    }
  }

  /// The number of an integer's type.
  fileprivate static func code(_ bits: Int, isSigned: Bool) -> UInt32 {
    let first: UInt32 =
      switch bits {
      case 8: 0
      case 16: 2
      case 32: 4
      default: 10
      }
    return first + (isSigned ? 1 : 0)
  }
}

extension GGUFArray {
  /// The number of the elements' type.
  fileprivate var code: UInt32 {
    switch self {
    case .unsigned(_, let bits): GGUFValue.code(bits, isSigned: false)
    case .signed(_, let bits): GGUFValue.code(bits, isSigned: true)
    case .float32: 6
    case .float64: 12
    case .bools: 7
    case .strings: 8
    }
  }
}
