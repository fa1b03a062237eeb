internal import CHDF5
internal import GraftCore

/// How a dataset's elements are stored: the dtype they mean, and whether their bytes must be swapped.
struct StoredType: Sendable, Equatable {
  let dtype: DType
  /// The bytes that are swapped with each other when the file is big-endian; 1 when it isn't.
  var swappedBytes = 1

  /// The bytes of one element of the dataset: of a whole block where the dtype has blocks.
  var elementBytes: Int { dtype.layout.bytes }

  /// Reads the type of an open dataset.
  ///
  /// - Throws: ``StorageError`` for types that no dtype is.
  init(reading type: hid_t, _ status: HDF5Status) throws(StorageError) {
    let size = H5Tget_size(type)
    let kind = H5Tget_class(type)
    let dtype: DType? =
      switch kind {
      case H5T_INTEGER: Self.integer(type, size)
      case H5T_FLOAT: FloatFields(reading: type).flatMap(FloatFields.dtype(of:))
      case H5T_ENUM: try Self.isBool(type, size, status) ? .bool : nil
      case H5T_COMPOUND: try Self.isComplex(type, size, status) ? .c64 : nil
      case H5T_OPAQUE: Self.opaque(type, size)
      default: nil
      }
    guard let dtype else {
      throw StorageError(
        .unsupported(
          feature: "HDF5 element type (H-7)", found: "\(Self.word(for: kind)) of \(size) bytes"),
        file: status.file, tensor: status.tensor)
    }
    self.dtype = dtype
    if try Self.isBigEndian(type, kind, status) { swappedBytes = dtype == .c64 ? 4 : size }
  }

  private static func integer(_ type: hid_t, _ size: Int) -> DType? {
    guard H5Tget_precision(type) == 8 * size, H5Tget_offset(type) == 0 else { return nil }
    let isSigned = H5Tget_sign(type) == H5T_SGN_2
    return switch size {
    case 1: isSigned ? .i8 : .u8
    case 2: isSigned ? .i16 : .u16
    case 4: isSigned ? .i32 : .u32
    case 8: isSigned ? .i64 : .u64
    default: nil
    }
  }

  /// Whether an enumeration is h5py's bool: FALSE = 0, TRUE = 1 over one byte.
  private static func isBool(
    _ type: hid_t, _ size: Int, _ status: HDF5Status
  ) throws(StorageError) -> Bool {
    guard size == 1, H5Tget_nmembers(type) == 2 else { return false }
    for (position, expected) in ["FALSE", "TRUE"].enumerated() {
      var value: Int8 = -1
      try status.done(
        unsafe H5Tget_member_value(type, UInt32(position), &value), "H5Tget_member_value")
      guard Int(value) == position, memberName(type, position) == expected else { return false }
    }
    return true
  }

  /// Whether a compound is h5py's complex64: two f32, `r` and `i`.
  private static func isComplex(
    _ type: hid_t, _ size: Int, _ status: HDF5Status
  ) throws(StorageError) -> Bool {
    guard size == 8, H5Tget_nmembers(type) == 2 else { return false }
    for (position, expected) in ["r", "i"].enumerated() {
      let member = try status.handle(
        H5Tget_member_type(type, UInt32(position)), "H5Tget_member_type")
      guard memberName(type, position) == expected,
        H5Tget_member_offset(type, UInt32(position)) == 4 * position,
        H5Tget_class(member.id) == H5T_FLOAT,
        FloatFields(reading: member.id).flatMap(FloatFields.dtype(of:)) == .f32
      else { return false }
    }
    return true
  }

  private static func opaque(_ type: hid_t, _ size: Int) -> DType? {
    guard let tag = unsafe H5Tget_tag(type) else { return nil }
    defer { _ = unsafe H5free_memory(tag) }
    guard let dtype = unsafe DType(rawValue: String(cString: tag)) else { return nil }
    return dtype.layout.bytes == size ? dtype : nil
  }

  private static func memberName(_ type: hid_t, _ position: Int) -> String? {
    guard let name = unsafe H5Tget_member_name(type, UInt32(position)) else { return nil }
    defer { _ = unsafe H5free_memory(name) }
    return unsafe String(cString: name)
  }

  private static func isBigEndian(
    _ type: hid_t, _ kind: H5T_class_t, _ status: HDF5Status
  ) throws(StorageError) -> Bool {
    switch kind {
    case H5T_INTEGER, H5T_FLOAT: return H5Tget_order(type) == H5T_ORDER_BE
    case H5T_COMPOUND:
      let orders = try (0..<2).map { position throws(StorageError) in
        let member = try status.handle(
          H5Tget_member_type(type, UInt32(position)), "H5Tget_member_type")
        return H5Tget_order(member.id)
      }
      guard orders[0] == orders[1] else {
        throw StorageError(
          .unsupported(feature: "HDF5 element type (H-7)", found: "a compound of two byte orders"),
          file: status.file, tensor: status.tensor)
      }
      return orders[0] == H5T_ORDER_BE
    default: return false
    }
  }

