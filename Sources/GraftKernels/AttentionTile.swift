internal import CKernels
internal import GraftCore

/// The tiles that an attention is computed in, and the packed operands of their products.
struct AttentionTile: Sendable {
  /// Columns of a panel.
  static let lanes = 16
  /// log₂ e: the softmax is computed with powers of 2.
  static let log2e: Float = 1.442_695_04

  let level: Int32
  /// Whether products multiply pairs of bf16 instead of single f32.
  let multipliesPairs: Bool
  /// Columns of a head, filled up to whole panels.
  let width: Int
  /// Units of a head's columns.
  let units: Int
  private let headDim: Int

  init(_ shape: AttentionShape, level: Int32, multipliesPairs: Bool) {
    self.level = level
    self.multipliesPairs = multipliesPairs
    headDim = shape.headDim
    width = Self.padded(shape.headDim)
    units = multipliesPairs ? (shape.headDim + 1) / 2 : shape.headDim
  }

  /// A count filled up to whole panels.
  static func padded(_ count: Int) -> Int { (count + lanes - 1) / lanes * lanes }

  /// The units of so many values along the axis that a product sums over.
  func units(of count: Int) -> Int { multipliesPairs ? (count + 1) / 2 : count }

  /// The floats that packing needs beside its result.
  var room: Int { max(Self.lanes * units, 2 * width) }

  private var pairs: Int32 { multipliesPairs ? 1 : 0 }

  /// Rows as the left side of products over columns: [rows, units].
  func pack(rows x: Matrix, into target: UnsafeMutablePointer<Float>) {
    unsafe graft_attention_rows(
      level, pairs, x.start, x.dtype.code, Int64(x.rowStride), Int64(x.rows), Int64(x.columns),
      target)
  }

  /// Rows as the right side of products over columns: [rows / 16, units, 16].
  func pack(
    transposed x: Matrix, into target: UnsafeMutablePointer<Float>,
    room: UnsafeMutablePointer<Float>
  ) {
    unsafe graft_attention_transposed_panels(
      level, pairs, x.start, x.dtype.code, Int64(x.rowStride), Int64(x.rows), Int64(x.columns),
      target, room)
  }

  /// Rows as the right side of products over rows, filled up to whole panels: [width / 16, units of rows, 16].
  func pack(
    _ x: Matrix, into target: UnsafeMutablePointer<Float>, room: UnsafeMutablePointer<Float>
  ) {
    unsafe graft_attention_panels(
      level, pairs, x.start, x.dtype.code, Int64(x.rowStride), Int64(x.rows),
      Int64(Self.padded(x.rows)), Int64(x.columns), target, room)
  }

  /// result[rows, 16 · panels] = a · panels, or added to it, multiplied by a factor a row before.
  func multiply(
    _ a: UnsafeMutablePointer<Float>, rowStep: Int, unitStep: Int = 1,
    by panels: UnsafeMutablePointer<Float>, panelStep: Int, units: Int,
    into result: UnsafeMutablePointer<Float>, stride: Int, rows: Int, panelCount: Int,
    factor: UnsafeMutablePointer<Float>? = nil, accumulate: Bool = false
  ) {
    unsafe graft_attention_product(
      level, pairs, a, Int64(rowStep), Int64(unitStep), panels, Int64(panelStep), Int64(units),
      result, Int64(stride), Int64(rows), Int64(panelCount), factor, accumulate ? 1 : 0)
  }

  /// A step of the online softmax over some columns of a tile; see `graft_attention_softmax`.
  func softmax(
    _ scores: UnsafeMutablePointer<Float>, stride: Int, rows: Int, _ columns: Range<Int>,
    _ seen: UnsafePointer<Int32>, key: Int, scale: Float, _ maximum: UnsafeMutablePointer<Float>,
    _ sum: UnsafeMutablePointer<Float>, _ factor: UnsafeMutablePointer<Float>,
    _ weights: UnsafeMutablePointer<Float>
  ) {
    unsafe graft_attention_softmax(
      level, pairs, scores, Int64(stride), Int64(rows), Int64(columns.lowerBound),
      Int64(columns.upperBound), seen, Int64(key), scale * Self.log2e, maximum, sum, factor,
      weights)
  }

  /// Scores and the gradients of weights become weights and the gradients of scores; see `graft_attention_softmax_gradient`.
  func softmaxGradient(
    _ scores: UnsafeMutablePointer<Float>, _ gradients: UnsafeMutablePointer<Float>, stride: Int,
    rows: Int, _ columns: Range<Int>, _ seen: UnsafePointer<Int32>, key: Int, scale: Float,
    _ logSumExp: UnsafeMutablePointer<Float>, _ delta: UnsafeMutablePointer<Float>,
    weightPairs: UnsafeMutablePointer<Float>, gradientPairs: UnsafeMutablePointer<Float>,
    gradientRows: UnsafeMutablePointer<Float>
  ) {
    unsafe graft_attention_softmax_gradient(
      level, pairs, scores, gradients, Int64(stride), Int64(rows), Int64(columns.lowerBound),
      Int64(columns.upperBound), seen, Int64(key), scale * Self.log2e, logSumExp, delta,
      weightPairs, gradientPairs, gradientRows)
  }

  /// The columns of a block of keys that a run of tokens sees, in whole panels; nil when it sees none of it.
  func columns(of keys: Range<Int>, seen: Range<Int>) -> Range<Int>? {
    let first = max(seen.lowerBound, keys.lowerBound) - keys.lowerBound
    let end = min(seen.upperBound, keys.upperBound) - keys.lowerBound
    return first < end ? first / Self.lanes * Self.lanes..<Self.padded(end) : nil
  }
}
