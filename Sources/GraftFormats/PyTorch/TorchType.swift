internal import GraftCore

/// The element types that PyTorch's storages and tensors can have.
enum TorchType: String, CaseIterable {
  case float32, float64, float16, bfloat16
  case int64, int32, int16, int8, uint8, uint16, uint32, uint64, bool
  case float8E4M3 = "float8_e4m3fn"
  case float8E5M2 = "float8_e5m2"
  case float8E4M3FNUZ = "float8_e4m3fnuz"
  case float8E5M2FNUZ = "float8_e5m2fnuz"
  case float8E8M0 = "float8_e8m0fnu"
  case float4 = "float4_e2m1fn_x2"
  case complex64, complex128, complex32
  case qint8, quint8, qint32
  case quint4x2 = "quint4x2"
  case quint2x4 = "quint2x4"
  /// Bytes without a type: what `UntypedStorage` holds.
  case untyped

  /// The class of its storages; nil for types that have only untyped ones.
  var storageName: String? {
    switch self {
    case .float32: "FloatStorage"
    case .float64: "DoubleStorage"
    case .float16: "HalfStorage"
    case .bfloat16: "BFloat16Storage"
    case .int64: "LongStorage"
    case .int32: "IntStorage"
    case .int16: "ShortStorage"
    case .int8: "CharStorage"
    case .uint8: "ByteStorage"
    case .bool: "BoolStorage"
    case .complex64: "ComplexFloatStorage"
    case .complex128: "ComplexDoubleStorage"
    case .qint8: "QInt8Storage"
    case .quint8: "QUInt8Storage"
    case .qint32: "QInt32Storage"
    case .quint4x2: "QUInt4x2Storage"
    case .quint2x4: "QUInt2x4Storage"
    case .uint16, .uint32, .uint64, .float8E4M3, .float8E5M2, .float8E4M3FNUZ, .float8E5M2FNUZ,
      .float8E8M0, .float4, .complex32, .untyped:
      nil
    }
  }

  /// The bytes of a stored element.
  var width: Int {
    switch self {
    case .int8, .uint8, .bool, .float8E4M3, .float8E5M2, .float8E4M3FNUZ, .float8E5M2FNUZ,
      .float8E8M0, .float4, .qint8, .quint8, .quint4x2, .quint2x4, .untyped:
      1
    case .float16, .bfloat16, .int16, .uint16: 2
    case .float32, .int32, .uint32, .complex32, .qint32: 4
    case .float64, .int64, .uint64, .complex64: 8
    case .complex128: 16
    }
  }

  /// The dtype of its tensors; nil for those that no checkpoint here can hold.
  var dtype: DType? {
    switch self {
    case .float32: .f32
    case .float64: .f64
    case .float16: .f16
    case .bfloat16: .bf16
    case .int64: .i64
    case .int32: .i32
    case .int16: .i16
    case .int8: .i8
    case .uint8: .u8
    case .uint16: .u16
    case .uint32: .u32
    case .uint64: .u64
    case .bool: .bool
    case .float8E4M3: .f8E4M3
    case .float8E5M2: .f8E5M2
    case .float8E4M3FNUZ: .f8E4M3FNUZ
    case .float8E5M2FNUZ: .f8E5M2FNUZ
    case .float8E8M0: .f8E8M0
    case .float4: .f4
    case .complex64: .c64
    case .complex128, .complex32, .qint8, .quint8, .qint32, .quint4x2, .quint2x4, .untyped: nil
    }
  }

  /// The type that holds a dtype; nil for those that PyTorch hasn't.
  init?(_ dtype: DType) {
    guard let type = Self.allCases.first(where: { $0.dtype == dtype }) else { return nil }
    self = type
  }
}
