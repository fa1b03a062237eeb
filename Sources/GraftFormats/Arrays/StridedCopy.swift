internal import GraftCore

/// Copies elements between strided places in memory.
///
/// Safety: the farthest elements of source and target are compared with both regions before the first is touched; strides and
/// extents aren't negative, so all others lie before them.
struct StridedCopy<Element: FixedWidthInteger & BitwiseCopyable> {
  private let isSwapped: Bool

  /// Makes a copier; a swapping one turns the bytes of each element around.
  init(_ isSwapped: Bool) { self.isSwapped = isSwapped }

  /// Copies the elements of all axes; places count elements.
  func copy(
    _ origin: Memory, _ axes: [StridedBand.Axis], from source: Int, to place: Int,
    _ target: Memory
  ) {
    let width = MemoryLayout<Element>.size
    let (read, written) = axes.reduce((source, place)) {
      ($0.0 + ($1.extent - 1) * $1.source, $0.1 + ($1.extent - 1) * $1.target)
    }
    precondition(
      source >= 0 && place >= 0 && (read + 1) * width <= origin.byteCount
        && (written + 1) * width <= target.byteCount && target.isWritable,
      "elements inside their regions")
    guard let from = unsafe origin.address(at: source * width),
      let to = unsafe target.address(at: place * width)
    else { return }
    unsafe copy(axes[...], UnsafeRawPointer(from), to)
    // The copy goes through addresses: the owners must live until it is done.
    withExtendedLifetime((origin, target)) {}
  }

  private func copy(
    _ axes: ArraySlice<StridedBand.Axis>, _ source: UnsafeRawPointer,
    _ target: UnsafeMutableRawPointer
  ) {
    let width = MemoryLayout<Element>.size
    guard let axis = axes.first else {
      unsafe move(source, target)
      return
    }
    let rest = axes.dropFirst()
    let (sourceStep, targetStep) = (axis.source * width, axis.target * width)
    if rest.isEmpty {
      if sourceStep == width, targetStep == width, !isSwapped {
        unsafe target.copyMemory(from: source, byteCount: axis.extent * width)
      } else {
        for index in 0..<axis.extent {
          unsafe move(source + index * sourceStep, target + index * targetStep)
        }
      }
      return
    }
    for index in 0..<axis.extent {
      unsafe copy(rest, source + index * sourceStep, target + index * targetStep)
    }
  }

  @inline(__always)
  private func move(_ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    let value = unsafe source.loadUnaligned(as: Element.self)
    unsafe target.storeBytes(of: isSwapped ? value.byteSwapped : value, as: Element.self)
  }
}
