internal import GraftCore
internal import GraftFormats

/// A GGUF model whose f32 tensors stay f32 beside those of a narrower dtype.
struct WidenedModel: CheckpointReader {
  let narrow: GGUFModel
  let wide: GGUFModel
  let tensors: [TensorInfo]
  private let isWide: [Bool]

  init(narrow: GGUFModel, wide: GGUFModel) {
    self.narrow = narrow
    self.wide = wide
    isWide = narrow.places.map { narrow.source.tensors[$0.source].dtype == .f32 }
    tensors = isWide.enumerated().map { $1 ? wide.tensors[$0] : narrow.tensors[$0] }
  }

  var format: CheckpointFormat { narrow.format }
  var path: String { narrow.path }
  var metadata: [MetadataEntry] { narrow.metadata }
  var inputs: [InputFile] { narrow.inputs }
  var ties: [[Int]] { narrow.ties }
  var unreadable: [UnreadableTensor] { narrow.unreadable }

  func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    try (isWide[tensor] ? wide : narrow).read(tensor, at: byteOffset, into: &buffer)
  }

  func extent(of tensor: Int) -> FileExtent? {
    (isWide[tensor] ? wide : narrow).extent(of: tensor)
  }

  func grain(of tensor: Int) -> Int { (isWide[tensor] ? wide : narrow).grain(of: tensor) }

  func checkStoredBytes(of tensor: Int) throws(StorageError) {
    try (isWide[tensor] ? wide : narrow).checkStoredBytes(of: tensor)
  }
}
