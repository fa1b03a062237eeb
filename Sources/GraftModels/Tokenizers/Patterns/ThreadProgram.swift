/// A pattern as instructions for threads, as in Thompson's construction, with priorities.
struct ThreadProgram {
  private enum Instruction {
    /// Consumes a code point of a set.
    case scalar(set: Int, next: Int)
    /// Goes both ways, the first one first.
    case fork(Int, Int)
    case lookahead(set: Int, orEnd: Bool, next: Int)
    case match
  }

  private var instructions: [Instruction] = [.match]
  private(set) var sets: [ScalarSet] = []
  private(set) var start = 0
  /// The parts of the pattern that were compiled, repeated ones again each time: those that are empty make no instruction.
  private var partCount = 0

  private static let maximumLength = 20_000

  /// The number of instructions.
  var count: Int { instructions.count }

  init(_ pattern: Pattern) throws(PatternError) {
    start = try compile(pattern, next: 0)
  }

  /// What happens to threads when the next symbol is met: the threads after it, in order, and whether a match ends before it.
  func step(
    _ threads: [Int], belongs: (_ set: Int, _ orEnd: Bool) -> Bool
  ) -> (threads: [Int], matches: Bool) {
    var visited = [Bool](repeating: false, count: instructions.count)
    var result: [Int] = []
    var isListed = [Bool](repeating: false, count: instructions.count)
    var pending = Array(threads.reversed())
    while let index = pending.popLast() {
      if visited[index] { continue }
      visited[index] = true
      switch instructions[index] {
      case .match: return (result, true)
      case .fork(let first, let second): pending += [second, first]
      case .lookahead(let set, let orEnd, let next):
        if belongs(set, orEnd) { pending.append(next) }
      case .scalar(let set, let next):
        if belongs(set, false), !isListed[next] {
          isListed[next] = true
          result.append(next)
        }
      }
    }
    return (result, false)
  }

  // MARK: - Compilation, from the end to the beginning

  private mutating func compile(_ pattern: Pattern, next: Int) throws(PatternError) -> Int {
    partCount += 1
    guard partCount <= 2 * Self.maximumLength else {
      throw PatternError(feature: "an expression of this length")
    }
    switch pattern {
    case .empty: return next
    case .scalar(let set): return try add(.scalar(set: number(set), next: next))
    case .lookahead(let set, let orEnd):
      return try add(.lookahead(set: number(set), orEnd: orEnd, next: next))
    case .sequence(let parts):
      var entry = next
      for part in parts.reversed() { entry = try compile(part, next: entry) }
      return entry
    case .alternatives(let choices):
      var entry: Int?
      for choice in choices.reversed() {
        let first = try compile(choice, next: next)
        entry = if let entry { try add(.fork(first, entry)) } else { first }
      }
      return entry ?? next
    case .repetition(let part, let minimum, let maximum, let greedy):
      var entry = next
      if let maximum {
        for _ in minimum..<maximum {
          let body = try compile(part, next: entry)
          entry = try add(greedy ? .fork(body, next) : .fork(next, body))
        }
      } else {
        let loop = try add(.match)
        let body = try compile(part, next: loop)
        instructions[loop] = greedy ? .fork(body, next) : .fork(next, body)
        entry = loop
      }
      for _ in 0..<minimum { entry = try compile(part, next: entry) }
      return entry
    }
  }

  private mutating func add(_ instruction: Instruction) throws(PatternError) -> Int {
    guard instructions.count < Self.maximumLength else {
      throw PatternError(feature: "an expression of this length")
    }
    instructions.append(instruction)
    return instructions.count - 1
  }

  private mutating func number(_ set: ScalarSet) -> Int {
    if let known = sets.firstIndex(of: set) { return known }
    sets.append(set)
    return sets.count - 1
  }
}
