import Graft
import GraftCore
import GraftModels

/// Encodes lines on one thread: a JSON object with the seconds of the fastest round and the ids of each line.
struct Tokenization {
  let tokenizer: String
  /// A JSON array of strings.
  let lines: String
  let rounds: Int

  func run() throws -> String {
    let tokenizer = try Tokenizer(
      tokenizerJSON: try InputFile.contents(of: self.tokenizer, atMost: 1 << 30),
      file: self.tokenizer)
    let json = try JSONValue.parse(
      try InputFile.contents(of: lines, atMost: 1 << 30), file: lines)
    let texts = (json.array ?? []).map { Array(($0.string ?? "").utf8) }

    var ids: [[Int32]] = []
    var best = Duration.seconds(1 << 20)
    for _ in 0..<rounds {
      let began = ContinuousClock.now
      ids = texts.map { tokenizer.encode($0) }
      best = min(best, ContinuousClock.now - began)
    }
    let lossless = zip(texts, ids).count { text, ids in
      Array(tokenizer.decode(ids, skipSpecialTokens: false).utf8) == text
    }
    let result: JSONValue = [
      "seconds": JSONValue(best / .seconds(1)), "lossless": JSONValue(lossless),
      "ids": .array(ids.map { .array($0.map { JSONValue($0) }) }),
    ]
    return result.serialized(indent: nil)
  }
}
