internal import GraftCore

/// How a dataset's elements are stored: the dtype they mean, and whether their bytes must be swapped.
struct StoredType: Sendable, Equatable {
  let dtype: DType
  /// The bytes that are swapped with each other when the file is big-endian; 1 when it isn't.
  var swappedBytes = 1

  /// The bytes of one element of the dataset: of a whole block where the dtype has blocks.
  var elementBytes: Int { dtype.layout.bytes }

  /// The dtype of a described type; nil for types that no dtype is.
  ///
  /// - Parameter spelling: the name that Keras gives a dtype that numpy hasn't, from the dataset's attribute `dtype`.
  init?(_ type: Datatype, spelling: String? = nil) {
    switch type {
    case .integer(let size, let isSigned, let isBigEndian):
      let dtype: DType? =
        switch size {
        case 1: isSigned ? .i8 : .u8
        case 2: isSigned ? .i16 : .u16
        case 4: isSigned ? .i32 : .u32
        case 8: isSigned ? .i64 : .u64
        default: nil
        }
      guard let dtype else { return nil }
      self.init(dtype: dtype, swappedBytes: isBigEndian ? size : 1)
    case .float(let fields, let size, let isBigEndian):
      guard let dtype = fields.flatMap(FloatFields.dtype(of:)) else { return nil }
      self.init(dtype: dtype, swappedBytes: isBigEndian ? size : 1)
    case .enumeration(let base, let members):
      guard base.byteCount == 1, Self.isBool(members) else { return nil }
      self.init(dtype: .bool)
    case .compound(let members, let size):
      guard size == 8, let isBigEndian = Self.isBigEndianComplex(members) else { return nil }
      self.init(dtype: .c64, swappedBytes: isBigEndian ? 4 : 1)
    case .opaque(let tag, let size):
      let name = String(decoding: tag, as: UTF8.self)
      let dtype = DType(rawValue: name) ?? Self.spelled(spelling)
      guard let dtype, dtype.layout.bytes == size else { return nil }
      self.init(dtype: dtype)
    case .text, .heapText, .other: return nil
    }
  }

  /// Makes a type.
  init(dtype: DType, swappedBytes: Int = 1) {
    self.dtype = dtype
    self.swappedBytes = swappedBytes
  }

  /// The dtypes that Keras stores as bytes, by its names.
  private static func spelled(_ name: String?) -> DType? {
    switch name {
    case "bfloat16": .bf16
    case "float8_e4m3fn": .f8E4M3
    case "float8_e5m2": .f8E5M2
    default: nil
    }
  }

  /// Whether an enumeration is h5py's bool: FALSE = 0, TRUE = 1.
  private static func isBool(_ members: [(name: [UInt8], value: ArraySlice<UInt8>)]) -> Bool {
    let expected: [(name: [UInt8], value: UInt8)] = [
      (Array("FALSE".utf8), 0), (Array("TRUE".utf8), 1),
    ]
    return members.count == 2
      && zip(members, expected).allSatisfy { $0.name == $1.name && $0.value.first == $1.value }
  }

  /// The byte order of h5py's complex64: two f32, `r` and `i`; nil for another compound.
  private static func isBigEndianComplex(_ members: [Datatype.Member]) -> Bool? {
    guard members.count == 2, members[0].name == Array("r".utf8),
      members[1].name == Array("i".utf8), members[0].offset == 0, members[1].offset == 4,
      case .float(let first?, _, let isBigEndian) = members[0].type,
      case .float(let second?, _, let isAlsoBigEndian) = members[1].type,
      FloatFields.dtype(of: first) == .f32, first == second, isBigEndian == isAlsoBigEndian
    else { return nil }
    return isBigEndian
  }
}
