package import GraftCore

/// A fused chain of pointwise operations and row reductions, run over cache-resident tiles.
///
/// The iteration space is `rows` × `columns`. Every register holds f32 values in one of four forms, which follow
/// from its operands: a full tile, one value a row, one value a column, or a scalar; mixed forms broadcast. Rows are
/// independent except for column sums, which go through fixed lanes and so don't depend on the number of threads.
package struct TileProgram: Sendable, Hashable {
  /// Rows of the iteration space.
  package var rows: Int
  /// Columns of the iteration space.
  package var columns: Int
  /// The memory that is read and written; bound to slices, in this order, when the program runs.
  package var bindings: [Binding]
  /// The steps, in order; step `i` defines register `i`, but stores and column sums define nothing.
  package var instructions: [Instruction]

  package init(rows: Int, columns: Int, bindings: [Binding], instructions: [Instruction]) {
    self.rows = rows
    self.columns = columns
    self.bindings = bindings
    self.instructions = instructions
  }

  /// How memory is laid over the iteration space.
  ///
  /// Iteration row `r` stands at memory row `(r / rowDivisor) % rowModulus`; a memory row holds `columns` elements
  /// (`.columns`) or one (`.one`). A vector shared by all rows is `.columns` with `rowModulus` 1; a value a row is `.one`;
  /// a scalar is `.one` with `rowModulus` 1.
  package struct Binding: Sendable, Hashable {
    /// f32, bf16 or f16; i32 only for reading small integers as numbers, i64 only for the numbers of batches.
    package var dtype: DType
    package var width: Width
    package var rowDivisor: Int
    package var rowModulus: Int

    package enum Width: Sendable, Hashable { case columns, one }

    package init(dtype: DType, width: Width, rowDivisor: Int = 1, rowModulus: Int = .max) {
      self.dtype = dtype
      self.width = width
      self.rowDivisor = rowDivisor
      self.rowModulus = rowModulus
    }
  }

  /// A register: the index of the instruction that defines it.
  package typealias Register = Int

  /// One step of the program.
  package enum Instruction: Sendable, Hashable {
    case load(binding: Int)
    case constant(Float)
    /// The factors of dropout, over the whole iteration space; the binding is the number of the batch, an i64.
    case dropoutMask(DropoutMask, batch: Int)
    case unary(Unary, Register)
    case binary(Binary, Register, Register)
    /// `condition != 0 ? then : otherwise`.
    case select(condition: Register, then: Register, otherwise: Register)
    /// The value rounded to the dtype and widened again, as a store and a load would do.
    case round(DType, Register)
    /// Within each group of `width` columns: (x₁, x₂) → (−x₂, x₁) by halves; rotary embedding's rotation.
    case rotateHalf(width: Int, Register)
    /// One value a row.
    case rowReduce(Reduction, Register)
    /// Writes a register to memory, rounding to nearest even.
    case store(Register, binding: Int)
    /// Writes the sum over all rows; the binding has one memory row.
    case columnSum(Register, binding: Int)
  }

  package enum Unary: String, Sendable, Hashable, CaseIterable {
    case negate, exp, log, squareRoot, reciprocalSquareRoot, reciprocal, tanh, sigmoid, erf
    case absolute, square, sine, cosine
  }

  package enum Binary: String, Sendable, Hashable, CaseIterable {
    case add, subtract, multiply, divide, maximum, minimum
    /// 1 where true, else 0.
    case less, equal
  }

  package enum Reduction: String, Sendable, Hashable, CaseIterable { case sum, maximum }
}
