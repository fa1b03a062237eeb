package import GraftCore
internal import Synchronization

/// The tensors of a file being written, each with its place: in the file itself, or in a member of an archive.
///
/// What is written is held against what was announced.
public final class LaidOutTensors: Sendable {
  /// The tensors in the order of the file.
  let infos: [TensorInfo]
  private let places: [Place]
  private let archive: ZipWriter?
  private let target: String
  private let written = Atomic<Int>(0)

  /// Where a tensor's bytes begin.
  private enum Place: Sendable {
    case file(OutputFile, Int)
    case member(ZipWriter, Int, Int)
  }

  /// Places tensors in one file.
  convenience init(_ tensors: [TensorInfo], in file: OutputFile, at starts: [Int]) {
    self.init(tensors, at: starts.map { (file, $0) }, target: file.target)
  }

  /// Places tensors in several files.
  package init(
    _ tensors: [TensorInfo], at places: [(file: OutputFile, offset: Int)], target: String
  ) {
    precondition(tensors.count == places.count, "a place for each tensor")
    infos = tensors
    self.places = places.map { .file($0.file, $0.offset) }
    self.target = target
    archive = nil
  }

  /// Places tensors in members of an archive, which is completed with them.
  init(
    _ tensors: [TensorInfo], in archive: ZipWriter, at places: [(member: Int, offset: Int)],
    target: String
  ) {
    precondition(tensors.count == places.count, "a place for each tensor")
    infos = tensors
    self.places = places.map { .member(archive, $0.member, $0.offset) }
    self.target = target
    self.archive = archive
  }

  func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError) {
    precondition(
      byteOffset >= 0 && bytes.byteCount <= infos[tensor].byteCount - byteOffset,
      "a write lies inside its tensor")
    switch places[tensor] {
    case .file(let file, let start): try file.write(bytes, at: start + byteOffset)
    case .member(let archive, let member, let start):
      try archive.write(bytes, of: member, at: start + byteOffset)
    }
    written.add(bytes.byteCount, ordering: .relaxed)
  }

  func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    precondition(extent.range.count == infos[tensor].byteCount, "a copy has the size of its tensor")
    switch places[tensor] {
    case .file(let file, let start): try file.copy(from: extent.file, extent.range, to: start)
    case .member(let archive, let member, let start):
      try archive.copy(extent, to: member, at: start)
    }
    written.add(extent.range.count, ordering: .relaxed)
  }

  func finish() throws(StorageError) {
    let given = written.load(ordering: .relaxed)
    let wanted = infos.reduce(0) { $0 + $1.byteCount }
    guard given == wanted else {
      throw StorageError(
        .mismatch(
          subject: "the tensor data given to the writer", expected: "\(wanted) bytes",
          found: "\(given)"),
        file: target)
    }
    try archive?.finish()
  }
}
