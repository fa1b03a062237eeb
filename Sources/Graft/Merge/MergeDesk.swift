internal import GraftAdapters
internal import GraftCore
internal import GraftKernels
internal import Synchronization

/// A place where one thread at a time makes a band of a merge, or finds it.
final class MergeDesk: Sendable {
  let room = Mutex(MergeRoom())
}

/// The memory in which a band is made, and where it stays until the room is needed.
struct MergeRoom: Sendable {
  private var band: (tensor: Int, number: Int)?
  private var old: Memory?
  private var new: Memory?
  /// The values of the band.
  private(set) var values: MemorySlice?

  /// Whether the band lies here.
  func holds(_ number: Int, of tensor: Int) -> Bool {
    band.map { $0.tensor == tensor && $0.number == number } ?? false
  }

  /// Makes a band: W' = round(W + Σ scale · B · A).
  ///
  /// - Parameter right: The factors A of the tensor's updates, in their order.
  /// - Returns: What happened to the elements.
  mutating func make(
    _ bands: MergeBands, _ number: Int, of tensor: Int, in plan: MergePlan, right: [MemorySlice]
  ) throws(StorageError) -> LowRankUpdate.Sums {
    band = nil
    let planned = plan.tensors[tensor]
    let source = plan.source(of: planned)
    let elements = bands[number]
    let columns = planned.updates.isEmpty ? elements.count : max(planned.info.shape.columns, 1)
    let rows = elements.lowerBound / columns..<elements.upperBound / columns
    let shape: Shape = [elements.count / columns, columns]
    let from = try Self.slice(&old, source.info.dtype, shape)
    let to = try Self.slice(&new, planned.info.dtype, shape)
    try source.reader.read(
      source.tensor, at: elements.lowerBound * source.info.dtype.layout.bytes, into: from)
    var factors: [LowRankUpdate.Factor] = []
    for (update, right) in zip(planned.updates, right) {
      factors.append(
        LowRankUpdate.Factor(
          b: try plan.leftFactor(of: update, rows: rows), a: right, scale: update.scale))
    }
    let sums = LowRankUpdate.add(factors, to: from, into: to)
    values = to
    band = (tensor, number)
    return sums
  }

  /// A slice of a buffer, which grows for rows that are longer than a tile.
  private static func slice(
    _ memory: inout Memory?, _ dtype: DType, _ shape: Shape
  ) throws(StorageError) -> MemorySlice {
    let byteCount = shape.elementCount * dtype.layout.bytes
    if let memory, memory.byteCount >= byteCount {
      return MemorySlice(memory, dtype: dtype, shape: shape)
    }
    let larger = try Memory(byteCount: byteCount)
    memory = larger
    return MemorySlice(larger, dtype: dtype, shape: shape)
  }
}
