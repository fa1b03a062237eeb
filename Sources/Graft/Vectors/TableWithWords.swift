internal import GraftCore

/// A table with its words as two more tensors.
struct TableWithWords: CheckpointReader {
  private let table: any CheckpointReader
  private let words: [FileExtent]
  private let spilled: SpilledVocabulary
  let tensors: [TensorInfo]

  init(_ table: any CheckpointReader, _ spilled: SpilledVocabulary) throws(StorageError) {
    let tensors = try spilled.tensors()
    self.table = table
    self.spilled = spilled
    words = tensors.map(\.extent)
    self.tensors = table.tensors + tensors.map(\.info)
  }

  var format: CheckpointFormat { table.format }
  var path: String { table.path }
  var metadata: [MetadataEntry] { table.metadata }
  var inputs: [InputFile] { table.inputs + words.map(\.file) }
  var ties: [[Int]] { table.ties }
  var unreadable: [UnreadableTensor] { table.unreadable }

  func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    guard tensor >= table.tensors.count else {
      return try table.read(tensor, at: byteOffset, into: &buffer)
    }
    let extent = words[tensor - table.tensors.count]
    try extent.file.read(at: extent.range.lowerBound + byteOffset, into: &buffer)
  }

  func extent(of tensor: Int) -> FileExtent? {
    tensor < table.tensors.count
      ? table.extent(of: tensor) : words[tensor - table.tensors.count]
  }

  func grain(of tensor: Int) -> Int {
    tensor < table.tensors.count ? table.grain(of: tensor) : 1
  }

  func checkStoredBytes(of tensor: Int) throws(StorageError) {
    if tensor < table.tensors.count { try table.checkStoredBytes(of: tensor) }
  }
}
