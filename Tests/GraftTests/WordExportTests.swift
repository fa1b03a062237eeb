import Graft
import GraftCore
import GraftFormats
import TestSupport
import Testing

/// Files of word vectors as conversions write them: what is written reads back, and the rest is refused.
struct WordExportTests {
  private let space = TemporaryFolder()

  @Test(arguments: ["a.vec", "a.txt", "A.VEC"])
  func `are what the suffix of a target asks for`(name: String) {
    #expect(OutputForm(for: name) == .wordVectors(.word2vecText))
    #expect(OutputForm(for: name + "s") == .directory())
  }

  /// A table: words by row, and as many numbers for each.
  private struct Table {
    var words: [[UInt8]]
    var dimensions: Int
    var values: [Float]

    init(_ words: [String], _ dimensions: Int, _ values: [Float]) {
      self.words = words.map { Array($0.utf8) }
      (self.dimensions, self.values) = (dimensions, values)
    }
  }

  /// Writes a table with its words into safetensors, which hold any, and opens it.
  private func source(_ table: Table) throws -> OpenedCheckpoint {
    let bytes = table.words.flatMap(\.self)
    var ends: [Int64] = []
    for word in table.words { ends.append((ends.last ?? 0) + Int64(word.count)) }
    let tensors = try [
      TensorInfo(name: "embeddings", dtype: .f32, shape: [table.words.count, table.dimensions]),
      TensorInfo(name: "vocabulary.bytes", dtype: .u8, shape: [bytes.count]),
      TensorInfo(name: "vocabulary.ends", dtype: .i64, shape: [ends.count]),
    ]
    let file = try AtomicFile(path: space("source.safetensors"))
    let writer = try SafetensorsWriter(tensors, to: file.output)
    for (place, tensor) in writer.tensors.enumerated() {
      switch tensor.name {
      case "embeddings": try writer.write(table.values, of: place, at: 0)
      case "vocabulary.bytes": try writer.write(bytes, of: place, at: 0)
      default: try writer.write(ends, of: place, at: 0)
      }
    }
    try writer.finish()
    try file.commit()
    return try OpenedCheckpoint(path: space("source.safetensors"))
  }

