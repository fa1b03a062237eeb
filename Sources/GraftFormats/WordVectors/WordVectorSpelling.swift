public import GraftCore

/// How a table of words and their vectors is spelled in one of the word-vector formats; text has the shortest numbers that read
/// back the same.
///
/// What is spelled so reads back to the same words and bits, or is refused. Who writes the file decides where the rows come from.
public struct WordVectorSpelling: Sendable {
  private let output: OutputFile
  private let format: WordVectorFormat
  private let dimensions: Int
  private let count: Int

  /// Chooses the format of a file of `count` rows.
  ///
  /// - Throws: ``StorageError`` for a size that the format doesn't have, or that nothing tells in a file without a header.
  public init(
    _ format: WordVectorFormat, dimensions: Int, count: Int, of output: OutputFile
  ) throws(StorageError) {
    self.output = output
    self.format = format
    self.dimensions = dimensions
    self.count = count
    let limits = FormatLimits.standard
    let problem: String? =
      if !(1...limits.wordVectorDimensions).contains(dimensions) {
        "vectors of \(dimensions) numbers (word-vectors W-1)"
      } else if count > limits.words {
        "\(count) words (word-vectors W-7)"
      } else if format == .glove, dimensions == 1 {
        "vectors of one number (word-vectors W-4)"
      } else if format == .glove, count == 0 {
        "a table without words (word-vectors W-9)"
      } else {
        nil
      }
    guard let problem else { return }
    throw unwritable(
      problem,
      remedy: format == .glove && (dimensions == 1 || count == 0)
        ? Self.headerRemedy : Self.anyTableRemedy)
  }

  /// What the file begins with.
  public var header: [UInt8] {
    format == .glove ? [] : Array("\(count) \(dimensions)\n".utf8)
  }

  /// Whether readers find a word's end where it is, and take its bytes.
  public static func canWrite(_ word: some Collection<UInt8>, in format: WordVectorFormat) -> Bool {
    let isText = word.allSatisfy { $0 < 0x80 } || String(validating: word, as: UTF8.self) != nil
    guard isText, !word.isEmpty, word.count <= FormatLimits.standard.wordBytes else { return false }
    return switch format {
    case .word2vecBinary: !word.contains(0x20) && word.first != 0x0A
    case .word2vecText: !word.contains { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    case .glove: !word.contains { $0 == 0x0A || $0 == 0x0D }
    }
  }

  /// Adds the bytes of a word and its row to those of a file.
  ///
  /// - Parameter row: The file's dimensions in floats.
  /// - Throws: ``StorageError`` when the word can't be told from what follows it, or a number isn't finite.
  public func append(
    _ word: some Collection<UInt8>, _ row: RawSpan, to buffer: inout [UInt8]
  ) throws(StorageError) {
    func shown() -> String { String(decoding: word.prefix(80), as: UTF8.self).escapedShortened }
    guard Self.canWrite(word, in: format) else {
      throw unwritable(
        "the word '\(shown())'",
        remedy: format == .glove || word.isEmpty
          ? "safetensors and HDF5 hold any word"
          : "GloVe holds words with spaces; safetensors and HDF5 hold any word")
    }
    let start = buffer.count
    buffer += word
    if format == .word2vecBinary { buffer.append(0x20) }
    for place in stride(from: 0, to: row.byteCount, by: 4) {
      // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
      let bits = unsafe row.unsafeLoadUnaligned(fromByteOffset: place, as: UInt32.self)
      guard bits & 0x7F80_0000 != 0x7F80_0000 else {
        throw unwritable(
          "NaN or infinity, as in the vector of '\(shown())' (word-vectors W-5)",
          remedy: "safetensors and HDF5 hold any number; graft verify tells where they are")
      }
      if format == .word2vecBinary {
        for shift in [0, 8, 16, 24] as [UInt32] {
          buffer.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
      } else {
        buffer.append(0x20)
        buffer.append(contentsOf: Float(bitPattern: bits).description.utf8)
      }
    }
    guard format != .word2vecBinary else { return }
    guard buffer.count - start <= FormatLimits.standard.wordVectorLineBytes else {
      throw unwritable(
        "the \(buffer.count - start) bytes of a line, as that of '\(shown())' (word-vectors W-7)",
        remedy: "binary has no lines: --to word2vec, and a target without .txt")
    }
    buffer.append(0x0A)
  }

  /// Checks that readers recognize the whole file, of which the first bytes tell format and dimensions.
  ///
  /// - Throws: ``StorageError`` where they would take it for something else.
  public func checkBeginning() throws(StorageError) {
    // A header and no rows are the same in text and binary.
    guard count > 0 else { return }
    var isRecognized = false
    do throws(StorageError) {
      let file = try InputFile(path: output.path)
      // Readers pass over a byte order mark, which a first word may begin with.
      let hasMark = try file.bytes(at: 0, count: min(3, file.byteCount)) == [0xEF, 0xBB, 0xBF]
      if !hasMark, try FormatSniffer.sniff(path: output.path) == .wordVectors(format) {
        let start = try WordVectorStart(file, format: nil, options: WordVectorOptions())
        isRecognized = start.dimensions == dimensions
      }
    } catch {
      // What readers refuse isn't recognized; what the system refuses is another thing.
      guard error.diagnosis.kind == .badInput else {
        var named = error
        named.file = output.target
        throw named
      }
    }
    guard isRecognized else {
      throw unwritable(
        "a table whose first rows readers would take for something else (word-vectors W-10)",
        remedy: format == .glove ? Self.headerRemedy : Self.anyTableRemedy)
    }
  }

  private static let headerRemedy = "word2vec has a header that tells the size: --to word2vec"
  private static let anyTableRemedy = "safetensors and HDF5 hold any table"

  private func unwritable(_ what: String, remedy: String) -> StorageError {
    StorageError(
      .notRepresentable(what: what, inFormat: format.rawValue), file: output.target, remedy: remedy)
  }
}
