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
    let folder = Scratch()
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
    let path: String
    let isAccepted: Bool
  }

  /// A ZIP archive by itself is no checkpoint: its rules are shown through PyTorch's and NumPy's files.
  private static let formats: [String] =
    ((try? Directory.entries(of: Repository.path("Formats"))) ?? []).filter {
      $0 != "zip" && Directory.hasFile(at: Repository.path("Formats/\($0)/vectors.json"))
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
        path: Repository.path("Formats/\(format)/\(name)"), isAccepted: verdict == "accept")
    }
  }

  @Test(arguments: formats)
  func `a vector costs little, leaves nothing, and ends with its status`(format: String) throws {
    for row in try Self.rows(of: format) {
      let path = row.path
      let folder = Directory.exists(at: path) ? path : Directory.parent(of: path)
      let size =
        Directory.exists(at: path) || path.hasSuffix(".index.json")
        ? try Directory.entries(of: folder).reduce(0) { $0 + fileSize(folder + "/" + $1) }
        : fileSize(path)
      // Some are sound as something else: tensors that are no table, an empty GGUF file.
      let isSoundOtherwise =
        format == "static-embeddings" || path.hasSuffix("/length-gguf-magic.safetensors")
      // What is accepted may still hold NaN, or a table without its words, which is a finding.
      try Bounds.hold(
        "verify", path, byteCount: size,
        expecting: row.isAccepted ? [0, 1] : isSoundOtherwise ? [0, 1, 3] : [1, 3])
    }
  }

  private func fileSize(_ path: String) -> Int { (try? InputFile(path: path).byteCount) ?? 0 }
}
