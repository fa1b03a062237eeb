/// Cuts text at the matches of a pattern.
struct Splitter: Sendable {
  /// What becomes of the matches.
  enum Behavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  let automaton: Automaton
  var behavior = Behavior.isolated
  /// Whether the parts between the matches count as the matches.
  var isInverted = false

  init(
    _ pattern: Pattern, _ behavior: Behavior = .isolated, isInverted: Bool = false
  ) throws(PatternError) {
    automaton = try Automaton(pattern)
    self.behavior = behavior
    self.isInverted = isInverted
  }

  /// GPT-2's pattern, which byte-level pre-tokenizers apply by themselves.
  static let gpt2 =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// Calls `emit` with the parts of `text[start..<end]` in order.
  @inline(__always)
  func split(
    _ text: Span<UInt8>, from start: Int, to end: Int, emit: (_ start: Int, _ end: Int) -> Void
  ) {
    switch behavior {
    case .isolated: forEachMatch(text, start, end) { low, high, _ in emit(low, high) }
    case .removed:
      forEachMatch(text, start, end) { low, high, isMatch in if !isMatch { emit(low, high) } }
    case .contiguous, .mergedWithPrevious, .mergedWithNext:
      for part in merged(text, start, end) { emit(part.lowerBound, part.upperBound) }
    }
  }

  @inline(__always)
  private func forEachMatch(
    _ text: Span<UInt8>, _ start: Int, _ end: Int, _ body: (Int, Int, Bool) -> Void
  ) {
    var gap = start
    var position = start
    while position < end {
      if let matchEnd = automaton.match(in: text, from: position, to: end) {
        if gap < position { body(gap, position, isInverted) }
        body(position, matchEnd, !isInverted)
        position = matchEnd
        gap = matchEnd
      } else {
        position += text.scalar(at: position).length
      }
    }
    if gap < end { body(gap, end, isInverted) }
  }

  /// The parts, with matches joined to their neighbours.
  private func merged(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> [Range<Int>] {
    var parts: [(range: Range<Int>, isMatch: Bool)] = []
    forEachMatch(text, start, end) { parts.append(($0..<$1, $2)) }
    var result: [Range<Int>] = []
    var previous = false
    switch behavior {
    case .contiguous:
      for part in parts {
        if let last = result.last, part.isMatch == previous {
          result[result.count - 1] = last.lowerBound..<part.range.upperBound
        } else {
          result.append(part.range)
        }
        previous = part.isMatch
      }
    case .mergedWithPrevious:
      for part in parts {
        if let last = result.last, part.isMatch, !previous {
          result[result.count - 1] = last.lowerBound..<part.range.upperBound
        } else {
          result.append(part.range)
        }
        previous = part.isMatch
      }
    case .mergedWithNext:
      for part in parts.reversed() {
        if let last = result.last, part.isMatch, !previous {
          result[result.count - 1] = part.range.lowerBound..<last.upperBound
        } else {
          result.append(part.range)
        }
        previous = part.isMatch
      }
      result.reverse()
    case .isolated, .removed: break
    }
    return result
  }
}
