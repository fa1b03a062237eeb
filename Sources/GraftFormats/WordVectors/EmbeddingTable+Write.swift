public import GraftCore

extension EmbeddingTable {
  /// Writes the table in one of the word-vector formats; text has the shortest numbers that read back the same.
  ///
  /// - Throws: ``StorageError`` when the vectors aren't f32 or a word can't be told from what follows it.
  public func write(to output: OutputFile, format: WordVectorFormat) throws(StorageError) {
    guard vectors.dtype == .f32 else {
      throw StorageError(
        .notRepresentable(what: "\(vectors.dtype) vectors", inFormat: "word vectors"),
        file: output.path)
    }
    var buffer: [UInt8] = []
    var offset = 0
    if format != .glove { buffer += Array("\(words.count) \(dimensions)\n".utf8) }
    for (position, word) in words.enumerated() {
      guard Self.isRepresentable(word, in: format) else {
        throw StorageError(
          .notRepresentable(
            what: "the word '\(words.text(at: position).escapedForTerminal)'",
            inFormat: format.rawValue),
          file: output.path)
      }
      buffer += word
      append(row: position, as: format, to: &buffer)
      if buffer.count >= 1 << 20 {
        try output.write(buffer, at: offset)
        offset += buffer.count
        buffer.removeAll(keepingCapacity: true)
      }
    }
    try output.write(buffer, at: offset)
  }

  private func append(row: Int, as format: WordVectorFormat, to buffer: inout [UInt8]) {
    if format == .word2vecBinary { buffer.append(0x20) }
    let bytes = vectors.bytes
    for position in 0..<dimensions {
      let bits = unsafe bytes.unsafeLoad(
        fromByteOffset: (row * dimensions + position) * 4, as: UInt32.self)
      if format == .word2vecBinary {
        for shift in [0, 8, 16, 24] as [UInt32] {
          buffer.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
      } else {
        buffer.append(0x20)
        buffer += Array(Float(bitPattern: bits).description.utf8)
      }
    }
    if format != .word2vecBinary { buffer.append(0x0A) }
  }

  /// Whether readers find a word's end where it is.
  private static func isRepresentable(
    _ word: ArraySlice<UInt8>, in format: WordVectorFormat
  ) -> Bool {
    switch format {
    case .word2vecBinary: !word.contains(0x20) && word.first != 0x0A
    case .word2vecText: !word.contains { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A }
    case .glove: !word.contains(0x0A)
    }
  }
}
