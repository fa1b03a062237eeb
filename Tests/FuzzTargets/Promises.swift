import Glibc
import GraftCore
import GraftFormats

/// The most bytes of an input's tensors that a target reads: files may declare more than they hold where they are compressed or
/// repeat themselves.
private let readableBytes = 1 << 22

/// Ends the process with the words of a promise that isn't kept; a precondition's would be lost where the code is optimized.
func promise(
  _ isKept: Bool, _ words: @autoclosure () -> String, file: StaticString = #file, line: UInt = #line
) {
  if !isKept { fatalError(words(), file: file, line: line) }
}

/// What an opened file promises: its tensors' bytes are inside the file, and every tensor can be read, the same whole and in pieces.
///
/// - Parameters:
///   - isChecked: Whether opening has seen all that reading needs. A compressed tensor may turn out to be damaged: then it ends in
///     an error.
///   - step: What pieces are multiples of.
func readAll(
  _ reader: some CheckpointReader, byteCount: Int, isChecked: Bool = true, step: Int = 1
) {
  let names = Set(reader.tensors.map(\.name))
  promise(names.count == reader.tensors.count, "a tensor has a name of its own")
  promise(
    reader.ties.joined().allSatisfy(reader.tensors.indices.contains), "ties are of tensors")
  var room = readableBytes
  for (index, tensor) in reader.tensors.enumerated() {
    let extent = reader.extent(of: index)
    if let extent {
      promise(extent.range.lowerBound >= 0, "an extent begins in the file")
      promise(extent.range.upperBound <= byteCount, "an extent ends in the file")
      promise(extent.range.count == tensor.byteCount, "an extent is its tensor's")
    }
    guard tensor.byteCount <= room else { continue }
    room -= tensor.byteCount
    do throws(StorageError) {
      let whole = try bytes(of: index, in: reader)
      let again = try bytes(of: index, in: reader, piece: (tensor.byteCount / 3 / step + 1) * step)
      promise(again == whole, "pieces are those of the whole")
      if let extent {
        let stored = try extent.file.bytes(at: extent.range.lowerBound, count: extent.range.count)
        promise(stored == whole, "an extent holds its tensor")
      }
    } catch {
      promise(!isChecked && extent == nil, "what was accepted can be read: \(error)")
    }
    try? reader.checkStoredBytes(of: index)
  }
}

/// Reads all words of a vocabulary, which are as many as it says; in files of others they may be damaged.
func readAll(_ vocabulary: any Vocabulary) {
  var count = 0
  var byteCount = 0
  do {
    try vocabulary.visit { row, word in
      promise(row == count, "words come in order")
      count += 1
      byteCount += word.count
    }
  } catch { return }
  promise(count == vocabulary.count, "words are counted")
  promise(byteCount <= vocabulary.byteCount, "their bytes are")
}

/// Writes what was read, reads it again and compares.
///
/// Files of the format's own are written in one canonical form, which must hold the same tensors with the same bytes.
func writeBack(_ reader: SafetensorsReader) {
  let path = "/dev/shm/graft-\(getpid())-back"
  defer { unlink(path) }
  do {
    let order = try write(reader, to: path)
    let again = try SafetensorsReader(path: path)
    promise(again.tensors.count == reader.tensors.count, "all tensors are written")
    promise(Set(again.metadata) == Set(reader.metadata), "metadata is kept")
    for (index, source) in order.enumerated() {
      promise(again.tensors[index] == reader.tensors[source], "a tensor is kept")
      let isSame = try bytes(of: index, in: again) == bytes(of: source, in: reader)
      promise(isSame, "its bytes are kept")
    }
  } catch {
    fatalError("what was accepted can be written: \(error)")
  }
}

/// Writes all tensors and gives, for each that was written, the one that it was.
private func write(_ reader: SafetensorsReader, to path: String) throws(StorageError) -> [Int] {
  let file = try AtomicFile(path: path)
  let writer = try SafetensorsWriter(reader.tensors, metadata: reader.metadata, to: file.output)
  var positions: [TensorName: Int] = [:]
  for (index, tensor) in reader.tensors.enumerated() { positions[tensor.name] = index }
  let order = writer.tensors.compactMap { positions[$0.name] }
  promise(order.count == writer.tensors.count, "names are kept")
  for (index, source) in order.enumerated() {
    let bytes = try bytes(of: source, in: reader)
    try writer.write(bytes, of: index, at: 0)
  }
  try writer.finish()
  try file.commit()
  return order
}

/// A tensor's bytes, read in pieces of a size, or whole.
func bytes(
  of tensor: Int, in reader: any CheckpointReader, piece: Int = .max
) throws(StorageError) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: reader.tensors[tensor].byteCount)
  try bytes.withMutableRawBytes { (whole: inout MutableRawSpan) throws(StorageError) in
    var start = 0
    while start < whole.byteCount {
      let end = start + min(piece, whole.byteCount - start)
      var part = whole._mutatingExtracting(start..<end)
      try reader.read(tensor, at: start, into: &part)
      start = end
    }
  }
  return bytes
}
