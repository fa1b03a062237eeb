import Glibc
import GraftCore
import GraftFormats

/// The most bytes of a tensor that a target reads: files may declare more than they hold where they are compressed.
private let readableBytes = 1 << 22

/// What an opened file promises: every tensor can be read, or ends in an error; its bytes are inside the file.
func readAll(_ reader: some CheckpointReader, byteCount: Int) {
  for (index, tensor) in reader.tensors.enumerated() {
    if let extent = reader.extent(of: index) {
      precondition(extent.range.lowerBound >= 0, "an extent begins in the file")
      precondition(extent.range.upperBound <= byteCount, "an extent ends in the file")
      precondition(extent.range.count == tensor.byteCount, "an extent is its tensor's")
    }
    guard tensor.byteCount <= readableBytes else { continue }
    _ = try? reader.contents(of: index)
  }
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
    precondition(again.tensors.count == reader.tensors.count, "all tensors are written")
    precondition(Set(again.metadata) == Set(reader.metadata), "metadata is kept")
    for (index, source) in order.enumerated() {
      precondition(again.tensors[index] == reader.tensors[source], "a tensor is kept")
      let isSame = try bytes(of: index, in: again) == bytes(of: source, in: reader)
      precondition(isSame, "its bytes are kept")
    }
  } catch {
    preconditionFailure("what was accepted can be written: \(error)")
  }
}

/// Writes all tensors and gives, for each that was written, the one that it was.
private func write(_ reader: SafetensorsReader, to path: String) throws(StorageError) -> [Int] {
  let file = try AtomicFile(path: path)
  let writer = try SafetensorsWriter(reader.tensors, metadata: reader.metadata, to: file.output)
  var positions: [TensorName: Int] = [:]
  for (index, tensor) in reader.tensors.enumerated() { positions[tensor.name] = index }
  let order = writer.tensors.compactMap { positions[$0.name] }
  precondition(order.count == writer.tensors.count, "names are kept")
  for (index, source) in order.enumerated() {
    let bytes = try bytes(of: source, in: reader)
    try writer.write(bytes, of: index, at: 0)
  }
  try writer.finish()
  try file.commit()
  return order
}

private func bytes(
  of tensor: Int, in reader: SafetensorsReader
) throws(StorageError) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: reader.tensors[tensor].byteCount)
  try bytes.withMutableRawBytes { (whole: inout MutableRawSpan) throws(StorageError) in
    try reader.read(tensor, at: 0, into: &whole)
  }
  return bytes
}
