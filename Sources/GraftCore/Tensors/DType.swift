/// The element type of a stored tensor.
///
/// Plain types carry the names of the safetensors specification; block-quantized types carry ggml's.
/// Every type is described by one ``BlockLayout``, so sizes are computed in one way for all.
public enum DType: String, CaseIterable, Sendable, Hashable {
  case bool = "BOOL"
  case f4 = "F4"
  case f6E2M3 = "F6_E2M3"
  case f6E3M2 = "F6_E3M2"
  case u8 = "U8"
  case i8 = "I8"
  case f8E5M2 = "F8_E5M2"
  case f8E4M3 = "F8_E4M3"
  case f8E8M0 = "F8_E8M0"
  case f8E4M3FNUZ = "F8_E4M3FNUZ"
  case f8E5M2FNUZ = "F8_E5M2FNUZ"
  case i16 = "I16"
  case u16 = "U16"
  case f16 = "F16"
  case bf16 = "BF16"
  case i32 = "I32"
  case u32 = "U32"
  case f32 = "F32"
  case c64 = "C64"
  case f64 = "F64"
  case i64 = "I64"
  case u64 = "U64"
  case q4_0 = "Q4_0"
  case q4_1 = "Q4_1"
  case q5_0 = "Q5_0"
  case q5_1 = "Q5_1"
  case q8_0 = "Q8_0"
  case q2K = "Q2_K"
  case q3K = "Q3_K"
  case q4K = "Q4_K"
  case q5K = "Q5_K"
  case q6K = "Q6_K"
  case iq4NL = "IQ4_NL"
  case iq4XS = "IQ4_XS"
  case mxfp4 = "MXFP4"
  case iq1S = "IQ1_S"
  case iq1M = "IQ1_M"
  case iq2XXS = "IQ2_XXS"
  case iq2XS = "IQ2_XS"
  case iq2S = "IQ2_S"
  case iq3XXS = "IQ3_XXS"
  case iq3S = "IQ3_S"
  case tq1_0 = "TQ1_0"
  case tq2_0 = "TQ2_0"
  case nvfp4 = "NVFP4"
  case q1_0 = "Q1_0"

  /// How elements are packed into bytes: `elements` of them share `bytes` bytes.
  public var layout: BlockLayout {
    switch self {
    case .f4: BlockLayout(elements: 2, bytes: 1)
    case .f6E2M3, .f6E3M2: BlockLayout(elements: 4, bytes: 3)
    case .bool, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ, .f8E5M2FNUZ:
      BlockLayout(elements: 1, bytes: 1)
    case .i16, .u16, .f16, .bf16: BlockLayout(elements: 1, bytes: 2)
    case .i32, .u32, .f32: BlockLayout(elements: 1, bytes: 4)
    case .c64, .f64, .i64, .u64: BlockLayout(elements: 1, bytes: 8)
    case .q4_0: BlockLayout(elements: 32, bytes: 18)
    case .q4_1: BlockLayout(elements: 32, bytes: 20)
    case .q5_0: BlockLayout(elements: 32, bytes: 22)
    case .q5_1: BlockLayout(elements: 32, bytes: 24)
    case .q8_0: BlockLayout(elements: 32, bytes: 34)
    case .q2K: BlockLayout(elements: 256, bytes: 84)
    case .q3K: BlockLayout(elements: 256, bytes: 110)
    case .q4K: BlockLayout(elements: 256, bytes: 144)
    case .q5K: BlockLayout(elements: 256, bytes: 176)
    case .q6K: BlockLayout(elements: 256, bytes: 210)
    case .iq4NL: BlockLayout(elements: 32, bytes: 18)
    case .iq4XS: BlockLayout(elements: 256, bytes: 136)
    case .mxfp4: BlockLayout(elements: 32, bytes: 17)
    case .iq1S: BlockLayout(elements: 256, bytes: 50)
    case .iq1M: BlockLayout(elements: 256, bytes: 56)
    case .iq2XXS: BlockLayout(elements: 256, bytes: 66)
    case .iq2XS: BlockLayout(elements: 256, bytes: 74)
    case .iq2S: BlockLayout(elements: 256, bytes: 82)
    case .iq3XXS: BlockLayout(elements: 256, bytes: 98)
    case .iq3S: BlockLayout(elements: 256, bytes: 110)
    case .tq1_0: BlockLayout(elements: 256, bytes: 54)
    case .tq2_0: BlockLayout(elements: 256, bytes: 66)
    case .nvfp4: BlockLayout(elements: 64, bytes: 36)
    case .q1_0: BlockLayout(elements: 128, bytes: 18)
    }
  }

  /// Whether blocks of elements share a scale, as ggml's quantized types do.
  public var isBlockQuantized: Bool { layout.elements >= 32 }

  /// Whether the type is one of the floats that arithmetic is done on: f16, bf16, f32, f64.
  public var isComputableFloat: Bool {
    switch self {
    case .f16, .bf16, .f32, .f64: true
    case .bool, .f4, .f6E2M3, .f6E3M2, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ,
      .f8E5M2FNUZ, .i16, .u16, .i32, .u32, .c64, .i64, .u64, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0,
      .q2K, .q3K, .q4K, .q5K, .q6K,
      .iq4NL, .iq4XS, .mxfp4, .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S, .tq1_0, .tq2_0,
      .nvfp4, .q1_0:
      false
    }
  }

  /// Whether safetensors files may hold the type.
  public var isSafetensorsType: Bool { !isBlockQuantized }
}

/// The packing of a dtype: a block of `elements` values occupies `bytes` bytes.
public struct BlockLayout: Sendable, Hashable {
  /// Values in a block.
  public let elements: Int
  /// Bytes in a block.
  public let bytes: Int
}

extension DType: CustomStringConvertible {
  /// The name on the wire, for example `BF16` or `Q4_K`.
  public var description: String { rawValue }
}
