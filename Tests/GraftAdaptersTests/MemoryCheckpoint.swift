import GraftCore

/// A checkpoint in memory, with zeros for tensors unless values are given.
struct MemoryCheckpoint: CheckpointReader {
  let format = CheckpointFormat.safetensors
  let path = "adapter_model.safetensors"
  let metadata: [MetadataEntry] = []
  let tensors: [TensorInfo]
  var values: [TensorName: [UInt8]] = [:]

  init(_ tensors: [(String, DType, Shape)]) throws {
    self.tensors = try tensors.map { try TensorInfo(name: TensorName($0), dtype: $1, shape: $2) }
  }

  func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    guard let bytes = values[tensors[tensor].name] else { return }
    for index in 0..<buffer.byteCount {
      buffer.storeBytes(of: bytes[byteOffset + index], toByteOffset: index, as: UInt8.self)
    }
  }

  func extent(of tensor: Int) -> FileExtent? { nil }
}
