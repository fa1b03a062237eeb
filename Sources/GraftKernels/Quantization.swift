internal import CKernels
package import GraftCore

/// Block-quantized and 16-bit weights made into floats and the other way round, a run of whole blocks at a time.
package enum Quantization {
  /// The instruction sets that the kernels are compiled for; all give the same bits.
  package enum InstructionSet: CaseIterable, Sendable {
    case scalar
    case avx2
    case avx512

    /// The best one that this CPU has.
    package static let best: InstructionSet =
      switch graft_blocks_best_simd() {
      case GRAFT_BLOCKS_AVX512: .avx512
      case GRAFT_BLOCKS_AVX2: .avx2
      default: .scalar
      }

    /// The ones that this CPU has, the scalar twin first.
    package static var available: [InstructionSet] {
      switch best {
      case .scalar: [.scalar]
      case .avx2: [.scalar, .avx2]
      case .avx512: [.scalar, .avx2, .avx512]
      }
    }

    /// The set as the kernels with lanes count it.
    fileprivate var level: Int32 {
      switch self {
      case .scalar: Int32(GRAFT_PORTABLE)
      case .avx2: Int32(GRAFT_AVX2)
      case .avx512: Int32(GRAFT_AVX512)
      }
    }

    fileprivate var code: graft_blocks_simd {
      switch self {
      case .scalar: GRAFT_BLOCKS_SCALAR
      case .avx2: GRAFT_BLOCKS_AVX2
      case .avx512: GRAFT_BLOCKS_AVX512
      }
    }
  }

  /// Whether values of a stored type can be made into floats here.
  package static func supports(_ dtype: DType) -> Bool { dtype == .f32 || code(of: dtype) != nil }

  /// Makes whole blocks into f32, with the bits that ggml's reference gives.
  ///
  /// - Precondition: `blocks` is whole blocks of a supported dtype and `values` has room for exactly their values.
  package static func dequantize(
    _ blocks: RawSpan, _ dtype: DType, into values: inout MutableRawSpan,
    using instructions: InstructionSet = .best
  ) {
    let layout = dtype.layout
    let count = blocks.byteCount / layout.bytes
    precondition(count * layout.bytes == blocks.byteCount, "whole blocks")
    precondition(values.byteCount == count * layout.elements * 4, "room for each value")
    guard count > 0 else { return }
    unsafe blocks.withUnsafeBytes { source in
      unsafe values.withUnsafeMutableBytes { target in
        if dtype == .f32 { return unsafe target.copyMemory(from: source) }
        guard let type = code(of: dtype), let source = source.baseAddress,
          let target = target.baseAddress
        else { preconditionFailure("\(dtype) has no dequantization") }
        unsafe graft_dequantize(
          type, instructions.code, source.assumingMemoryBound(to: UInt8.self), count,
          target.assumingMemoryBound(to: Float.self))
      }
    }
  }

  /// Quantizes f32 in whole blocks: with the bits of ggml's reference for the types of 32 values, and with the least squared error that
  /// is found for those of 256.
  ///
  /// - Returns: Whether the blocks hold the values: each is finite, and no scale is beyond f16.
  /// - Precondition: `values` is whole blocks of a type that ``quantizes(to:)``, and `blocks` has room for exactly those.
  package static func quantize(
    _ values: RawSpan, to dtype: DType, into blocks: inout MutableRawSpan,
    using instructions: InstructionSet = .best
  ) -> Bool {
    let layout = dtype.layout
    let count = blocks.byteCount / layout.bytes
    precondition(quantizes(to: dtype), "\(dtype) has no quantization")
    precondition(count * layout.bytes == blocks.byteCount, "whole blocks")
    precondition(values.byteCount == count * layout.elements * 4, "values for each block")
    guard count > 0, let type = code(of: dtype) else { return true }
    return unsafe values.withUnsafeBytes { source in
      unsafe blocks.withUnsafeMutableBytes { target in
        guard let source = source.baseAddress, let target = target.baseAddress else { return true }
        return unsafe graft_quantize(
          instructions.level, type, source.assumingMemoryBound(to: Float.self), Int64(count),
          target.assumingMemoryBound(to: UInt8.self)) != 0
      }
    }
  }

  /// Whether floats can be made into blocks of a type here.
  package static func quantizes(to dtype: DType) -> Bool {
    [.q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q4K, .q5K, .q6K].contains(dtype)
  }

  /// Rounds f32 once to bf16 or f16, ties to even, or copies it as f32.
  ///
  /// - Precondition: `target` has room for exactly the values.
  package static func narrow(
    _ values: RawSpan, to dtype: DType, into target: inout MutableRawSpan,
    using instructions: InstructionSet = .best
  ) {
    let count = values.byteCount / 4
    precondition(target.byteCount == count * dtype.layout.bytes, "room for each value")
    guard count > 0 else { return }
    unsafe values.withUnsafeBytes { source in
      unsafe target.withUnsafeMutableBytes { target in
        guard let floats = unsafe source.baseAddress?.assumingMemoryBound(to: Float.self),
          let halves = unsafe target.baseAddress?.assumingMemoryBound(to: UInt16.self)
        else { return }
        switch dtype {
        case .f32: unsafe target.copyMemory(from: source)
        case .bf16: unsafe graft_narrow_bf16(instructions.code, floats, count, halves)
        case .f16: unsafe graft_narrow_f16(instructions.code, floats, count, halves)
        default: preconditionFailure("values are rounded to f32, bf16 or f16")
        }
      }
    }
  }

  private static func code(of dtype: DType) -> graft_blocks_type? {
    switch dtype {
    case .f16: GRAFT_BLOCKS_F16
    case .bf16: GRAFT_BLOCKS_BF16
    case .q4_0: GRAFT_BLOCKS_Q4_0
    case .q4_1: GRAFT_BLOCKS_Q4_1
    case .q5_0: GRAFT_BLOCKS_Q5_0
    case .q5_1: GRAFT_BLOCKS_Q5_1
    case .q8_0: GRAFT_BLOCKS_Q8_0
    case .q2K: GRAFT_BLOCKS_Q2_K
    case .q3K: GRAFT_BLOCKS_Q3_K
    case .q4K: GRAFT_BLOCKS_Q4_K
    case .q5K: GRAFT_BLOCKS_Q5_K
    case .q6K: GRAFT_BLOCKS_Q6_K
    case .iq4NL: GRAFT_BLOCKS_IQ4_NL
    case .iq4XS: GRAFT_BLOCKS_IQ4_XS
    case .mxfp4: GRAFT_BLOCKS_MXFP4
    case .bool, .f4, .f6E2M3, .f6E3M2, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ,
      .f8E5M2FNUZ, .i16, .u16, .i32, .u32, .f32, .c64, .f64, .i64, .u64,
      .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S, .tq1_0, .tq2_0, .nvfp4, .q1_0:
      nil
    }
  }
}
