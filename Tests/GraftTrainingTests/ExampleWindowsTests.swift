import GraftTraining
import Testing

/// Examples in windows: one each, or packed.
struct ExampleWindowsTests {
  /// Examples whose tokens are 100 · number + place; every token is a target.
  private func text(_ lengths: [Int]) -> TokenizedText {
    TokenizedText(
      examples: lengths.enumerated().map { number, length in
        (
          (0..<length).map { Int32(100 * (number + 1) + $0) },
          [Bool](repeating: true, count: length)
        )
      }, file: "examples.jsonl")
  }

  private let none = TokenWindows.ignored

  @Test func `an example gets a window, padded without targets`() throws {
    let windows = try TokenWindows(text([3, 2]), TokenWindows.Filling(length: 4))
    #expect(windows.count == 2)
    let batch = Batch(windows, [0, 1], size: 2)
    #expect(batch.ids == [100, 101, 102, 0, 200, 201, 0, 0])
    #expect(batch.targets == [101, 102, none, none, 201, none, none, none])
    #expect(batch.targetCount == 3)
    #expect(windows.tokenCount == 5)
    #expect(windows.targetCount == 3)
  }

  @Test func `a step's batches count their tokens as they are once made`() throws {
    let windows = try TokenWindows(text([3, 2, 4]), TokenWindows.Filling(length: 4))
    var cursor = BatchCursor(windows, batchSize: 2, seed: 0, shuffles: false)
    let step = cursor.next(2)
    #expect(step.count == 2)
    #expect(step[1].ids == [300, 301, 302, 303, 100, 101, 102, 0])
    #expect(step.tokenCount == 3 + 2 + 4 + 3)
    #expect(step.targetCount == step.reduce(0) { $0 + $1.targetCount })
    #expect(step.targetCount == 2 + 1 + 3 + 2)
    #expect(cursor.taken == 4)
  }

  @Test func `a long example is cut and counted`() throws {
    let windows = try TokenWindows(text([9, 4, 2]), TokenWindows.Filling(length: 4))
    #expect(windows.cutCount == 1)
    #expect(windows.exampleCount == 3)
    #expect(Batch(windows, [0], size: 1).ids == [100, 101, 102, 103])
    #expect(Batch(windows, [0], size: 1).targets == [101, 102, 103, none])
  }

  @Test func `an example without a target after the cut is named by file and line`() {
    let text = TokenizedText(
      examples: [
        ([1, 2], [true, true]), ([1, 2, 3, 4, 5], [false, false, false, false, true]),
      ], file: "long.jsonl")
    let error = #expect(throws: TrainingError.self) {
      try TokenWindows(text, TokenWindows.Filling(length: 4))
    }
    #expect(error?.file == "long.jsonl")
    #expect(error?.line == 2)
  }

  @Test func `packed examples keep their own positions, segments and targets`() throws {
    let filling = TokenWindows.Filling(length: 6, packs: true)
    let windows = try TokenWindows(text([3, 5, 2]), filling)
    #expect(windows.count == 2)
    let batch = Batch(windows, [0, 1], size: 2)
    #expect(batch.ids == [100, 101, 102, 300, 301, 0, 200, 201, 202, 203, 204, 0])
    #expect(batch.positions == [0, 1, 2, 0, 1, 0, 0, 1, 2, 3, 4, 0])
    #expect(batch.segments == [0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0, 1])
    #expect(
      batch.targets == [101, 102, none, 301, none, none, 201, 202, 203, 204, none, none])
  }

  @Test(arguments: [nil, 1, 2] as [UInt64?])
  func `packing keeps every example once and whole, in windows that aren't overfull`(
    seed: UInt64?
  ) throws {
    let lengths = (0..<500).map { 2 + ($0 * 7919) % 61 }
    let filling = TokenWindows.Filling(length: 64, packs: true, seed: seed)
    let windows = try TokenWindows(text(lengths), filling)
    var found: [Int: Int] = [:]
    for window in 0..<windows.count {
      let batch = Batch(windows, [window], size: 1)
      for (id, position) in zip(batch.ids, batch.positions) where id > 0 {
        #expect(Int(id) % 100 == Int(position))
        found[Int(id) / 100 - 1, default: 0] += 1
      }
    }
    #expect(found.count == lengths.count)
    for (example, length) in lengths.enumerated() { #expect(found[example] == length) }
    // First fit needs at most 1.7 times the windows that the best packing does, and here nearly as few.
    let least = (lengths.reduce(0, +) + 63) / 64
    #expect(Double(windows.count) < 1.1 * Double(least))
  }

  @Test func `without shuffling, packing begins windows in the order of the file`() throws {
    let filling = TokenWindows.Filling(length: 4, packs: true)
    let windows = try TokenWindows(text([4, 3, 4, 2, 2]), filling)
    let firsts = (0..<windows.count).map { Batch(windows, [$0], size: 1).ids[0] / 100 }
    #expect(firsts == [1, 2, 3, 4])
  }

  @Test func `the same seed packs alike, another otherwise`() throws {
    let text = text((0..<100).map { 2 + $0 % 9 })
    func ids(_ seed: UInt64) throws -> [Int32] {
      let filling = TokenWindows.Filling(length: 16, packs: true, seed: seed)
      let windows = try TokenWindows(text, filling)
      return Batch(windows, 0..<windows.count, size: windows.count).ids
    }
    #expect(try ids(5) == ids(5))
    #expect(try ids(5) != ids(6))
  }

  @Test func `what remains of a text is evaluated in a window that isn't full`() throws {
    let text = TokenizedText(tokens: Array(0..<10), file: "text")
    let filling = TokenWindows.Filling(length: 4, keepsTail: true)
    let windows = try TokenWindows(text, filling)
    #expect(windows.count == 3)
    #expect(Batch(windows, [2], size: 1).targets == [9, none, none, none])
    #expect(try TokenWindows(text, TokenWindows.Filling(length: 4)).count == 2)
  }
}
