internal import CKernels
internal import GraftCore

/// Sums that every lane makes for itself, in f32 and from zero, before they are added in the lanes' order.
struct LaneSums: Sendable {
  private let sums: MemorySlice

  /// Room for `width` sums in each of `count` lanes.
  init(count: Int, width: Int) {
    let memory = Memory.needed(byteCount: count * width * 4)
    sums = MemorySlice(memory, dtype: .f32, shape: [count, width])
  }

  /// A lane's sums.
  func floats(lane: Int) -> UnsafeMutablePointer<Float> {
    unsafe sums.floats(element: lane * sums.shape.columns)
  }

  /// Adds the lanes, and writes runs of the sums to where they belong.
  func add(level: Int32, _ targets: [(first: Int, target: MemorySlice)]) {
    for lane in 1..<max(sums.shape.rows, 1) {
      unsafe graft_add_scaled(
        level, floats(lane: lane), 1, floats(lane: 0), Int64(sums.shape.columns))
    }
    for (first, target) in targets {
      unsafe graft_convert(
        level, floats(lane: 0) + first, DType.f32.code, target.address, target.code,
        Int64(min(sums.shape.columns - first, target.shape.elementCount)))
    }
  }
}
