import GraftCore
import GraftFormats
import TestSupport
import Testing

struct FastTextTests {
  static let vectors = Vector.table(of: "fasttext")
  let folder = TemporaryFolder()

  @Test func `the table lists every file`() throws {
    var found = Set<String>()
    for verdict in ["accept", "reject"] {
      let folder = Repository.path("Formats/fasttext/" + verdict)
      for name in try Directory.entries(of: folder) { found.insert(verdict + "/" + name) }
    }
    #expect(Set(Self.vectors.map(\.file)) == found)
    #expect(found.count == 64)
  }

  @Test(arguments: vectors)
  func `judges a file as its row says`(vector: Vector) throws {
    try vector.judge { path throws(StorageError) in
      let model = try FastTextCheckpoint(path: path)
      for tensor in model.tensors.indices { _ = try model.contents(of: tensor) }
    }
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let (stated, cited) = try rules(
      of: "fasttext", letter: "F", in: ["Sources/GraftFormats/FastText"])
    #expect(stated == cited)
    #expect(stated.count == 9)
  }

  /// What fastText itself says of a golden model.
  private func golden(_ name: String) throws -> JSONValue {
    try #require(try Repository.goldenJSON("fasttext/values.json")[name])
  }

  private func model(_ name: String) throws -> FastTextCheckpoint {
    try FastTextCheckpoint(path: Repository.golden("fasttext/" + name))
  }

  private func bits(_ value: JSONValue?) throws -> [UInt32] {
    try #require(value?.array).map { UInt32(try #require($0.int)) }
  }