  private static func word(for kind: H5T_class_t) -> String {
    switch kind {
    case H5T_INTEGER: "an integer"
    case H5T_FLOAT: "a float"
    case H5T_STRING: "a string"
    case H5T_BITFIELD: "a bit field"
    case H5T_OPAQUE: "an opaque value"
    case H5T_COMPOUND: "a compound"
    case H5T_REFERENCE: "a reference"
    case H5T_ENUM: "an enumeration"
    case H5T_VLEN: "a list of varying length"
    case H5T_ARRAY: "an array"
    default: "a value"
    }
  }
}

// MARK: - Writing

extension DType {
  /// The type of libhdf5 that describes the elements exactly, or an opaque one that carries the dtype's name.
  func makeStoredType(_ status: HDF5Status) throws(StorageError) -> Handle {
    if let fields = FloatFields.of(self) { return try fields.makeType(status) }
    let standard: hid_t? =
      switch self {
      case .u8: graft_h5t_u8()
      case .i8: graft_h5t_i8()
      case .u16: graft_h5t_u16()
      case .i16: graft_h5t_i16()
      case .u32: graft_h5t_u32()
      case .i32: graft_h5t_i32()
      case .u64: graft_h5t_u64()
      case .i64: graft_h5t_i64()
      default: nil
      }
    if let standard { return try status.handle(H5Tcopy(standard), "H5Tcopy") }
    switch self {
    case .bool:
      let type = try status.handle(H5Tenum_create(graft_h5t_i8()), "H5Tenum_create")
      for (name, value) in [("FALSE", 0), ("TRUE", 1)] {
        var member = Int8(value)
        try status.done(unsafe H5Tenum_insert(type.id, name, &member), "H5Tenum_insert")
      }
      return type
    case .c64:
      let type = try status.handle(H5Tcreate(H5T_COMPOUND, 8), "H5Tcreate")
      for (name, offset) in [("r", 0), ("i", 4)] {
        try status.done(unsafe H5Tinsert(type.id, name, offset, graft_h5t_f32()), "H5Tinsert")
      }
      return type
    default:
      let type = try status.handle(H5Tcreate(H5T_OPAQUE, layout.bytes), "H5Tcreate")
      try status.done(unsafe H5Tset_tag(type.id, rawValue), "H5Tset_tag")
      return type
    }
  }
}

/// The fields of a binary float whose top exponent means infinity and NaN, as HDF5 describes them.
///
/// bf16 and f8 E5M2 are such floats. f8 E4M3 isn't: its top exponent has finite values, so a reader who took the
/// description at its word would see infinities in place of 256 to 448.
struct FloatFields: Equatable {
  var byteCount: Int
  var exponentPosition: Int
  var exponentBits: Int
  var bias: Int

  private static let table: [(dtype: DType, fields: FloatFields)] = [
    (.f8E5M2, FloatFields(byteCount: 1, exponentPosition: 2, exponentBits: 5, bias: 15)),
    (.f16, FloatFields(byteCount: 2, exponentPosition: 10, exponentBits: 5, bias: 15)),
    (.bf16, FloatFields(byteCount: 2, exponentPosition: 7, exponentBits: 8, bias: 127)),
    (.f32, FloatFields(byteCount: 4, exponentPosition: 23, exponentBits: 8, bias: 127)),
    (.f64, FloatFields(byteCount: 8, exponentPosition: 52, exponentBits: 11, bias: 1023)),
  ]

  static func of(_ dtype: DType) -> FloatFields? { table.first { $0.dtype == dtype }?.fields }

  static func dtype(of fields: FloatFields) -> DType? {
    table.first { $0.fields == fields }?.dtype
  }

  private var signPosition: Int { 8 * byteCount - 1 }

  /// Makes the little-endian type.
  func makeType(_ status: HDF5Status) throws(StorageError) -> Handle {
    let base = byteCount > 4 ? graft_h5t_f64() : graft_h5t_f32()
    let type = try status.handle(H5Tcopy(base), "H5Tcopy")
    try status.done(
      H5Tset_fields(type.id, signPosition, exponentPosition, exponentBits, 0, exponentPosition),
      "H5Tset_fields")
    try status.done(H5Tset_size(type.id, byteCount), "H5Tset_size")
    try status.done(H5Tset_ebias(type.id, bias), "H5Tset_ebias")
    return type
  }
}

extension FloatFields {
  /// The fields of a float type; nil when it has padding, an explicit leading bit or parts in another order.
  init?(reading type: hid_t) {
    let byteCount = H5Tget_size(type)
    var (sign, exponent, exponentBits, mantissa, mantissaBits) = (0, 0, 0, 0, 0)
    guard
      unsafe H5Tget_fields(type, &sign, &exponent, &exponentBits, &mantissa, &mantissaBits) >= 0,
      H5Tget_precision(type) == 8 * byteCount, H5Tget_offset(type) == 0,
      H5Tget_norm(type) == H5T_NORM_IMPLIED, sign == 8 * byteCount - 1, mantissa == 0,
      mantissaBits == exponent, exponent + exponentBits == sign
    else { return nil }
    self.init(
      byteCount: byteCount, exponentPosition: exponent, exponentBits: exponentBits,
      bias: H5Tget_ebias(type))
  }
}
