import Glibc
import GraftCore
import GraftHDF5
import Testing

/// A tensor with its bytes, to write.
struct Sample {
  var info: TensorInfo
  var bytes: [UInt8]

  init(_ name: TensorName, _ dtype: DType, _ shape: Shape, seed: UInt8 = 0) throws {
    info = try TensorInfo(name: name, dtype: dtype, shape: shape)
    bytes = (0..<info.byteCount).map { UInt8(truncatingIfNeeded: ($0 / 7) &* 31 &+ Int(seed)) }
  }
}

/// Writes samples in tiles of `tileBytes`.
func write(
  _ samples: [Sample], to path: String, metadata: [MetadataEntry] = [],
  files: [HDF5Attachment] = [], shards: [HDF5Attachment] = [], vocabulary: [[UInt8]]? = nil,
  compression: HDF5Compression = .none, tileBytes: Int = 1 << 30
) throws {
  let file = try AtomicFile(path: path)
  let writer = try HDF5Writer(
    file.output, tensors: samples.map(\.info), metadata: metadata, files: files, shards: shards,
    vocabulary: vocabulary, compression: compression)
  for (index, sample) in samples.enumerated() {
    for start in stride(from: 0, to: sample.bytes.count, by: tileBytes) {
      let tile = Array(sample.bytes[start..<min(start + tileBytes, sample.bytes.count)])
      try writer.write(tile, of: index, at: start)
    }
  }
  try writer.finish()
  try file.commit()
}

/// Some of a tensor's bytes.
func bytes(of tensor: Int, in range: Range<Int>, _ reader: HDF5Reader) throws -> [UInt8] {
  var bytes = [UInt8](repeating: 0xAA, count: range.count)
  try bytes.withMutableRawBytes { (span: inout MutableRawSpan) throws(StorageError) in
    try reader.read(tensor, at: range.lowerBound, into: &span)
  }
  return bytes
}

/// All of a tensor's bytes.
func bytes(of tensor: Int, _ reader: HDF5Reader) throws -> [UInt8] {
  try bytes(of: tensor, in: 0..<reader.tensors[tensor].byteCount, reader)
}

/// A file's bytes.
func contents(_ path: String) throws -> [UInt8] {
  try InputFile.contents(of: path, atMost: 1 << 30)
}

/// Writes a file without waiting for the disk, for tests that do it by the thousand.
func overwrite(_ path: String, with bytes: [UInt8]) throws {
  let file = try #require(fopen(path, "w"))
  defer { fclose(file) }
  try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
}
