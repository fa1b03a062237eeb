internal import GraftCore

/// How a tensor that changes in a merge is cut, each band small enough for memory.
struct MergeBands: Sendable {
  /// The elements of every band but the last: whole rows where rows get updates.
  let elementCount: Int
  /// The elements of the tensor.
  private let total: Int

  /// Cuts a tensor of a plan; nil where it comes from its source as it is.
  init?(_ planned: MergePlan.Planned, source: TensorInfo) {
    total = planned.info.shape.elementCount
    if !planned.updates.isEmpty {
      let columns = max(planned.info.shape.columns, 1)
      // A multiple of the four rows that the kernel takes together.
      elementCount = max(1, TensorTile.elementCount / columns & ~3) * columns
    } else if planned.info.dtype != source.dtype {
      elementCount = TensorTile.elementCount
    } else {
      return nil
    }
  }

  /// How many bands there are.
  var count: Int { (total + elementCount - 1) / elementCount }

  /// The elements of a band.
  subscript(number: Int) -> Range<Int> {
    number * elementCount..<min((number + 1) * elementCount, total)
  }
}
