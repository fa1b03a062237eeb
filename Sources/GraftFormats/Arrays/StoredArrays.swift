internal import GraftCore
internal import Synchronization

/// The tensors of a file that keeps them as arrays: of any strides, in either byte order, deflated or not.
///
/// Arrays that lie as they are wanted are read straight from the file; others are gathered by bands of a constant size.
public final class StoredArrays: Sendable {
  /// One array and how it lies.
  struct Placement: Sendable {
    let info: TensorInfo
    let storage: ElementBytes
    let view: StridedView
    let isSwapped: Bool

    /// Whether the bytes are the tensor's.
    fileprivate var isPlain: Bool { !isSwapped && view.isContiguous }
  }

  let placements: [Placement]
  let infos: [TensorInfo]
  /// The members of an archive that hold the arrays; nil without one.
  let members: ArrayMembers?
  private let bands = Mutex<[GatheredBand]>([])

  init(_ placements: [Placement], members: ArrayMembers? = nil) {
    self.placements = placements
    self.members = members
    infos = placements.map(\.info)
  }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` on.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  /// - Throws: ``StorageError`` when the file can't be read.
  func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    let placement = placements[tensor]
    precondition(
      byteOffset >= 0 && buffer.byteCount <= placement.info.byteCount - byteOffset,
      "a read lies inside its tensor")
    guard buffer.byteCount > 0 else { return }
    do throws(StorageError) {
      if placement.isPlain {
        let start = placement.view.offset * placement.view.width
        try placement.storage.read(at: start + byteOffset, into: &buffer)
      } else {
        try gather(tensor, placement, at: byteOffset, into: &buffer)
      }
    } catch {
      var named = error
      named.tensor = placement.info.name
      throw named
    }
  }

  /// Where a tensor's bytes lie, where they do.
  func extent(of tensor: Int) -> FileExtent? {
    let placement = placements[tensor]
    guard placement.isPlain, case .file(let file, let range) = placement.storage else { return nil }
    let start = range.lowerBound + placement.view.offset * placement.view.width
    return FileExtent(file: file, range: start..<start + placement.info.byteCount)
  }

  // MARK: - Gathering

  private func gather(
    _ tensor: Int, _ placement: Placement, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    var done = 0
    while done < buffer.byteCount {
      let place = byteOffset + done
      let width = placement.view.width
      let band = try band(holding: place / width, of: tensor, placement)
      let start = place - band.elements.lowerBound * width
      let count = min(buffer.byteCount - done, band.elements.count * width - start)
      buffer.overwrite(at: done, with: band.memory.bytes.extracting(start..<start + count))
      done += count
    }
  }

  /// A band in memory; never written again once it is there.
  private struct GatheredBand: Sendable {
    let tensor: Int
    let elements: Range<Int>
    let memory: Memory
  }

  private static let bandByteCount = 16 << 20
  private static let bandCount = 2

  private func band(
    holding element: Int, of tensor: Int, _ placement: Placement
  ) throws(StorageError) -> GatheredBand {
    let found = bands.withLock { bands -> Result<GatheredBand, StorageError> in
      if let band = bands.first(where: { $0.tensor == tensor && $0.elements.contains(element) }) {
        return .success(band)
      }
      do throws(StorageError) {
        let width = placement.view.width
        let band = StridedBand(
          of: placement.view, holding: element, limit: Self.bandByteCount / width)
        let memory = try Memory(byteCount: band.elements.count * width)
        try StridedGather().gather(
          band, width: width, isSwapped: placement.isSwapped, of: placement.storage, into: memory)
        if bands.count == Self.bandCount { bands.removeFirst() }
        let gathered = GatheredBand(tensor: tensor, elements: band.elements, memory: memory)
        bands.append(gathered)
        return .success(gathered)
      } catch {
        return .failure(error)
      }
    }
    return try found.get()
  }
}
