import Graft
import GraftCore
import GraftFormats
import TestSupport
import Testing

/// Tables of vectors with words from elsewhere: model2vec, sentence-transformers, wordllama's form.
struct StaticEmbeddingTests {
  private let space = TemporaryFolder()
  static let vectors =
    (try? Repository.bytes("Formats/static-embeddings/vectors.json"))
    .flatMap { try? JSONValue.parse($0, file: "vectors.json").array } ?? []

  /// The words of a table and their vectors, by way of a file of word vectors.
  private func exported(_ path: String, tokenizer: String? = nil) throws -> [String: [Float]] {
    let opened = try OpenedCheckpoint(path: path, tokenizer: tokenizer)
    var options = ConversionOptions(form: .wordVectors(.glove))
    options.allowsLoss = true
    _ = try convert(opened, to: space("words.txt"), options: options)
    let table = try EmbeddingTable(path: space("words.txt"))
    let values = table.vectors.floats()
    return Dictionary(
      uniqueKeysWithValues: table.words.indices.map { row in
        let start = row * table.dimensions
        return (table.words.text(at: row), Array(values[start..<start + table.dimensions]))
      })
  }

  @Test func `the table lists every directory`() throws {
    var found = Set<String>()
    for verdict in ["accept", "reject"] {
      let folder = Repository.path("Formats/static-embeddings/" + verdict)
      for name in try Directory.entries(of: folder) { found.insert(verdict + "/" + name) }
    }
    #expect(Set(Self.vectors.compactMap { $0["file"]?.string }) == found)
    #expect(found.count == 20)
  }

  @Test(arguments: vectors.indices)
  func `judges a directory as its row says`(row: Int) throws {
    let row = Self.vectors[row]
    let path = Repository.path("Formats/static-embeddings/") + (try #require(row["file"]?.string))
    guard let rule = row["rule"]?.string else {
      let expected = try #require(row["words"]?.object).members
      let found = try exported(path)
      #expect(Set(found.keys) == Set(expected.map(\.key)))
      for (word, value) in expected {
        #expect(found[word].map { $0.map(Double.init) } == value.array?.compactMap(\.double))
      }
      #expect(try OpenedCheckpoint(path: path).kind == .embeddings)
      return
    }
    let error = try #require(throws: StorageError.self) { try exported(path) }
    #expect("\(error.reason)".contains(rule), "\(error)")
    #expect(!Directory.hasFile(at: space("words.txt")))
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let page = String(
      decoding: try Repository.bytes("Formats/static-embeddings/SPEC.md"), as: UTF8.self)
    var sources = ""
    for folder in ["Sources/GraftFormats/StaticEmbeddings", "Sources/Graft/Vectors"] {
      for file in try Directory.entries(of: Repository.path(folder)) {
        sources += String(decoding: try Repository.bytes(folder + "/" + file), as: UTF8.self)
      }
    }
    let stated = Set(page.matches(of: /\n\| (E-\d+) \|/).map { String($0.1) })
    #expect(stated == Set(sources.matches(of: /\b(E-\d+)\b/).map { String($0.1) }))
    #expect(stated.count == 6)
  }

  @Test(arguments: ["model2vec", "quantized"])
  func `what model2vec wrote has its vectors, bit for bit`(name: String) throws {
    let expected = try #require(
      try Repository.goldenJSON("static-embeddings/values.json")[name]?.object)
    let found = try exported(golden("static-embeddings/" + name))
    #expect(Set(found.keys) == Set(expected.members.map(\.key)))
    for (word, value) in expected.members {
      let bits = try #require(value.array).map { UInt32(try #require($0.int)) }
      #expect(found[word]?.map(\.bitPattern) == bits, "\(word)")
    }
  }

  @Test func `a table by its names alone takes its words from a tokenizer that is named`() throws {
    let source = Repository.path("Formats/static-embeddings/accept/sentence-transformers/")
    let file = try space.copy(
      source + "0_StaticEmbedding/model.safetensors", to: "alone.safetensors")
    #expect(try OpenedCheckpoint(path: file).kind == .embeddings)
    let missing = try #require(throws: StorageError.self) { try exported(file) }
    #expect(missing.diagnosis.remedy?.contains("--tokenizer") == true)
    let tokenizer = source + "0_StaticEmbedding/tokenizer.json"
    #expect(try exported(file, tokenizer: tokenizer) == exported(source))
  }

