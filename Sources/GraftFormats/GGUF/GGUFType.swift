internal import GraftCore

/// ggml's numbers for the types of tensors.
enum GGUFType {
  /// The types that are read; the values of some of them aren't decoded, and those tensors pass through as they are.
  private static let readable: [UInt32: DType] = [
    0: .f32, 1: .f16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 10: .q2K, 11: .q3K,
    12: .q4K,
    13: .q5K, 14: .q6K, 16: .iq2XXS, 17: .iq2XS, 18: .iq3XXS, 19: .iq1S, 20: .iq4NL, 21: .iq3S,
    22: .iq2S, 23: .iq4XS, 29: .iq1M, 34: .tq1_0, 35: .tq2_0, 39: .mxfp4, 40: .nvfp4, 41: .q1_0,
    24: .i8, 25: .i16, 26: .i32, 27: .i64, 28: .f64, 30: .bf16,
  ]

  /// The type of a number; nil for one that isn't read.
  static func dtype(of number: UInt32) -> DType? {
    number < dtypes.count ? dtypes[Int(number)] : nil
  }

  private static let dtypes = (0..<64).map { readable[$0] }

  /// The number of a type; nil for one that GGUF hasn't.
  static func code(of dtype: DType) -> UInt32? { codes[dtype] }

  private static let codes = Dictionary(
    readable.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })

  /// The names of the types that are known and not read.
  private static let unreadable: [UInt32: String] = [
    4: "Q4_2 (removed)", 5: "Q4_3 (removed)", 9: "Q8_1", 15: "Q8_K", 31: "Q4_0_4_4 (removed)",
    32: "Q4_0_4_8 (removed)", 33: "Q4_0_8_8 (removed)", 36: "IQ4_NL_4_4 (removed)",
    37: "IQ4_NL_4_8 (removed)", 38: "IQ4_NL_8_8 (removed)",
  ]

  /// What to call a type that isn't read.
  static func name(_ number: UInt32) -> String { unreadable[number] ?? "type \(number)" }
}
