import Foundation
import GraftCore
import TestSupport
import Testing

/// What any file may cost, and where it may leave a trace: nowhere.
enum Bounds {
  /// Processor time of a whole process; much is its start.
  static let seconds = 1.0

  static func memory(of byteCount: Int) -> Int { 64 << 20 + 4 * byteCount }

  /// Runs a verb that reads on a file and holds the outcome against the bounds and the contract.
  @discardableResult static func hold(
    _ verb: String, _ path: String, byteCount: Int, seconds: Double = seconds,
    expecting statuses: Set<Int32>, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> WatchedGraft.Outcome {
    let folder = TemporaryFolder()
    let outcome = try WatchedGraft.run([verb, path, "--quiet"], root: folder.folder.path)
    let story: Comment = "\(verb) \(path): \(outcome.status) \(outcome.error)"
    #expect(statuses.contains(outcome.status), story, sourceLocation: sourceLocation)
    #expect(outcome.peakBytes > 0, story, sourceLocation: sourceLocation)
    #expect(
      outcome.peakBytes <= memory(of: byteCount), "\(outcome.peakBytes) bytes, \(story)",
      sourceLocation: sourceLocation)
    #expect(
      outcome.processorSeconds <= seconds, "\(outcome.processorSeconds) s, \(story)",
      sourceLocation: sourceLocation)
    #expect(outcome.changedOutside == nil, story, sourceLocation: sourceLocation)
    #expect(folder.names == [], story, sourceLocation: sourceLocation)
    if outcome.status > 1 {
      #expect(outcome.error.hasPrefix("error: "), story, sourceLocation: sourceLocation)
      #expect(
        outcome.error.split(separator: "\n").count <= 3, story, sourceLocation: sourceLocation)
    }
    return outcome
  }
}

/// Every vector of every format, opened and read whole by the command.
struct HostileFileTests {
  private struct Row {
    /// The file, below `Formats`.
    let file: String
    let isAccepted: Bool
    /// The rule that it breaks, as the error cites it.
    let rule: String?

    var path: String { Repository.path("Formats/" + file) }
  }

  /// What `verify` ends with, and says.
  private struct Expectation {
    let statuses: Set<Int32>
    let text: String
  }

  private static let formats: [String] =
    ((try? Directory.entries(of: Repository.path("Formats"))) ?? []).filter {
      Directory.hasFile(at: Repository.path("Formats/\($0)/vectors.json"))
    }

  private static func rows(of format: String) throws -> [Row] {
    let name = "Formats/\(format)/vectors.json"
    let rows = try #require(try JSONValue.parse(Repository.bytes(name), file: name).array)
    return try rows.map {
      let file = try #require($0["file"]?.string)
      // Where a table has rejected files alone, it doesn't say so.
      let verdict = $0["verdict"]?.string ?? "reject"
      let name = file.hasPrefix(verdict + "/") ? file : verdict + "/" + file
      return Row(
        file: format + "/" + name, isAccepted: verdict == "accept", rule: $0["rule"]?.string)
    }
  }

  // MARK: - What is expected

  /// What can be read, is sound.
  private static let sound = Expectation(statuses: [0], text: "sound: ")
  /// What isn't a file of any format by its first bytes.
  private static let unclaimed = Expectation(statuses: [3], text: "the format isn't recognized")

  private static func expectation(of row: Row) throws -> Expectation {
    if let exception = exceptions[row.file] { return exception }
    // An archive of other files is no checkpoint: its rules are shown through PyTorch's and NumPy's files.
    if row.file.hasPrefix("zip/") || unclaimedFiles.contains(row.file) { return unclaimed }
    if row.isAccepted { return sound }
    // A defect, or something that isn't supported.
    // Messages leave the format away where the words before tell it.
    let rule = try #require(row.rule, "\(row.file) breaks a rule")
    let cited = rule.hasPrefix("HDF5 ") ? String(rule.dropFirst(5)) : rule
    return Expectation(statuses: [1, 3], text: cited + ")")
  }