  @Test(arguments: [
    "gensim.bin", "skipgram.bin", "no-ngrams.bin", "classifier.bin", "classifier.ftz",
  ])
  func `words have the vectors that fastText gives them, bit for bit`(name: String) throws {
    let golden = try golden(name)
    let model = try model(name)
    let words = try model.vocabulary.first(1000)
    let expected = try #require(golden["words"]?.array).map { try #require($0.string) }
    #expect(words == expected.map { Array($0.utf8) })
    #expect(model.tensors[0].shape == [words.count, 8])
    let rows = try model.contents(of: 0).floats().map(\.bitPattern)
    for (row, word) in expected.enumerated() {
      #expect(
        Array(rows[row * 8..<row * 8 + 8]) == (try bits(golden["vectors"]?[word])), "\(word)")
    }
  }

  @Test(arguments: ["gensim.bin", "skipgram.bin", "classifier.bin", "classifier.ftz"])
  func `other words have the vectors that fastText makes of their n-grams, bit for bit`(
    name: String
  ) throws {
    let golden = try golden(name)
    let model = try model(name)
    let words = try #require(golden["words"]?.array).map { try #require($0.string) }
    let subwords = try #require(model.subwordVectors)
    var unseen = 0
    for (word, rows) in try #require(golden["subwords"]?.object).members {
      var expected = try #require(rows.array).map { try #require($0.int) }
      if words.contains(word) {
        expected.removeFirst()
      } else {
        unseen += 1
        let vector = try subwords.vector(of: word.utf8) ?? [Float](repeating: 0, count: 8)
        #expect(vector.map(\.bitPattern) == (try bits(golden["vectors"]?[word])), "\(word)")
      }
      #expect(model.subwords.rows(of: word.utf8).map { $0 + words.count } == expected, "\(word)")
    }
    #expect(unseen > 5)
  }

  @Test func `vectors are gensim's but for the rounding of their sums`() throws {
    let golden = try #require(try golden("gensim.bin")["gensim"]?.object)
    let model = try model("gensim.bin")
    let words = try model.vocabulary.first(1000)
    let rows = try model.contents(of: 0).floats()
    for (word, value) in golden.members {
      let expected = try bits(value).map { Float(bitPattern: $0) }
      let found: [Float]
      if let row = words.firstIndex(of: Array(word.utf8)) {
        found = Array(rows[row * 8..<row * 8 + 8])
      } else {
        found = try #require(try model.subwordVectors?.vector(of: word.utf8))
      }
      for (one, other) in zip(found, expected) { #expect(abs(one - other) < 1e-6, "\(word)") }
    }
    #expect(golden.members.count > 15)
  }

  @Test func `parts of rows are read as whole ones are`() throws {
    let model = try model("skipgram.bin")
    let whole = try model.contents(of: 0)
    for start in [0, 1, 31, 32, 33, 100] {
      for count in [0, 1, 30, 32, 64, 200] {
        var part = [UInt8](repeating: 0, count: count)
        try part.withMutableRawBytes { bytes throws(StorageError) in
          try model.read(0, at: start, into: &bytes)
        }
        for index in 0..<count {
          #expect(
            part[index] == whole.bytes.unsafeLoad(fromByteOffset: start + index, as: UInt8.self))
        }
      }
    }
  }

  @Test func `the rows of n-grams lie in the file`() throws {
    let model = try model("skipgram.bin")
    let extent = try #require(model.extent(of: 1))
    #expect(model.tensors[1].shape == [120, 8])
    let bytes = try extent.file.bytes(at: extent.range.lowerBound, count: extent.range.count)
    let contents = try model.contents(of: 1)
    for (index, byte) in bytes.enumerated() {
      #expect(contents.bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) == byte)
    }
    #expect(model.extent(of: 0) == nil)
  }

  @Test func `metadata has the arguments, and what is left out is named`() throws {
    let model = try model("classifier.bin")
    let fields = Dictionary(uniqueKeysWithValues: model.metadata.map { ($0.key, $0.value) })
    #expect(fields["fasttext.version"] == "12")
    #expect(fields["fasttext.minn"] == "2")
    #expect(fields["fasttext.wordNgrams"] == "2")
    #expect(fields["fasttext.labels"] == "2")
    #expect(model.omissions.contains("the labels of the classifier"))
  }

  @Test func `quantized rows are read as fastText reads them`() throws {
    let model = try FastTextCheckpoint(
      path: Repository.path("Formats/fasttext/accept/quantized"))
    // All codes name the centroid 1, 2 of a part of two columns; factors are ½.
    #expect(try model.contents(of: 1).floats() == (0..<4).flatMap { _ in [0.5, 1, 0.5] })
    #expect(model.extent(of: 1) == nil)
    #expect(
      try FormatSniffer.sniff(path: Repository.golden("fasttext/classifier.ftz")) == .fastText)
  }

  @Test func `a model of a hundred gigabytes is opened and read as a small one is`() throws {
    let (buckets, dimensions) = (2_000_000_000, 13)
    func little(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let arguments = [793_712_314, 12, dimensions, 5, 5, 1, 5, 1, 2, 2, buckets, 3, 6, 100]
    var head = arguments.flatMap { little($0, 4) } + little(0, 8)
    head += [1, 1, 0].flatMap { little($0, 4) } + little(9, 8) + little(-1, 8)
    head += Array("the".utf8) + [0] + little(1, 8) + [0]
    head += [0] + little(buckets + 1, 8) + little(dimensions, 8)
    let path = try folder.write(head, as: "sparse")
    let end = head.count + (buckets + 1) * dimensions * 4
    try TemporaryFolder.extend(path, to: end, writing: [0] + little(0, 8) + little(dimensions, 8))
    let model = try FastTextCheckpoint(path: path)
    #expect(model.tensors.map(\.shape) == [[1, dimensions], [buckets, dimensions]])
    #expect(model.tensors[1].byteCount > 100_000_000_000)
    let zero = [Float](repeating: 0, count: dimensions)
    #expect(try model.contents(of: 0).floats() == zero)
    #expect(try model.subwordVectors?.vector(of: "unknown".utf8) == zero)
  }

  @Test func `damaged models`() throws {
    for name in ["skipgram", "labels"] {
      let bytes = try Repository.bytes("Formats/fasttext/accept/" + name)
      let path = folder.path + "/mutant"
      var accepted = 0
      for mutant in MutationTests.mutants(of: bytes) {
        try MutationTests.overwrite(path, with: mutant)
        guard let model = try? FastTextCheckpoint(path: path) else { continue }
        accepted += 1
        for tensor in model.tensors.indices { _ = try model.contents(of: tensor) }
        _ = try model.subwordVectors?.vector(of: Array("unknown".utf8))
        #expect(model.tensors.reduce(0) { $0 + $1.byteCount } <= mutant.count)
      }
      #expect(accepted > 0)
    }
  }
}