  /// Converts a table and compares what was written with it; the error where it is refused, after which nothing is there.
  private func refusal(
    _ table: Table, _ format: WordVectorFormat, threads: Int = 2
  ) throws -> StorageError? {
    let target = space("words")
    Directory.remove(target)
    let names = table.words.prefix(8).map { String(decoding: $0.prefix(80), as: UTF8.self) }
    let story: Comment = "\(format.rawValue): \(names), \(table.dimensions) numbers each"
    do {
      _ = try convert(
        source(table), to: target,
        options: ConversionOptions(form: .wordVectors(format), threadCount: threads))
    } catch let error as StorageError {
      guard case .notRepresentable = error.reason else { throw error }
      #expect(error.remedy != nil, story)
      #expect(space.names == ["source.safetensors"])
      return error
    }
    #expect(space.names == ["source.safetensors", "words"])
    guard let found = try OpenedCheckpoint(path: target).reader as? EmbeddingCheckpoint else {
      Issue.record(story)
      return nil
    }
    // A header without rows is that of a text.
    #expect(found.wordVectorFormat == format || table.words.isEmpty, story)
    #expect(try found.vocabulary.first(.max) == table.words, story)
    #expect(found.tensors[0].shape == [table.words.count, table.dimensions], story)
    #expect(
      try found.contents(of: 0).floats().map(\.bitPattern) == table.values.map(\.bitPattern), story)
    // The reader that goes from row to row finds the same.
    let rows = try EmbeddingTable(path: target)
    #expect(rows.words.map(Array.init) == table.words, story)
    #expect(
      rows.vectors.floats().map(\.bitPattern) == table.values.map(\.bitPattern), story)
    return nil
  }

  private static let plainWords = ["the", "café", "日本", "a\u{A0}b", "😀", "x", "<unk>", "-"]
  private static let nastyWords = [
    "", " ", "\t", "a b", " a", "a ", "a\tb", "a\nb", "\n", "\na", "a\r", "1984", "0", "1", "2",
    "3 4", "0.5", "-1e-3", "New York 1984", "nan", "inf", "\u{FEFF}", "\u{FEFF}the", "\u{0}",
    "\u{2028}", "GGUF", "PK\u{3}\u{4}", "{", "\u{B}",
  ]
  private static let values: [Float] = [
    0, -0.0, 1, -1, 0.1, 16_777_216, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
    .leastNormalMagnitude, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 1e-40, 12.078_431,
    3.4e-20, Float(bitPattern: 0x3F80_000A), Float(bitPattern: 0x2020_0A41),
  ]

  /// Numbers that are the same in every run.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state ^ state >> 29) &* 0x9E37_79B9_7F4A_7C15
    }
  }

  @Test(arguments: WordVectorFormat.allCases)
  func `tables of all kinds read back bit for bit or are refused`(format: WordVectorFormat) throws {
    var random = Numbers(state: 11)
    var (written, refused) = (0, 0)
    for _ in 0..<200 {
      let isPlain = Bool.random(using: &random)
      let count = [0, 1, 2, 3, 7].randomElement(using: &random) ?? 1
      let dimensions = [1, 2, 3, 7].randomElement(using: &random) ?? 1
      var words = Self.plainWords.shuffled(using: &random).prefix(count).map(\.self)
      for place in words.indices where !isPlain && Int.random(in: 0..<3, using: &random) == 0 {
        words[place] = Self.nastyWords.randomElement(using: &random) ?? ""
      }
      var values = (0..<count * dimensions).map { _ in
        Bool.random(using: &random)
          ? Self.values.randomElement(using: &random) ?? 0
          : Float(bitPattern: UInt32.random(in: 0..<0x7F80_0000, using: &random))
      }
      if !isPlain, !values.isEmpty, Int.random(in: 0..<8, using: &random) == 0 {
        values[0] = [Float.nan, .infinity, -.infinity].randomElement(using: &random) ?? .nan
      }
      let error = try refusal(Table(words, dimensions, values), format)
      if error == nil { written += 1 } else { refused += 1 }
      // Words of letters and finite numbers are held by all formats, but for what needs a header.
      let hasSize = format != .glove || dimensions > 1 && count > 0
      if isPlain, hasSize, format != .word2vecBinary { #expect(error == nil, "\(words) \(values)") }
    }
    #expect(written > 50 && refused > 25, "\(written) written, \(refused) refused")
  }

  @Test func `numbers and words that a format can't hold are named with what to do`() throws {
    let two = ["a", "b"]
    func summary(_ table: Table, _ format: WordVectorFormat) throws -> String? {
      try refusal(table, format)?.diagnosis.summary
    }
    for format in WordVectorFormat.allCases {
      let name = format.rawValue
      #expect(
        try summary(Table(two, 2, [1, 2, .nan, 4]), format)
          == "\(name) can't hold NaN or infinity, as in the vector of 'b' (word-vectors W-5)")
      #expect(
        try summary(Table(["a", "a"], 2, [1, 2, 3, 4]), format)
          == "a table of word vectors can't hold the word 'a' twice")
      #expect(
        try summary(Table(["a", ""], 2, [1, 2, 3, 4]), format) == "\(name) can't hold the word ''")
    }
    #expect(
      try summary(Table(two, 1, [1, 2]), .glove)
        == "glove can't hold vectors of one number (word-vectors W-4)")
    #expect(
      try summary(Table([], 2, []), .glove)
        == "glove can't hold a table without words (word-vectors W-9)")
    // Three fields of each line are numbers: readers would find vectors of three.
    let misread =
      "can't hold a table whose first rows readers would take for something else (word-vectors W-10)"
    #expect(try summary(Table(["a 1", "b 2"], 2, [1, 2, 3, 4]), .glove) == "glove " + misread)
    #expect(try summary(Table(["\u{FEFF}a"], 2, [1, 2]), .glove) == "glove " + misread)
    // The bytes of ' 1.5' are a row of text, too.
    let digits = Float(bitPattern: 0x352E_3120)
    #expect(try summary(Table(["a"], 1, [digits]), .word2vecBinary) == "word2vecBinary " + misread)
  }

  @Test func `a word with a number behind others of letters is no number`() throws {
    let words = ["1984", "the", "of", "New York 1984"]
    #expect(try refusal(Table(words, 2, [1, 2, 3, 4, 5, 6, 7, 8]), .glove) == nil)
  }

  @Test func `a line feed in the first number of binary makes no text of it`() throws {
    for bits: UInt32 in [0x3F80_000A, 0x3F80_0A41, 0x3F0A_4141] {
      let values = [Float(bitPattern: bits), 0.25, -3, 1e-3]
      #expect(try refusal(Table(["the", "of"], 2, values), .word2vecBinary) == nil)
    }
  }

  @Test func `rows longer than a line may be are refused`() throws {
    // Sixteen bytes with the blank, and the word beyond a mebibyte.
    let long = Float(-1.25668025e-36)
    #expect(long.description.utf8.count == 15)
    let values = [Float](repeating: long, count: 65_536)
    let error = try refusal(Table(["a"], 65_536, values), .word2vecText)
    #expect(error?.diagnosis.summary.contains("bytes of a line, as that of 'a'") == true)
    #expect(try refusal(Table(["a"], 65_536, values), .word2vecBinary) == nil)
  }

  @Test(arguments: [1, 2, 3])
  func `tiles of many rows stand in order, whatever the threads`(threads: Int) throws {
    let words = (0..<20_000).map { "w\($0)" }
    let values = (0..<words.count * 50).map { Float($0) / 7 }
    for format in WordVectorFormat.allCases {
      #expect(try refusal(Table(words, 50, values), format, threads: threads) == nil)
    }
  }

  @Test func `what else a model has is named and needs the flag`() throws {
    let model = try OpenedCheckpoint(path: fixture("model"))
    var options = ConversionOptions(form: .wordVectors(.word2vecText))
    let error = #expect(throws: StorageError.self) {
      try convert(model, to: space("words.txt"), options: options)
    }
    #expect(error?.remedy?.contains("--allow-loss") == true)
    #expect(space.names.isEmpty)
    options.allowsLoss = true
    let report = try convert(model, to: space("words.txt"), options: options)
    let table = try #require(model.reader.index(of: "model.embed_tokens.weight"))
    let rowCount = model.reader.tensors[table].shape[0]
    #expect(
      report.losses.map(\.what)
        == model.files.map(\.name) + [
          "\(rowCount - report.tensors[0].shape[0]) rows of tokens that begin no word of their own",
          "55 tensors besides model.embed_tokens.weight",
        ])
    #expect(report.convertedCount == 1)
  }

  @Test func `the rounding of wider numbers and tensors beside a table are losses`() throws {
    let tensors = try [
      TensorInfo(name: "embeddings", dtype: .f64, shape: [1, 2]),
      TensorInfo(name: "vocabulary.ends", dtype: .i64, shape: [1]),
      TensorInfo(name: "bias", dtype: .u8, shape: [1]),
      TensorInfo(name: "vocabulary.bytes", dtype: .u8, shape: [1]),
    ]
    let file = try AtomicFile(path: space("table.safetensors"))
    let writer = try SafetensorsWriter(
      tensors, metadata: [MetadataEntry(key: "license", value: "MIT")], to: file.output)
    for (place, tensor) in writer.tensors.enumerated() {
      switch tensor.name {
      case "embeddings": try writer.write([0.1, 2] as [Double], of: place, at: 0)
      case "vocabulary.ends": try writer.write([1] as [Int64], of: place, at: 0)
      default: try writer.write([0x61] as [UInt8], of: place, at: 0)
      }
    }
    try writer.finish()
    try file.commit()
    var options = ConversionOptions(form: .wordVectors(.glove))
    options.allowsLoss = true
    let report = try convert(
      OpenedCheckpoint(path: space("table.safetensors")), to: space("words"), options: options)
    let losses = ["what f64 has beyond f32", "tensor bias", "the metadata license"]
    #expect(report.losses.map(\.what) == losses)
    #expect(try EmbeddingTable(path: space("words")).vectors.floats() == [0.1, 2])
    // Numbers of word vectors are f32.
    options.dtype = .f16
    let error = #expect(throws: StorageError.self) {
      try convert(
        OpenedCheckpoint(path: space("table.safetensors")), to: space("words"), options: options)
    }
    #expect(error?.reason == .notRepresentable(what: "F16", inFormat: "a table of word vectors"))
  }
}
