import Foundation
import Graft
import GraftCore
import GraftFormats
import GraftHDF5
import GraftModels
import TestSupport
import Testing

struct WarmStartTests {
  let space = TemporaryFolder()
  let model = golden("../model")
  private let vectors = golden("../vectors/newtestament.bin")
  private let table: TensorName = "model.embed_tokens.weight"

  func start(
    _ vectors: String, _ output: String, report: String? = nil,
    scale: WarmStartOptions.Scale = .mean
  ) throws -> WarmStartReport {
    try warmStart(
      model: OpenedCheckpoint(path: model), vectors: OpenedCheckpoint(path: vectors),
      output: output, report: report, options: WarmStartOptions(scale: scale))
  }

  func rows(_ path: String) throws -> [[Float]] {
    let reader = try OpenedCheckpoint(path: path).reader
    let values = try reader.bits(table, as: UInt16.self).map {
      Float(bitPattern: UInt32($0) << 16)
    }
    return stride(from: 0, to: values.count, by: 128).map { Array(values[$0..<$0 + 128]) }
  }

  private func norm(_ row: [Float]) -> Double {
    row.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
  }

  @Test func `matched rows point like the vectors at the mean row length, others stay`() throws {
    let report = try start(vectors, space("out"), report: space("report.json"))
    #expect(report.matchedCount == 718)
    #expect(report.usedWordCount == 718)
    let (old, new) = (try rows(model), try rows(space("out")))
    let mean = old.reduce(0) { $0 + norm($1) } / Double(old.count)
    #expect(abs(try #require(report.rowNorm) - mean) < 1e-9 * mean)
    let words = try EmbeddingTable(path: vectors).words
    let tokenizer = try Tokenizer(
      tokenizerJSON: OpenedCheckpoint(path: model).requiredFile("tokenizer.json"), file: "t")
    let named = try Set(words.map { try #require(tokenizer.id(of: Array("Ġ".utf8) + $0)) })
    for (id, (before, after)) in zip(old, new).enumerated() {
      #expect((before == after) == !named.contains(Int32(id)), "token \(id)")
      if named.contains(Int32(id)) { #expect(abs(norm(after) / mean - 1) < 0.005) }
    }
    let json = try JSONValue.parse(
      InputFile.contents(of: space("report.json"), atMost: 1 << 20), file: "report")
    #expect(json == report.json)
  }

  @Test(arguments: [WarmStartOptions.Scale.row, .none])
  func `rows take the vector's direction and the length of the replaced row or of the vector`(
    scale: WarmStartOptions.Scale
  ) throws {
    let report = try start(vectors, space("out"), scale: scale)
    #expect(report.matchedCount == 718)
    #expect(report.scale == scale)
    #expect(report.rowNorm == nil)
    let (old, new) = (try rows(model), try rows(space("out")))
    let imported = try EmbeddingTable(path: vectors)
    let values = imported.vectors.floats()
    let tokenizer = try Tokenizer(
      tokenizerJSON: OpenedCheckpoint(path: model).requiredFile("tokenizer.json"), file: "t")
    for (index, word) in imported.words.enumerated() {
      let id = Int(try #require(tokenizer.id(of: Array("Ġ".utf8) + word)))
      let vector = Array(values[index * 128..<(index + 1) * 128])
      let product = zip(vector, new[id]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      #expect(product / (norm(vector) * norm(new[id])) > 0.9999)
      let expected = scale == .row ? norm(old[id]) : norm(vector)
      #expect(abs(norm(new[id]) / expected - 1) < 0.005)
    }
  }

  @Test func `the directory is complete and nothing else changes`() throws {
    _ = try start(vectors, space("out"))
    let (old, new) = (
      try OpenedCheckpoint(path: model), try OpenedCheckpoint(path: space("out"))
    )
    #expect(old.files.map(\.name) == new.files.map(\.name))
    for file in old.files {
      #expect(try new.requiredFile(file.name) == file.contents())
    }
    #expect(old.reader.tensors == new.reader.tensors)
    for tensor in old.reader.tensors where tensor.name != table {
      #expect(try old.reader.bytes(tensor.name) == new.reader.bytes(tensor.name))
    }
  }

  @Test func `what stays behind of the model's directory is named`() throws {
    let source = try space.copy(model, to: "source")
    for name in [".hidden", "optimizer.pt"] {
      try AtomicFile.write(Array("x".utf8), to: source + "/" + name)
    }
    let report = try warmStart(
      model: OpenedCheckpoint(path: source), vectors: OpenedCheckpoint(path: vectors),
      output: space("out"))
    #expect(report.notes.map(\.what) == ["optimizer.pt", ".hidden"])
    #expect(try space.names(in: space("out")) == space.names(in: model))
  }

  @Test(arguments: ["gguf", "h5"])
  func `another form is what a conversion of the started directory gives`(suffix: String) throws {
    // The model has the name of the file, or of the directory that it was made from.
    try Directory.create(space("apart"))
    _ = try start(vectors, space("apart/started"))
    var options = WarmStartOptions(threadCount: 3)
    options.form = suffix == "gguf" ? .gguf(.q8_0) : nil
    options.allowsLoss = true
    try warmStart(
      model: OpenedCheckpoint(path: model), vectors: OpenedCheckpoint(path: vectors),
      output: space("started." + suffix), options: options)
    var conversion = ConversionOptions(form: options.form)
    conversion.allowsLoss = true
    _ = try convert(
      OpenedCheckpoint(path: space("apart/started")), to: space("converted." + suffix),
      options: conversion)
    #expect(
      FileManager.default.contentsEqual(
        atPath: space("started." + suffix), andPath: space("converted." + suffix)))
    guard suffix == "h5" else { return }
    let comparison = try diff(
      OpenedCheckpoint(path: space("apart/started")), OpenedCheckpoint(path: space("started.h5")))
    #expect(comparison.isWithinTolerance)
    #expect(comparison.files.allSatisfy { $0.finding == .equal })
  }

  @Test func `what the form has no place for is named and needs the flag`() throws {
    let error = #expect(throws: StorageError.self) {
      try start(vectors, space("out.safetensors"))
    }
    #expect(error?.remedy?.contains("--allow-loss") == true)
    var options = WarmStartOptions()
    options.allowsLoss = true
    let report = try warmStart(
      model: OpenedCheckpoint(path: model), vectors: OpenedCheckpoint(path: vectors),
      output: space("out.safetensors"), options: options)
    let names = try OpenedCheckpoint(path: model).files.map(\.name)
    #expect(report.losses.map(\.what) == names)
    #expect(report.json["losses"]?.array?.map(\.string) == names)
    #expect(report.json["notes"]?.array?.isEmpty == true)
    #expect(try start(vectors, space("out")).losses.isEmpty)
  }

  @Test(arguments: ["vectors.bin", "vectors.h5", "vectors"])
  func `the vectors stay unless asked, whatever they are`(name: String) throws {
    if name == "vectors.bin" {
      _ = try space.copy(vectors, to: name)
    } else if name == "vectors.h5" {
      _ = try convert(OpenedCheckpoint(path: vectors), to: space(name))
    } else {
      // A model's table gives vectors, too.
      _ = try space.copy(model, to: name)
    }
    let error = #expect(throws: StorageError.self) { try start(space(name), space(name)) }
    #expect(error?.reason == .alreadyExists)
    #expect(error?.remedy?.hasPrefix("the vectors stand there, and would be lost; ") == true)
    let kept = name == "vectors" ? model : vectors
    #expect(
      try diff(OpenedCheckpoint(path: kept), OpenedCheckpoint(path: space(name))).isWithinTolerance)
  }

  @Test func `the output may be the model`() throws {
    _ = try start(vectors, space("apart"))
    let path = try space.copy(model, to: "model")
    try warmStart(
      model: OpenedCheckpoint(path: path), vectors: OpenedCheckpoint(path: vectors), output: path)
    for name in try space.names(in: space("apart")) {
      let same = FileManager.default.contentsEqual(
        atPath: space("apart/" + name), andPath: path + "/" + name)
      #expect(same, "\(name)")
    }
    #expect(try space.names(in: path) == space.names(in: space("apart")))
  }

  @Test(arguments: ["newtestament-50.w2v.txt", "newtestament-50.glove.txt"])
  func `text files of vectors are taken alike`(name: String) throws {
    let report = try start(golden("../vectors/" + name), space("out"))
    #expect(report.matchedCount >= 50)
    #expect(report.usedWordCount == 50)
  }

  /// A table of vectors in safetensors or HDF5.
  private func table(_ path: String, words: [String], dimensions: Int, hdf5: Bool = true) throws {
    let values = words.indices.flatMap { word in
      (0..<dimensions).map { Float(word == $0 ? 3 : 0) }
    }
    let file = try AtomicFile(path: path)
    let info = try TensorInfo(name: "embeddings", dtype: .f32, shape: [words.count, dimensions])
    let writer = try HDF5Writer(
      file.output, tensors: [info], vocabulary: words.map { Array($0.utf8) })
    try writer.write(values, of: 0, at: 0)
    try writer.finish()
    try file.commit()
  }

  @Test func `rules are tried in order: bytes, case, word start`() throws {
    // The vocabulary has both Ġlord and ĠLORD, and pieces that begin no word.
    let tokenizer = try Tokenizer(
      tokenizerJSON: OpenedCheckpoint(path: model).requiredFile("tokenizer.json"), file: "t")
    let ids = try ["Ġlord", "ĠLord", "Ġsaid", "a"].map { try #require(tokenizer.id(of: $0)) }
    try table(
      space("words.h5"), words: ["lord", "Ġlord", "SAID", "a"], dimensions: 128)
    let report = try start(space("words.h5"), space("out"))
    let new = try rows(space("out"))
    func direction(_ id: Int32) -> Int? { new[Int(id)].firstIndex { $0 != 0 } }
    #expect(direction(ids[0]) == 1)  // exact, with its mark
    #expect(direction(ids[1]) == 1)  // by case, with its mark, before the bare word
    #expect(direction(ids[2]) == 2)  // by word start, case ignored
    #expect(direction(ids[3]) == 3)  // exact
    #expect(report.matched.map(\.rule) == ["exact", "caseFolded", "wordStart"])
    #expect(report.matched.allSatisfy { $0.count > 0 })
  }

  @Test func `a table with the model's own tokenizer finds every row`() throws {
    let opened = try OpenedCheckpoint(path: model)
    let directory = try AtomicDirectory(path: space("table"))
    try directory.write(opened.requiredFile("tokenizer.json"), named: "tokenizer.json")
    let source = try #require(opened.reader.index(of: table))
    let info = opened.reader.tensors[source]
    let writer = try SafetensorsWriter(
      [TensorInfo(name: "embedding.weight", dtype: info.dtype, shape: info.shape)],
      to: directory.file(named: "model.safetensors"))
    try writer.copy(try #require(opened.reader.extent(of: source)), to: 0)
    try writer.finish()
    try directory.commit()
    #expect(try OpenedCheckpoint(path: space("table")).kind == .embeddings)
    let report = try start(space("table"), space("out"))
    #expect(report.coverage == 1)
    #expect(report.misses.isEmpty)
    #expect(!report.description.contains("without a vector"))
    #expect(!report.description.hasSuffix("\n"))
    // Its own rows change the model only where they get another length.
    for scale in [WarmStartOptions.Scale.row, .none, .mean] {
      _ = try start(space("table"), space("own-\(scale)"), scale: scale)
      let isSame =
        try OpenedCheckpoint(path: space("own-\(scale)")).reader.bytes(self.table)
        == opened.reader.bytes(self.table)
      #expect(isSame == (scale != .mean))
    }
  }

  @Test func `vectors of another dimension are refused with both`() throws {
    try table(space("words.h5"), words: ["a", "b"], dimensions: 100)
    #expect(
      throws: StorageError(
        .mismatch(
          subject: "the dimension of the vectors", expected: "128 as in the model", found: "100"),
        file: space("words.h5"), remedy: "take vectors of the model's hidden size")
    ) { try start(space("words.h5"), space("out")) }
    #expect(try space.names(in: space.path) == ["words.h5"])
  }
}

extension WarmStartTests {
  /// A fastText model: words, and buckets of n-grams of three characters, whose rows are unit vectors.
  private func fastText(_ path: String, words: [String], buckets: Int) throws {
    func little(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let dimensions = 128
    let arguments = [793_712_314, 12, dimensions, 5, 5, 1, 5, 1, 2, 2, buckets, 3, 3, 100]
    var bytes = arguments.flatMap { little($0, 4) } + [UInt8](repeating: 0, count: 8)
    bytes += [words.count, words.count, 0].flatMap { little($0, 4) } + little(9, 8) + little(-1, 8)
    for word in words { bytes += Array(word.utf8) + [0] + little(1, 8) + [0] }
    let rows = words.count + buckets
    bytes += [0] + little(rows, 8) + little(dimensions, 8)
    for row in 0..<rows {
      bytes += (0..<dimensions).flatMap {
        little($0 == row ? Int(Float(1).bitPattern) : 0, 4)
      }
    }
    bytes += [0] + little(0, 8) + little(dimensions, 8)
    try AtomicFile.write(bytes, to: path)
  }

  @Test func `tokens that no word is spelled like take what their n-grams make`() throws {
    let (words, buckets) = (["Jesus", "zzz"], 7)
    try fastText(space("model.bin"), words: words, buckets: buckets)
    let report = try start(space("model.bin"), space("out"), scale: .none)
    #expect(report.matched.map(\.rule) == ["exact", "caseFolded", "wordStart", "subwords"])
    #expect(report.matched.first { $0.rule == "wordStart" }?.count == 1)
    #expect(report.usedWordCount == 1)
    let tokenizer = try Tokenizer(
      tokenizerJSON: OpenedCheckpoint(path: model).requiredFile("tokenizer.json"), file: "t")
    let subwords = Subwords(lengths: (3, 3), bucketCount: buckets)
    let (old, new) = (try rows(model), try rows(space("out")))
    var made = 0
    for token in tokenizer.words where token.text != Array("Jesus".utf8) {
      let ngrams = subwords.rows(of: token.text)
      let isText = String(validating: token.text, as: UTF8.self) != nil
      guard isText, !ngrams.isEmpty else {
        #expect(new[Int(token.id)] == old[Int(token.id)])
        continue
      }
      made += 1
      var expected = [Float](repeating: 0, count: 128)
      for ngram in ngrams { expected[words.count + ngram] += 1 / Float(ngrams.count) }
      for (one, other) in zip(new[Int(token.id)], expected) {
        #expect(abs(one - other) < 0.005, "\(token)")
      }
    }
    #expect(made > 1000)
    #expect(report.matched.first { $0.rule == "subwords" }?.count == made)
  }

  @Test func `GGUF is to be made a model directory first, on either side`() throws {
    let gguf = golden("gguf/qwen2.gguf")
    for (base, table) in [(gguf, vectors), (model, gguf)] {
      let error = try #require(throws: StorageError.self) {
        try warmStart(
          model: OpenedCheckpoint(path: base), vectors: OpenedCheckpoint(path: table),
          output: space("out"))
      }
      #expect(error.reason == .unsupported(feature: "format to compute with", found: "GGUF"))
      #expect(error.file == gguf)
      #expect(error.remedy == "make a model directory of it first: graft convert \(gguf) DIR")
    }
    #expect(!Directory.exists(at: space("out")))
  }
}
