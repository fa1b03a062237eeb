internal import CKernels
internal import GraftCore

/// Sums that every lane makes for itself, in f32, before they are added in the lanes' order.
struct LaneSums: Sendable {
  private let sums: MemorySlice

  /// The bytes of `width` sums in each of `count` lanes; each run of lanes begins on a cache line.
  static func byteCount(count: Int, width: Int) -> Int { (count * width * 4 + 63) / 64 * 64 }

  /// Sums of `count` lanes in some memory.
  init(in memory: Memory, at byteOffset: Int = 0, count: Int, width: Int) {
    sums = MemorySlice(memory, at: byteOffset, dtype: .f32, shape: [count, width])
  }

  /// Begins every sum anew.
  func clear() {
    unsafe floats(lane: 0).update(repeating: 0, count: sums.shape.elementCount)
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