  @Test func `a directory of sentence-transformers keeps its form`() throws {
    let source = Repository.path("Formats/static-embeddings/accept/sentence-transformers")
    _ = try convert(OpenedCheckpoint(path: source), to: space("copy"))
    for name in ["modules.json", "0_StaticEmbedding/tokenizer.json"] {
      #expect(
        try InputFile.contents(of: source + "/" + name, atMost: 1 << 20)
          == InputFile.contents(of: space("copy/" + name), atMost: 1 << 20))
    }
    #expect(Directory.hasFile(at: space("copy/0_StaticEmbedding/model.safetensors")))
    #expect(try exported(space("copy")) == exported(source))
  }

  @Test(arguments: ["words.safetensors", "words", "words.h5"])
  func `word vectors keep their words, whatever these are`(target: String) throws {
    let source = space("source.txt")
    try AtomicFile.write(
      Array(". . . 0.1 -2 3e-5\nthe 1 2 3\n\u{A0} 4 5 6\nthe 7 8 9\nof 0.3 0.4 0.5\n".utf8),
      to: source)
    // A word has one row, and the flag lets the others go.
    let what = "1 row whose word has come before"
    let error = try #require(throws: StorageError.self) {
      try convert(OpenedCheckpoint(path: source), to: space(target))
    }
    guard case .notRepresentable(what, _) = error.reason else { throw error }
    #expect(error.remedy?.contains("--allow-loss") == true)
    #expect(space.names == ["source.txt"])
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(
      OpenedCheckpoint(path: source), to: space(target), options: options)
    #expect(report.losses == [ConversionLoss(what)])
    #expect(try OpenedCheckpoint(path: space(target)).kind == .embeddings)
    #expect(try exported(space(target)) == exported(source))
    #expect(try exported(source).keys.sorted() == [". . .", "of", "the", "\u{A0}"])
    #expect(try verify(space(target)).isSound)
    let same = try diff(OpenedCheckpoint(path: source), OpenedCheckpoint(path: space(target)))
    #expect(same.isWithinTolerance)
    #expect(same.tensors.count == 3)
    let other = space("other.txt")
    try AtomicFile.write(
      Array(". . . 0.1 -2 3e-5\nthe 1 2 3\n\u{A0} 4 5 6\noff 0.3 0.4 0.5\n".utf8), to: other)
    #expect(
      try !diff(OpenedCheckpoint(path: other), OpenedCheckpoint(path: space(target)))
        .isWithinTolerance)
  }

  @Test(arguments: ["words.safetensors", "words.h5"])
  func `GGUF has a table without its words, which are named once`(name: String) throws {
    _ = try convert(
      OpenedCheckpoint(path: fixture("vectors/newtestament-50.w2v.txt")), to: space(name))
    let source = try OpenedCheckpoint(path: space(name))
    let error = try #require(throws: StorageError.self) {
      try convert(source, to: space("words.gguf"))
    }
    #expect(error.reason == .notRepresentable(what: "the words of the table", inFormat: "GGUF"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(source, to: space("words.gguf"), options: options)
    #expect(report.losses == [ConversionLoss("the words of the table")])
    let table = try #require(report.tensors.first?.name)
    #expect(report.tensors.count == 1)
    let written = try OpenedCheckpoint(path: space("words.gguf"))
    #expect(try written.reader.bytes(table) == source.reader.bytes(table))
    #expect(written.kind == .embeddings)
  }

  @Test func `a fastText model keeps the vectors of words and of n-grams`() throws {
    let source = golden("fasttext/skipgram.bin")
    let refusal = try #require(throws: StorageError.self) {
      try convert(OpenedCheckpoint(path: source), to: space("model.safetensors"))
    }
    #expect("\(refusal.reason)".contains("the output matrix"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(
      OpenedCheckpoint(path: source), to: space("model.safetensors"), options: options)
    #expect(
      report.tensors.map(\.name.text).sorted() == [
        "embeddings", "ngrams", "vocabulary.bytes", "vocabulary.ends",
      ])
    let loss = ConversionLoss("the output matrix, which training on would need")
    #expect(report.losses.contains(loss))
    #expect(try exported(space("model.safetensors")) == exported(source))
    let model = try FastTextCheckpoint(path: source)
    let converted = try #require(
      try SubwordVectors(convertedIn: OpenedCheckpoint(path: space("model.safetensors")).reader))
    for word in ["beginnings", "日本語", "xyz"] {
      #expect(try converted.vector(of: word.utf8) == model.subwordVectors?.vector(of: word.utf8))
    }
  }
}
