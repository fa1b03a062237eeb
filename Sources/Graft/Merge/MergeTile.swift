internal import GraftCore

/// A piece of a merge, small enough for memory.
struct MergeTile: Sendable {
  /// What is done with the piece.
  enum Work: Sendable {
    /// The whole tensor is copied inside the kernel.
    case copy(FileExtent)
    /// Bytes are read and written as they are, because they have no place in a file.
    case transfer(Range<Int>)
    /// Elements change their dtype.
    case convert(Range<Int>)
    /// Rows get updates.
    case update(Range<Int>)
  }

  /// The tensor, by its position in the plan.
  let tensor: Int
  /// What is done.
  let work: Work

  /// The bytes of a tile in the wider of both dtypes, about.
  static let byteCount = 4 << 20

  /// Cuts all tensors of a plan into tiles, in order.
  static func all(of plan: MergePlan) -> [MergeTile] {
    plan.tensors.indices.flatMap { index in
      works(on: plan.tensors[index], in: plan).map { MergeTile(tensor: index, work: $0) }
    }
  }

  private static func works(on planned: MergePlan.Planned, in plan: MergePlan) -> [Work] {
    let source = plan.source(of: planned)
    let (old, new) = (source.info, planned.info)
    let elementBytes = max(old.dtype.layout.bytes, new.dtype.layout.bytes)
    if !planned.updates.isEmpty {
      return cut(new.shape.rows, unitBytes: elementBytes * max(new.shape.columns, 1))
        .map(Work.update)
    }
    if old.dtype != new.dtype {
      return cut(new.shape.elementCount, unitBytes: elementBytes).map(Work.convert)
    }
    if let extent = source.reader.extent(of: source.tensor) { return [.copy(extent)] }
    return cut(new.byteCount, unitBytes: 1).map(Work.transfer)
  }

  private static func cut(_ count: Int, unitBytes: Int) -> [Range<Int>] {
    // A multiple of the four rows that the kernel takes together.
    let step = max(1, byteCount / unitBytes & ~3)
    return stride(from: 0, to: count, by: step).map { $0..<min($0 + step, count) }
  }
}
