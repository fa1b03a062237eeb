public import GraftCore

/// The words of a table that are kept in two tensors beside it: their bytes one after the other, and where each ends.
public struct TensorVocabulary: Vocabulary {
  private let reader: any CheckpointReader
  private let bytes: Int
  private let ends: Int

  /// Takes the words from tensors: U8, [bytes] and I64, [words].
  public init(_ reader: any CheckpointReader, bytes: Int, ends: Int) {
    self.reader = reader
    self.bytes = bytes
    self.ends = ends
  }

  /// The number of words.
  public var count: Int { reader.tensors[ends].shape[0] }

  /// The bytes of all words together.
  public var byteCount: Int { reader.tensors[bytes].shape[0] }

  private static let wordsAtOnce = 1 << 14
  private static let bytesAtOnce = 1 << 18

  /// Hands out the words, one after the other.
  public func visit(_ body: (_ row: Int, _ word: ArraySlice<UInt8>) throws -> Void) throws {
    var held: [UInt8] = []
    var base = 0
    var begin = 0
    for first in stride(from: 0, to: count, by: Self.wordsAtOnce) {
      let words = min(Self.wordsAtOnce, count - first)
      let table = try part(of: ends, first * 8, words * 8)
      for word in 0..<words {
        let end = table.littleEndian(at: word * 8, as: Int64.self)
        guard end >= Int64(begin), end <= Int64(byteCount),
          end - Int64(begin) <= Int64(FormatLimits.standard.wordBytes)
        else {
          throw StorageError(
            .malformed(
              rule: "static-embeddings E-5",
              expected: "rising ends up to \(byteCount), of words that aren't endless",
              found: "\(end) after \(begin)"),
            file: reader.path, tensor: reader.tensors[ends].name)
        }
        if Int(end) > base + held.count {
          base = begin
          held = try part(
            of: bytes, base, min(max(Self.bytesAtOnce, Int(end) - base), byteCount - base))
        }
        try body(first + word, held[begin - base..<Int(end) - base])
        begin = Int(end)
      }
    }
  }

  private func part(of tensor: Int, _ start: Int, _ count: Int) throws(StorageError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withMutableRawBytes { (buffer: inout MutableRawSpan) throws(StorageError) in
      try reader.read(tensor, at: start, into: &buffer)
    }
    return bytes
  }
}
