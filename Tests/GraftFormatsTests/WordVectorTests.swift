import GraftCore
import GraftFormats
import TestSupport
import Testing

struct WordVectorTests {
  static let vectors = Vector.table(of: "word-vectors")
  let folder = TemporaryFolder()

  @Test func `the table lists every file`() throws {
    var found = Set<String>()
    for verdict in ["accept", "reject"] {
      let folder = Repository.path("Formats/word-vectors/" + verdict)
      for name in try Directory.entries(of: folder) { found.insert(verdict + "/" + name) }
    }
    #expect(Set(Self.vectors.map(\.file)) == found)
    #expect(found.count == 56)
  }

  @Test(arguments: vectors)
  func `judges a file as its row says`(vector: Vector) throws {
    try vector.judge { path throws(StorageError) in
      var reader = try WordVectorReader(path: path)
      while try reader.next() {}
    }
  }

  @Test(arguments: ["binary-count", "text-fewer-rows"])
  func `says how many rows are missing, in rows`(name: String) throws {
    let path = Repository.path("Formats/word-vectors/reject/" + name)
    let error = try #require(throws: StorageError.self) {
      var reader = try WordVectorReader(path: path)
      while try reader.next() {}
    }
    #expect(
      error.reason == .malformed(rule: "word-vectors W-3", expected: "3 rows", found: "2"))
    #expect(throws: error) { try EmbeddingCheckpoint(path: path) }
    #expect(error.diagnosis.location?.hasSuffix(", expected 3 rows, found 2") == true)
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let (stated, cited) = try rules(
      of: "word-vectors", letter: "W", in: ["Sources/GraftFormats/WordVectors"])
    #expect(stated == cited)
    #expect(stated.count == 10)
  }

  @Test(arguments: [
    ("gensim.txt", WordVectorFormat.word2vecText), ("gensim.bin", .word2vecBinary),
    ("glove.txt", .glove),
  ])
  func `reads what gensim wrote, in every format the same`(name: String, format: WordVectorFormat)
    throws
  {
    let path = Repository.path("Fixtures/golden/word-vectors/" + name)
    #expect(try FormatSniffer.sniff(path: path) == .wordVectors(format))
    let table = try EmbeddingTable(path: path)
    let expected = ["the", "café", "cafe\u{301}", "日本", "a\u{A0}b", "😀", "-0.5", "x"]
    #expect(table.words.map(Array.init) == expected.map { Array($0.utf8) })
    #expect(table.duplicateCount == 0)
    let binary = try Repository.bytes("Fixtures/golden/word-vectors/gensim.bin")
    // The first row, straight from gensim's bytes behind "8 7\nthe ".
    #expect(
      table.floats.prefix(7).elementsEqual(floats(in: binary, at: 8, count: 7)) {
        $0.bitPattern == $1.bitPattern
      })
    let others = try EmbeddingTable(
      path: Repository.path("Fixtures/golden/word-vectors/gensim.bin"))
    #expect(table.floats.map(\.bitPattern) == others.floats.map(\.bitPattern))
  }

  @Test func `writes the binary bytes that gensim writes`() throws {
    let path = Repository.path("Fixtures/golden/word-vectors/gensim.bin")
    let bytes = try written(EmbeddingTable(path: path), .word2vecBinary)
    #expect(bytes == (try InputFile.contents(of: path, atMost: 4096)))
  }

  @Test(arguments: WordVectorFormat.allCases)
  func `what was written reads back bit for bit`(format: WordVectorFormat) throws {
    let table = try EmbeddingTable(path: Repository.path("Fixtures/golden/word-vectors/glove.txt"))
    let path = try folder.write(written(table, format), as: "again")
    let again = try EmbeddingTable(path: path)
    #expect(again.words.map(Array.init) == table.words.map(Array.init))
    #expect(again.floats.map(\.bitPattern) == table.floats.map(\.bitPattern))
    #expect(again.source == (format == .glove ? .glove : .word2vec))
  }

  @Test func `words with spaces stay whole in GloVe and are refused elsewhere`() throws {
    let path = Repository.path("Formats/word-vectors/accept/glove-spaces-first")
    let table = try EmbeddingTable(path: path)
    #expect(table.words.indices.map(table.words.text) == [". . .", "the", "of"])
    #expect(table.floats.prefix(3) == [4, 5, 6])
    #expect(
      try written(table, .glove)
        == Array(". . . 4.0 5.0 6.0\nthe 1.0 2.0 3.0\nof 1.0 2.0 3.0\n".utf8))
    for format in [WordVectorFormat.word2vecText, .word2vecBinary] {
      let error = try #require(throws: StorageError.self) { try written(table, format) }
      #expect(error.diagnosis.summary == "\(format.rawValue) can't hold the word '. . .'")
    }
  }

  @Test func `GloVe with a header has words with spaces where the caller says so`() throws {
    let path = try folder.write(Array("2 2\na b 1 2\nc 3 4\n".utf8))
    #expect(throws: StorageError.self) { try EmbeddingTable(path: path) }
    let table = try EmbeddingTable(path: path, format: .glove)
    #expect(table.words.indices.map(table.words.text) == ["a b", "c"])
  }

  @Test func `the first of several rows with one word is kept`() throws {
    let table = try EmbeddingTable(
      path: Repository.path("Formats/word-vectors/accept/text-duplicate"))
    #expect(table.words.indices.map(table.words.text) == ["a", "b"])
    #expect(table.floats == [1, 2, 3, 4])
    #expect(table.duplicateCount == 1)
    #expect(table.vectors.shape == [2, 2])
  }

  @Test func `bytes that are not UTF-8 pass where the caller says so`() throws {
    var options = WordVectorOptions()
    options.allowsInvalidUTF8 = true
    let table = try EmbeddingTable(
      path: Repository.path("Formats/word-vectors/reject/utf8"), options: options)
    #expect(table.words.map(Array.init) == [[0xFF, 0xFE], Array("b".utf8)])
  }

  @Test func `is a checkpoint of one tensor and a vocabulary`() throws {
    let reader = try EmbeddingCheckpoint(
      path: Repository.path("Formats/word-vectors/accept/text-nbsp"))
    #expect(reader.tensors == [try TensorInfo(name: "embeddings", dtype: .f32, shape: [2, 2])])
    #expect(try reader.vocabulary.first(9) == ["a\u{A0}b", "\u{3000}"].map { Array($0.utf8) })
    var part: [Float] = [0, 0]
    try part.withMutableRawBytes { bytes throws(StorageError) in
      try reader.read(0, at: 4, into: &bytes)
    }
    #expect(part == [2, 3])
  }

  @Test func `joins a tensor with a tokenizer's tokens`() throws {
    let reader = try SafetensorsReader(
      path: Repository.path("Fixtures/golden/shards/model-00001-of-00008.safetensors"))
    let tensor = try #require(reader.index(of: "layer.1.weight"))
    let table = try EmbeddingTable(tensor: tensor, of: reader, words: WordList(["a", "b"]))
    #expect(table.dimensions == 4)
    #expect(table.source == .safetensors)
    #expect(throws: StorageError.self) {
      try EmbeddingTable(tensor: tensor, of: reader, words: WordList(["a"]))
    }
  }

  @Test func `lines and words beyond the limits are refused`() throws {
    var options = WordVectorOptions()
    options.limits.wordVectorLineBytes = 1000
    let long = Array("2 2\n\(String(repeating: "w", count: 2000)) 1 2\n".utf8)
    let path = try folder.write(long)
    let error = try #require(throws: StorageError.self) {
      try EmbeddingTable(path: path, format: .word2vecText, options: options)
    }
    #expect(error.citation == "word-vectors W-7")
    options.limits.words = 1
    let two = Repository.path("Formats/word-vectors/accept/glove")
    let second = try #require(throws: StorageError.self) {
      try EmbeddingTable(path: two, options: options)
    }
    #expect(second.citation == "word-vectors W-7")
    #expect(second.offset == 10)
  }

  @Test(arguments: ["negative", "one-number", "words", "float"])
  func `a line that is no header is refused where one must be`(name: String) throws {
    let path = Repository.path("Formats/word-vectors/reject/header-" + name)
    for format in [WordVectorFormat.word2vecText, .word2vecBinary] {
      let error = try #require(throws: StorageError.self) {
        try EmbeddingTable(path: path, format: format)
      }
      #expect(error.citation == "word-vectors W-1")
    }
  }

  @Test func `text and binary are not mistaken for each other`() throws {
    let text = Repository.path("Fixtures/golden/word-vectors/gensim.txt")
    let binary = Repository.path("Fixtures/golden/word-vectors/gensim.bin")
    #expect(throws: StorageError.self) { try EmbeddingTable(path: text, format: .word2vecBinary) }
    #expect(throws: StorageError.self) { try EmbeddingTable(path: binary, format: .word2vecText) }
  }

  @Test func `an error in text names the line`() throws {
    let error = try #require(throws: StorageError.self) {
      try EmbeddingTable(path: Repository.path("Formats/word-vectors/reject/number-comma"))
    }
    #expect(
      error.diagnosis.location?.hasSuffix(
        "byte 14, expected a finite decimal number, found '1,5' on line 3") == true)
  }

  private func written(_ table: EmbeddingTable, _ format: WordVectorFormat) throws -> [UInt8] {
    let file = try AtomicFile(path: folder.path + "/written")
    try table.write(to: file.output, format)
    try file.commit()
    return try InputFile.contents(of: file.path, atMost: 1 << 20)
  }
}

extension EmbeddingTable {
  /// The numbers, row after row.
  var floats: [Float] { vectors.floats() }

  /// Writes the words and their rows to a file.
  func write(to output: OutputFile, _ format: WordVectorFormat) throws {
    let spelling = try WordVectorSpelling(
      format, dimensions: dimensions, count: words.count, of: output)
    var bytes = spelling.header
    for (row, word) in words.enumerated() {
      let start = row * dimensions * 4
      try spelling.append(
        word, vectors.bytes.extracting(start..<start + dimensions * 4), to: &bytes)
    }
    try output.write(bytes, at: 0)
    try spelling.checkBeginning()
  }
}

/// Little-endian floats in a byte string.
func floats(in bytes: [UInt8], at offset: Int, count: Int) -> [Float] {
  (0..<count).map { position in
    let start = offset + position * 4
    return Float(
      bitPattern: bytes[start..<start + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
  }
}
