import GraftTraining
import Testing

/// Windows over tokens, their targets, and the order they are taken in.
struct DataTests {
  private func windows(_ count: Int, length: Int = 4) throws -> TokenWindows {
    let tokens = (0..<Int32(count * length))
    return try TokenWindows(
      TokenizedText(tokens: Array(tokens), file: "tokens"), TokenWindows.Filling(length: length))
  }

  @Test func `each token of a window but the first is predicted`() throws {
    let batch = Batch(try windows(2), [1], size: 1)
    #expect(batch.ids == [4, 5, 6, 7])
    #expect(batch.targets == [5, 6, 7, TokenWindows.ignored])
    #expect(batch.targetCount == 3)
  }

  @Test func `a batch that isn't full is padded without targets`() throws {
    let batch = Batch(try windows(2), [0], size: 2)
    #expect(batch.ids.count == 8)
    #expect(batch.targets[4...].allSatisfy { $0 == TokenWindows.ignored })
  }

  @Test func `text shorter than a window is an error that names both sizes`() {
    let text = TokenizedText(tokens: [1, 2, 3], file: "short.txt")
    let error = #expect(throws: TrainingError.self) {
      try TokenWindows(text, TokenWindows.Filling(length: 8))
    }
    #expect(error?.reason == .tooLittleData(tokens: 3, needed: 8))
    #expect(error?.file == "short.txt")
  }

  @Test(arguments: [true, false])
  func `an epoch takes every window once`(shuffles: Bool) throws {
    var cursor = BatchCursor(try windows(10), batchSize: 2, seed: 3, shuffles: shuffles)
    let firsts = (0..<5).flatMap { _ in
      let ids = cursor.next().ids
      return [ids[0] / 4, ids[4] / 4]
    }
    #expect(firsts.sorted() == Array(0..<10))
    #expect((firsts == Array(0..<10)) == !shuffles)
  }

  @Test func `seed and epoch decide the order, and any order can come`() throws {
    func firsts(_ seed: UInt64) throws -> [Int32] {
      var cursor = BatchCursor(try windows(4), batchSize: 1, seed: seed, shuffles: true)
      return (0..<8).map { _ in cursor.next().ids[0] / 4 }
    }
    #expect(try firsts(1) == firsts(1))
    let orders = Set(try (0..<200 as Range<UInt64>).map { Array(try firsts($0)[..<4]) })
    #expect(orders.count == 24)
    #expect(
      try (0..<20 as Range<UInt64>).contains { seed in
        let both = try firsts(seed)
        return both[..<4] != both[4...]
      })
  }

  @Test(arguments: 0..<13)
  func `a cursor resumed anywhere goes on as the first one did`(taken: Int) throws {
    let windows = try windows(5)
    var whole = BatchCursor(windows, batchSize: 1, seed: 9, shuffles: true)
    let expected = (0..<20).map { _ in whole.next().ids }
    var resumed = BatchCursor(windows, batchSize: 1, seed: 9, shuffles: true, taken: taken)
    #expect((taken..<20).map { _ in resumed.next().ids } == Array(expected[taken...]))
  }
}