  private static let exceptions: [String: Expectation] = {
    var exceptions = [
      "safetensors/accept/dtype-all.safetensors": Expectation(
        statuses: [1], text: "tensor f16, byte 1517: 2 NaN"),
      // A header's length that is GGUF's magic, with a GGUF file of nothing.
      "safetensors/reject/length-gguf-magic.safetensors": sound,
      // NumPy's archive of no arrays.
      "zip/accept/none.zip": sound,
    ]
    // Of a model all keys are wanted, of a table of vectors that it is one: otherwise they are tensors.
    for name in [
      "version-2", "one-tensor", "no-final-padding", "final-padding", "scalar", "extent-zero",
      "reversed-extents", "gap-and-order", "name-of-64-bytes", "every-tensor-type",
    ] {
      exceptions["gguf/accept/\(name).gguf"] = Expectation(statuses: [1], text: "(gguf M-2)")
    }
    for name in ["no-matrix", "two-matrices", "integers"] {
      exceptions["static-embeddings/reject/" + name] = sound
    }
    // What their description lists and their weights lack.
    exceptions["keras/accept/layer-without-group.keras"] = Expectation(
      statuses: [1], text: "tensor layers.dense_1.vars.0: missing, expected by config.json")
    for (name, text) in [
      ("lambda", "not checked: a layer of class Lambda in config.json: "),
      ("group-without-layer", "unexpected: layers.dense_1.vars.0, for which config.json"),
    ] {
      exceptions["keras/accept/\(name).keras"] = Expectation(statuses: [0], text: text)
    }
    // Between an index and its shards everything is listed that is wrong.
    for (name, text) in [
      ("total-wrong", "total_size is 11 bytes, expected 12 (shard-index I-9)"),
      ("missing-tensor", "tensor d: in the index and in no shard (shard-index I-8)"),
      ("surplus-tensor", "tensor b: not in the index, found in m-1.safetensors (shard-index I-8)"),
      (
        "wrong-file",
        "tensor b: expected in m-2.safetensors, found in m-1.safetensors (shard-index I-8)"
      ),
      ("tensor-twice", "tensor a: also in m-1.safetensors, with the same values (shard-index I-8)"),
      ("shard-missing", "m-2.safetensors: no such file, expected 1 tensor (shard-index I-8)"),
    ] {
      exceptions["shard-index/reject/\(name)/model.safetensors.index.json"] = Expectation(
        statuses: [1], text: text)
    }
    return exceptions
  }()

  private static let unclaimedFiles: Set<String> = {
    let names: [String: [String]] = [
      "fasttext": ["magic"],
      "gguf": ["empty.gguf", "magic-FUGG.gguf", "magic-GGML.gguf", "magic-GGJT.gguf"],
      "hdf5": ["no-signature.h5"],
      "keras": ["member-in-folder.keras", "weights-none.keras"],
      "numpy": [
        "magic-0-bytes.npy", "magic-3-bytes.npy", "magic-short.npy", "magic-text.npy",
        "magic-ascii.npy", "magic-lower.npy",
      ],
      "safetensors": [
        "length-0-bytes.safetensors", "length-1-bytes.safetensors", "length-7-bytes.safetensors",
        "length-without-header.safetensors", "length-limit.safetensors", "length-sign.safetensors",
        "length-all.safetensors", "length-upstream.safetensors", "length-zip-magic.safetensors",
        "json-none.safetensors", "json-byte-ff.safetensors", "json-array.safetensors",
        "json-null.safetensors", "json-string.safetensors", "json-bom.safetensors",
      ],
      "shard-index": ["array/model.safetensors.index.json", "no-map/model.safetensors.index.json"],
      "word-vectors": ["neither-empty", "neither-prose", "neither-zeros", "neither-gzip"],
    ]
    var files: Set<String> = []
    for (format, names) in names { files.formUnion(names.map { format + "/reject/" + $0 }) }
    return files
  }()

  // MARK: - Every vector

  @Test(arguments: formats)
  func `a vector costs little, leaves nothing, and ends with its status`(format: String) throws {
    for row in try Self.rows(of: format) {
      let path = row.path
      let folder = Directory.exists(at: path) ? path : Directory.parent(of: path)
      let size =
        Directory.exists(at: path) || path.hasSuffix(".index.json")
        ? try Directory.entries(of: folder).reduce(0) { $0 + fileSize(folder + "/" + $1) }
        : fileSize(path)
      let expected = try Self.expectation(of: row)
      let outcome = try Bounds.hold(
        "verify", path, byteCount: size, expecting: expected.statuses)
      let told = outcome.status > 1 ? outcome.error : outcome.output
      #expect(told.contains(expected.text), "\(row.file): \(told)")
    }
  }

  /// The files of `Fixtures/hdf5-cve`, which made libhdf5 crash.
  private static let crashers =
    ((try? Directory.entries(of: Repository.path("Fixtures/hdf5-cve"))) ?? []).filter {
      $0.hasPrefix("cve-")
    }

  @Test func `what crashes libhdf5 costs little`() throws {
    #expect(Self.crashers.count == 67)
    for name in Self.crashers {
      for verb in ["inspect", "verify"] {
        // Within 128 MiB in all.
        try Bounds.hold(
          verb, Repository.path("Fixtures/hdf5-cve/" + name), byteCount: 16 << 20,
          expecting: [0, 1, 3])
      }
    }
  }

  @Test func `every exception is a vector`() throws {
    let files = Set(try Self.formats.flatMap(Self.rows).map(\.file))
    #expect(files.isSuperset(of: Self.exceptions.keys))
    #expect(files.isSuperset(of: Self.unclaimedFiles))
  }

  private func fileSize(_ path: String) -> Int { (try? InputFile(path: path).byteCount) ?? 0 }
}
