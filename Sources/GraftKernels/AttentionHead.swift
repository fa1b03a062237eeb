internal import GraftCore

/// Where one head's rows stand in the tensors of an attention.
struct AttentionHead {
  let shape: AttentionShape
  let batch: Int
  let head: Int

  /// Rows of q, o or their gradients.
  func queries(_ slice: MemorySlice, _ rows: Range<Int>) -> Matrix {
    let first = (batch * shape.sequence + rows.lowerBound) * shape.width + head * shape.headDim
    return unsafe Matrix(
      slice.address(element: first), slice.dtype, rows: rows.count, columns: shape.headDim,
      stride: shape.width)
  }

  /// Rows of k, v or their gradients, of which a sequence has `count`.
  func keys(_ slice: MemorySlice, _ rows: Range<Int>, rows count: Int) -> Matrix {
    let first =
      (batch * count + rows.lowerBound) * shape.keyValueWidth + head / shape.group * shape.headDim
    return unsafe Matrix(
      slice.address(element: first), slice.dtype, rows: rows.count, columns: shape.headDim,
      stride: shape.keyValueWidth)
  }
}
