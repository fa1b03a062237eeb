internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// The words of a table in two temporary files, as tensors or as attachments: for targets that have to know their sizes first.
///
/// The files stand beside the target, and go with this value.
final class SpilledVocabulary: Sendable {
  private let bytes: AtomicFile
  private let ends: AtomicFile
  private let byteFile: InputFile
  private let endFile: InputFile
  private let target: String
  private let count: Int
  private let byteCount: Int
  private static let bufferByteCount = 1 << 20

  /// Writes words down beside a target.
  init(_ vocabulary: any Vocabulary, beside target: String) throws {
    var target = target
    while target.count > 1, target.hasSuffix("/") { target.removeLast() }
    let bytes = try AtomicFile(beside: target, holding: "words")
    let ends = try AtomicFile(beside: target, holding: "ends")
    var texts = Spill(bytes.output)
    var places = Spill(ends.output)
    var end = 0
    var count = 0
    try vocabulary.visit { _, word in
      end += word.count
      count += 1
      try texts.append(word)
      try places.append((0..<8).map { UInt8(truncatingIfNeeded: end >> (8 * $0)) })
    }
    try texts.flush()
    try places.flush()
    (self.bytes, self.ends) = (bytes, ends)
    byteFile = try Self.naming(target) { () throws(StorageError) in
      try InputFile(path: bytes.output.path)
    }
    endFile = try Self.naming(target) { () throws(StorageError) in
      try InputFile(path: ends.output.path)
    }
    self.target = target
    byteCount = end
    self.count = count
  }

  /// Names the target in errors of the files beside it, which nobody knows.
  private static func naming<R>(
    _ target: String, _ body: () throws(StorageError) -> R
  ) throws(StorageError) -> R {
    do { return try body() } catch { throw StorageError(error.reason, file: target) }
  }

  /// Bytes that are written some at a time.
  private struct Spill {
    private let output: OutputFile
    private var buffer: [UInt8] = []
    private var offset = 0

    init(_ output: OutputFile) { self.output = output }

    mutating func append(_ more: some Collection<UInt8>) throws(StorageError) {
      buffer.append(contentsOf: more)
      if buffer.count >= SpilledVocabulary.bufferByteCount { try flush() }
    }

    mutating func flush() throws(StorageError) {
      try output.write(buffer, at: offset)
      offset += buffer.count
      buffer.removeAll(keepingCapacity: true)
    }
  }

  /// The tensors that hold the words, see ``StaticEmbeddingLayout``.
  func tensors() throws(StorageError) -> [(info: TensorInfo, extent: FileExtent)] {
    let parts: [(TensorName, DType, Int, InputFile)] = [
      (StaticEmbeddingLayout.vocabularyBytesName, .u8, byteCount, byteFile),
      (StaticEmbeddingLayout.vocabularyEndsName, .i64, count, endFile),
    ]
    var tensors: [(info: TensorInfo, extent: FileExtent)] = []
    for (name, dtype, count, input) in parts {
      let info = try TensorInfo(name: name, dtype: dtype, shape: [count], in: input.path)
      tensors.append((info, FileExtent(file: input, range: 0..<info.byteCount)))
    }
    return tensors
  }

  /// The words as HDF5 files hold them.
  func attachments() -> (bytes: HDF5Attachment, ends: HDF5Attachment) {
    (
      HDF5Attachment(name: "vocabulary", file: byteFile),
      HDF5Attachment(name: "vocabulary", file: endFile)
    )
  }

  /// Words that stand side by side.
  ///
  /// - Precondition: there are as many.
  func words(_ rows: Range<Int>) throws(StorageError) -> [ArraySlice<UInt8>] {
    try Self.naming(target) { () throws(StorageError) in try stored(rows) }
  }

  private func stored(_ rows: Range<Int>) throws(StorageError) -> [ArraySlice<UInt8>] {
    let first = max(0, rows.lowerBound - 1)
    let places = try endFile.bytes(at: first * 8, count: (rows.upperBound - first) * 8)
    var ends = stride(from: 0, to: places.count, by: 8).map { place in
      (0..<8).reduce(0) { $0 | Int(places[place + $1]) << (8 * $1) }
    }
    var begin = rows.lowerBound == 0 ? 0 : ends.removeFirst()
    let base = begin
    let text = try byteFile.bytes(at: base, count: (ends.last ?? base) - base)
    return ends.map { end in
      defer { begin = end }
      return text[begin - base..<end - base]
    }
  }
}
