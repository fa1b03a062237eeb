internal import CKernels
package import GraftCore

/// Adds low-rank updates to stored rows and rounds once: W' = round(W + Σ scale · B · A).
///
/// Accumulates products in f32, sums in f64. All levels of SIMD give the same bits; rows are independent of each other, so
/// a caller may split a matrix into tiles of rows in any way.
package enum LowRankUpdate {
  /// One update.  B: [rows, rank]  A: [rank, columns], both f32
  package struct Factor {
    package let b: MemorySlice
    package let a: MemorySlice
    package let scale: Float

    package init(b: MemorySlice, a: MemorySlice, scale: Float) {
      precondition(b.dtype == .f32 && a.dtype == .f32 && b.shape.columns == a.shape.rows)
      self.b = b
      self.a = a
      self.scale = scale
    }
  }

  /// What happened to the elements, as sums over them.
  package struct Sums: Sendable, Equatable {
    /// The sum of W².
    package var baseSquared = 0.0
    /// The sum of ΔW².
    package var updateSquared = 0.0
    /// The sum of (W' − (W + ΔW))².
    package var roundingSquared = 0.0
    /// The sum of (W' − W) · ΔW.
    package var survived = 0.0
    /// Elements whose stored value is another one.
    package var changedCount = 0
    /// Elements that became NaN or infinite.
    package var notFiniteCount = 0

    package init() {}

    package static func += (left: inout Sums, right: Sums) {
      left.baseSquared += right.baseSquared
      left.updateSquared += right.updateSquared
      left.roundingSquared += right.roundingSquared
      left.survived += right.survived
      left.changedCount += right.changedCount
      left.notFiniteCount += right.notFiniteCount
    }
  }

  /// The best level of SIMD that this CPU has.
  package static let bestLevel = Int(graft_low_rank_level())

  /// Writes base plus updates into `result`; without updates this is a conversion.
  ///
  /// - Precondition: base and result are matrices [rows, columns] of f16, bf16, f32 or f64, and the factors fit them.
  package static func add(
    _ factors: [Factor], to base: MemorySlice, into result: MemorySlice,
    level: Int = bestLevel
  ) -> Sums {
    let (rows, columns) = (base.shape.rows, base.shape.columns)
    precondition(result.shape.rows == rows && result.shape.columns == columns, "one shape")
    precondition(
      factors.allSatisfy { $0.b.shape.rows == rows && $0.a.shape.columns == columns },
      "the factors fit the matrix")
    guard rows > 0, columns > 0 else { return Sums() }
    var sums = graft_low_rank_sums()
    // Safety: the slices lie inside their regions, and the shapes were compared above.
    let plain = unsafe factors.map { factor in
      unsafe graft_low_rank_factor(
        b: address(factor.b)?.assumingMemoryBound(to: Float.self),
        a: address(factor.a)?.assumingMemoryBound(to: Float.self),
        rank: factor.b.shape.columns, scale: factor.scale)
    }
    unsafe graft_add_low_rank(
      Int32(level), address(base), type(of: base), address(result), type(of: result), rows,
      columns, plain, plain.count, &sums)
    var total = Sums()
    total.baseSquared = sums.base_squared
    total.updateSquared = sums.update_squared
    total.roundingSquared = sums.rounding_squared
    total.survived = sums.survived
    total.changedCount = Int(sums.changed)
    total.notFiniteCount = Int(sums.not_finite)
    return total
  }

  private static func address(_ slice: MemorySlice) -> UnsafeMutableRawPointer? {
    unsafe slice.memory.address(at: slice.byteOffset)
  }

  private static func type(of slice: MemorySlice) -> graft_float_type {
    switch slice.dtype {
    case .f16: graft_f16
    case .bf16: graft_bf16
    case .f32: graft_f32
    case .f64: graft_f64
    case .bool, .f4, .f6E2M3, .f6E3M2, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ,
      .f8E5M2FNUZ, .i16, .u16, .i32, .u32, .c64, .i64, .u64, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0,
      .q2K, .q3K, .q4K, .q5K, .q6K,
      .iq4NL, .iq4XS, .mxfp4, .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S, .tq1_0, .tq2_0,
      .nvfp4, .q1_0:
      preconditionFailure("\(slice.dtype) isn't a float that arithmetic is done on")
    }
  }
}
