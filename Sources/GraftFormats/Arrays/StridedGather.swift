internal import GraftCore

/// Brings the elements of bands together, in few reads of the storage.
///
/// Dimensions are read from the smallest stride up while what lies between is little; the largest strides are seeks.
struct StridedGather {
  private let window: Memory

  private static let windowByteCount = 4 << 20
  /// Runs up to this size are read whole, whatever of them is wanted.
  private static let smallByteCount = 32 << 10
  /// How much may be read for each byte that is wanted.
  private static let waste = 8

  init() throws(StorageError) { window = try Memory(byteCount: Self.windowByteCount) }

  /// Fills the beginning of `target` with a band.
  ///
  /// - Parameter isSwapped: Whether the bytes of each element are stored in the other order.
  /// - Throws: ``StorageError`` when the storage can't be read.
  func gather(
    _ band: StridedBand, width: Int, isSwapped: Bool, of storage: ElementBytes, into target: Memory
  ) throws(StorageError) {
    guard !band.elements.isEmpty else { return }
    let axes = band.axes.filter { $0.extent > 1 }.sorted { $0.source > $1.source }
    try gather(
      Job(storage: storage, target: target, width: width, isSwapped: isSwapped), axes[...],
      from: band.source, to: 0)
  }

  private struct Job {
    let storage: ElementBytes
    let target: Memory
    let width: Int
    let isSwapped: Bool
  }

  private func gather(
    _ job: Job, _ axes: ArraySlice<StridedBand.Axis>, from source: Int, to target: Int
  ) throws(StorageError) {
    let span = axes.reduce(1) { $0 + ($1.extent - 1) * $1.source }
    let wanted = axes.reduce(1) { $1.source == 0 ? $0 : $0 * $1.extent }
    let isDense =
      span / Self.waste <= wanted || span <= Self.smallByteCount / job.width
    if isDense, span <= Self.windowByteCount / job.width {
      let (storage, place, count) = (job.storage, source * job.width, span * job.width)
      try window.withMutableBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        var part = bytes._mutatingExtracting(0..<count)
        try storage.read(at: place, into: &part)
      }
      scatter(axes.sorted { $0.target > $1.target }, to: target, job)
      return
    }
    guard let widest = axes.first, widest.source > 0 else { return }
    let rest = axes.dropFirst()
    let restSpan = rest.reduce(1) { $0 + ($1.extent - 1) * $1.source }
    let step: Int
    if isDense {
      step = max(1, (Self.windowByteCount / job.width - restSpan) / widest.source + 1)
    } else if rest.isEmpty {
      step = max(1, (Self.smallByteCount / job.width - 1) / widest.source + 1)
    } else {
      step = 1
    }
    // Each part is smaller than the whole: the whole neither fits the window nor is small.
    for first in stride(from: 0, to: widest.extent, by: step) {
      let count = min(step, widest.extent - first)
      let part = StridedBand.Axis(
        extent: count, source: widest.source, target: widest.target)
      let axes = count > 1 ? [part] + rest : Array(rest)
      try gather(
        job, axes[...], from: source + first * widest.source, to: target + first * widest.target)
    }
  }

  /// Puts the window's elements in their places.
  private func scatter(_ axes: [StridedBand.Axis], to place: Int, _ job: Job) {
    switch job.width {
    case 1: StridedCopy<UInt8>(job.isSwapped).copy(window, axes, from: 0, to: place, job.target)
    case 2: StridedCopy<UInt16>(job.isSwapped).copy(window, axes, from: 0, to: place, job.target)
    case 4: StridedCopy<UInt32>(job.isSwapped).copy(window, axes, from: 0, to: place, job.target)
    case 8: StridedCopy<UInt64>(job.isSwapped).copy(window, axes, from: 0, to: place, job.target)
    default: preconditionFailure("elements of 1, 2, 4 or 8 bytes")
    }
  }
}
