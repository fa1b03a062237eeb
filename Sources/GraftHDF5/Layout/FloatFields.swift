internal import GraftCore

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
}
