import GraftCore
import GraftModels
import TestSupport

/// The golden tokenizers and the corpus that the `tokenizers` package encoded with them.
enum TokenizerCorpus {
  static let names = [
    "gpt2", "llama3", "qwen2", "smollm", "o200k", "deepseek", "added", "llama2", "mistral",
    "metaspace", "bert", "bert-cased",
  ]

  /// The lines, control characters unescaped.
  static func lines() throws -> [[UInt8]] {
    try bytes("corpus.txt").split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
      .map(unescaped)
  }

  static func tokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(tokenizerJSON: bytes("\(name).json"), file: "\(name).json")
  }

  /// For every 8 lines the hash of their ids, and sometimes the ids of the first.
  static func rows(_ name: String) throws -> [(hash: UInt32, ids: [Int32]?)] {
    try String(decoding: bytes("\(name).ids"), as: UTF8.self).split(separator: "\n").map { row in
      let fields = row.split(separator: " ")
      let ids = fields.dropFirst().compactMap { Int32($0) }
      return (UInt32(fields[0], radix: 16) ?? 0, ids.isEmpty ? nil : ids)
    }
  }

  /// FNV-1a over the ids of some lines, each line ended by four bytes of 255.
  static func fingerprint(_ lines: [[Int32]]) -> UInt32 {
    var hash: UInt32 = 0x811C_9DC5
    let ids = lines.flatMap { (line: [Int32]) -> [Int32] in line + [-1] }
    for id in ids {
      withUnsafeBytes(of: id.littleEndian) { bytes in
        for byte in bytes { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
      }
    }
    return hash
  }

  private static func unescaped(_ line: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var bytes = line.makeIterator()
    while let byte = bytes.next() {
      switch byte == 0x5C ? bytes.next() : nil {
      case nil: result.append(byte)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "0"): result.append(0)
      case .some(let escaped): result.append(escaped)
      }
    }
    return result
  }

  private static func bytes(_ name: String) throws -> [UInt8] { try fixture("tokenizers/" + name) }

  /// The bytes of a golden file.
  static func fixture(_ name: String) throws -> [UInt8] {
    try Repository.bytes("Fixtures/golden/" + name)
  }
}
