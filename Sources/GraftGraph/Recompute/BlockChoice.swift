/// How every block is treated: a mode each, or a segment that runs again from its first block's input.
package struct BlockChoice: Sendable, Equatable {
  /// One block's treatment.
  package enum Treatment: Sendable, Equatable {
    /// The block's input is kept, and what the mode names.
    case alone(mode: Int)
    /// The first of `length` blocks of which only the first one's input is kept.
    case segment(length: Int)
  }

  /// The treatments in order; a segment stands for all its blocks.
  package fileprivate(set) var treatments: [Treatment] = []
  /// Seconds of everything that runs again.
  package fileprivate(set) var seconds = 0.0
}

extension BlockSequence {
  /// The quickest choice whose outline needs at most `bytes`; nil when none does.
  ///
  /// Dynamic programming over the blocks and the bytes kept so far, in units of `unit` bytes. At a block's gradients everything that
  /// earlier blocks keep is in memory, and what its own gradients hold.
  package func quickest(within bytes: Int, unit: Int) -> BlockChoice? {
    let levels = bytes / unit
    guard levels >= 0 else { return nil }
    let width = levels + 1
    let unreachable = Double.infinity
    // best[block · width + level]: the least seconds up to a block with so much kept.
    var best = [Double](repeating: unreachable, count: (blocks.count + 1) * width)
    var step = [Int32](repeating: 0, count: best.count)
    best[0] = 0
    for index in blocks.indices {
      for option in options(from: index) {
        let kept = (option.keptBytes + unit - 1) / unit
        let highest = levels - (option.peakBytes + unit - 1) / unit
        guard highest >= 0, kept <= levels else { continue }
        let target = (index + option.length) * width + kept
        for level in 0...min(highest, levels - kept) {
          let seconds = best[index * width + level] + option.seconds
          if seconds < best[target + level] {
            best[target + level] = seconds
            step[target + level] = option.code
          }
        }
      }
    }
    let last = blocks.count * width
    guard let end = (0..<width).min(by: { best[last + $0] < best[last + $1] }),
      best[last + end] < unreachable
    else { return nil }
    return choice(endingAt: end, seconds: best[last + end], step, width: width, unit: unit)
  }

  /// The fewest bytes that any choice's outline needs.
  package func leastBytes() -> Int {
    var (low, high) = (0, 1)
    while !isFeasible(within: high) { high *= 2 }
    while low < high {
      let middle = (low + high) / 2
      if isFeasible(within: middle) { high = middle } else { low = middle + 1 }
    }
    return high
  }

  /// The bytes of the choice that keeps everything.
  package func mostBytes() -> Int { bytes { $0.modes[0] } }

  /// The bytes of the choice that keeps least without running a kernel again.
  func bytesWithoutKernelsAgain() -> Int { bytes(\.withoutKernelsAgain) }

  /// The bytes of a choice that treats every block alone.
  private func bytes(_ mode: (Block) -> BlockMode) -> Int {
    var kept = 0
    var peak = 0
    for (index, block) in blocks.enumerated() {
      let (input, mode) = (inputBytes(of: index), mode(block))
      peak = max(peak, kept + input + mode.peakBytes)
      kept += input + mode.keptBytes
    }
    return peak
  }

  /// The bytes of a block's input; the first one's is made outside and is in memory in every plan.
  private func inputBytes(of index: Int) -> Int {
    index == 0 ? 0 : blocks[index - 1].outputBytes
  }

  /// The blocks' nodes that a choice keeps in memory.
  func keptNodes(_ choice: BlockChoice) -> Set<Int> {
    var result: Set<Int> = []
    var index = 0
    for treatment in choice.treatments {
      switch treatment {
      case .alone(let mode):
        let block = blocks[index]
        result.formUnion(block.modes[mode].kept.map { block.nodes[$0] })
        result.formUnion(block.handed)
        index += 1
      case .segment(let length):
        index += length
        result.formUnion(blocks[index - 1].handed)
      }
    }
    return result
  }

  // MARK: - Options

  private struct Option {
    let length: Int
    /// What stays until the gradients, the input among it.
    let keptBytes: Int
    let peakBytes: Int
    let seconds: Double
    /// 256 · length + mode.
    let code: Int32
  }

  private static let longestSegment = 16

  /// The ways to go on from a block.
  private func options(from index: Int) -> [Option] {
    let input = inputBytes(of: index)
    var result = blocks[index].modes.enumerated().map { place, mode in
      Option(
        length: 1, keptBytes: input + mode.keptBytes, peakBytes: input + mode.peakBytes,
        seconds: mode.seconds, code: Int32(256 + place))
    }
    var (handed, peak, seconds) = (0, 0, 0.0)
    for length in 1...Self.longestSegment {
      let place = index + length - 1
      guard place < blocks.count, let mode = blocks[place].modes.last else { break }
      peak = max(peak, mode.peakBytes)
      seconds += mode.seconds
      if length > 1 {
        result.append(
          Option(
            length: length, keptBytes: input, peakBytes: input + handed + peak, seconds: seconds,
            code: Int32(256 * length)))
      }
      guard blocks[place].isReplayable else { break }
      handed += blocks[place].outputBytes
      seconds += blocks[place].replaySeconds
    }
    return result
  }

  private func isFeasible(within bytes: Int) -> Bool {
    var least = [Int](repeating: .max, count: blocks.count + 1)
    least[0] = 0
    for index in blocks.indices where least[index] < .max {
      for option in options(from: index) where least[index] + option.peakBytes <= bytes {
        least[index + option.length] = min(
          least[index + option.length], least[index] + option.keptBytes)
      }
    }
    return least[blocks.count] < .max
  }

  private func choice(
    endingAt end: Int, seconds: Double, _ step: [Int32], width: Int, unit: Int
  ) -> BlockChoice {
    var result = BlockChoice()
    result.seconds = seconds
    var (index, level) = (blocks.count, end)
    while index > 0 {
      let code = step[index * width + level]
      let length = Int(code) / 256
      index -= length
      guard let option = options(from: index).first(where: { $0.code == code }) else {
        preconditionFailure("a step that was taken is an option")
      }
      level -= (option.keptBytes + unit - 1) / unit
      result.treatments.append(
        length == 1 ? .alone(mode: Int(code) % 256) : .segment(length: length))
    }
    result.treatments.reverse()
    return result
  }
}
