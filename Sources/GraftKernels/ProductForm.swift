internal import CKernels
internal import COneDNN
internal import GraftCore

/// A product on one thread, c = scale·a·b (+ c), as its layouts tell it: who computes it, and in how much scratch.
struct ProductForm: Sendable, Hashable {
  let a: MatrixLayout
  let b: MatrixLayout
  let c: MatrixLayout
  var isScaled = false
  var accumulates = false

  /// Whether it is a product of bf16 values as oneDNN makes them.
  var isNarrow: Bool {
    !isScaled && a.dtype == .bf16 && b.dtype == .bf16 && (c.dtype == .bf16 || c.dtype == .f32)
  }

  /// The product as oneDNN is told of it: of operands that are both bf16, or both f32.
  var primitive: graft_onednn_product {
    graft_onednn_product(
      m: Int64(a.rows), n: Int64(b.columns), k: Int64(a.columns), a_row: Int64(a.rowStride),
      a_column: Int64(a.columnStride), b_row: Int64(b.rowStride), b_column: Int64(b.columnStride),
      c_row: Int64(c.rowStride), is_f32: a.dtype == .f32 ? 1 : 0, c_is_f32: c.dtype == .f32 ? 1 : 0,
      accumulate: accumulates ? 1 : 0)
  }

  // MARK: - In f32

  /// Whether oneDNN makes the product after all operands were converted; else OpenBLAS does, or a kernel of its own.
  ///
  /// oneDNN reads most operands where they lie, OpenBLAS packs both for each tile, which was a seventh of a training step.
  var isWide: Bool { !isScaled && !isSkinny && Self.areWideOnesMade }

  /// The product of the operands in f32.
  var wide: ProductForm {
    ProductForm(
      a: a.converted, b: b.converted, c: c.converted, accumulates: accumulates)
  }

  /// A matter of the CPU, not of the instruction set in use, as it is for OpenBLAS: below AVX-512 oneDNN packs as well.
  private static let areWideOnesMade =
    graft_best_level() >= SIMDLevel.avx512.rawValue && graft_onednn_is_available() != 0

  /// Whether one extent is so small that the product has a kernel of its own.
  var isSkinny: Bool {
    min(b.columns, a.columns) <= RowChain.skinny
      || a.rows <= RowChain.skinny && b.converted.isReadableInRegisters
  }

  /// The floats of the right operand with its rows padded; 0 where they are read as they lie.
  var packedCount: Int {
    isSkinny && !b.converted.isReadableInRegisters ? b.rows * packedWidth : 0
  }

  /// The columns of the right operand, filled up to whole registers.
  var packedWidth: Int { Self.packedWidth(b.columns) }

  static func packedWidth(_ columns: Int) -> Int { (columns + 15) / 16 * 16 }
}
