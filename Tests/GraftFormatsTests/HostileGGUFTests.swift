import GraftCore
import GraftFormats
import TestSupport
import Testing

/// GGUF files made to take more memory or time than their bytes are worth.
struct HostileGGUFTests {
  @Test func `scores that stand for endless merges are refused`() throws {
    let tokens = (1...400).map { String(repeating: "a", count: $0) }
    #expect(GGUFScoreMerges.merges(tokens, tokens.map { Float(-$0.utf8.count) }) == nil)
    let few = try #require(GGUFScoreMerges.merges(["a", "b", "ab"], [0, 0, -1]))
    #expect(few.map { [$0.0, $0.1] } == [["a", "b"]])
  }

  @Test func `a long token is compared with no more places than a token has`() throws {
    #expect(
      try growth(upTo: 1 << 17) { count in
        let tokens = ["a", String(repeating: "a", count: count)]
        _ = try #require(GGUFScoreMerges.merges(tokens, [0, 0]))
      } < linearGrowth)
  }

  @Test func `arrays of bytes take eight times their size, so there is a bound on them`() throws {
    let folder = TemporaryFolder()
    let bytes = GGUFValue.array(.unsigned([UInt64](repeating: 7, count: 3 << 20), bits: 8))
    let path = folder.path + "/arrays.gguf"
    let file = try AtomicFile(path: path)
    let writer = try GGUFWriter([], entries: [("a", bytes), ("b", bytes)], to: file.output)
    try writer.finish()
    try file.commit()
    let error = try #require(throws: StorageError.self) { try GGUFReader(path: path) }
    #expect(error.diagnosis.summary.contains("gguf G-9"))
  }
}
