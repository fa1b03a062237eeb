/// A compiled ``ModulePattern``: instructions whose alternatives are followed all at once.
struct PatternProgram: Sendable {
  /// The most parts a program is compiled from; repetition counts in a hostile pattern multiply.
  static let maximumPartCount = 20_000
  /// What a part inside a look-ahead counts as: it may be tried at every place of a text, and from there on to the end.
  private static let lookWeight = 20

  indirect enum Instruction: Sendable {
    case byte(ByteSet)
    case split(Int, Int)
    case jump(Int)
    case start
    case end
    /// What comes next, by a program with a number that no other one has.
    case look(PatternProgram, Int, negated: Bool)
    case accept
  }

  private var instructions: [Instruction] = []
  /// The parts, those in look-aheads by their weight.
  private(set) var partCount: Int
  private let weight: Int

  init(_ text: String) throws(AdapterError) {
    var parser = PatternParser(text)
    try self.init(compiling: try parser.parse(), of: text, weight: 1, after: 0)
  }

  private init(
    compiling node: PatternNode, of text: String, weight: Int, after partCount: Int
  ) throws(AdapterError) {
    self.weight = weight
    self.partCount = partCount
    try emit(node, of: text)
    instructions.append(.accept)
  }

  private mutating func emit(_ node: PatternNode, of text: String) throws(AdapterError) {
    partCount += weight
    guard partCount <= Self.maximumPartCount else {
      throw AdapterError(
        .invalidPattern(pattern: text, position: 0, problem: "its repetitions are too many"))
    }
    switch node {
    case .bytes(let set): instructions.append(.byte(set))
    case .start: instructions.append(.start)
    case .end: instructions.append(.end)
    case .sequence(let parts): for part in parts { try emit(part, of: text) }
    case .look(let inner, let negated):
      let program = try PatternProgram(
        compiling: inner, of: text, weight: Self.lookWeight, after: partCount)
      instructions.append(.look(program, partCount, negated: negated))
      partCount = program.partCount
    case .choice(let branches):
      var jumps: [Int] = []
      for branch in branches.dropLast() {
        let split = reserve()
        try emit(branch, of: text)
        jumps.append(reserve())
        instructions[split] = .split(split + 1, instructions.count)
      }
      if let last = branches.last { try emit(last, of: text) }
      for jump in jumps { instructions[jump] = .jump(instructions.count) }
    case .repeated(let inner, let minimum, let maximum):
      for _ in 0..<minimum { try emit(inner, of: text) }
      if let maximum {
        var splits: [Int] = []
        for _ in minimum..<maximum {
          splits.append(reserve())
          try emit(inner, of: text)
        }
        for split in splits { instructions[split] = .split(split + 1, instructions.count) }
      } else {
        let split = reserve()
        try emit(inner, of: text)
        instructions.append(.jump(split))
        instructions[split] = .split(split + 1, instructions.count)
      }
    }
  }

  private mutating func reserve() -> Int {
    instructions.append(.accept)
    return instructions.count - 1
  }

  /// Whether the program accepts a whole text.
  func matches(_ text: [UInt8]) -> Bool {
    var looks: [Look: Bool] = [:]
    return matches(text, from: 0, toEnd: true, &looks)
  }

  /// A place that a look-ahead was tried at; look-aheads in look-aheads would be tried there again and again.
  private struct Look: Hashable {
    let number: Int
    let position: Int
  }

  /// Whether some run of the program from `position` accepts, at the end of the text if asked so.
  private func matches(
    _ text: [UInt8], from position: Int, toEnd: Bool, _ looks: inout [Look: Bool]
  ) -> Bool {
    var threads: [Int] = []
    var seen = [Int](repeating: -1, count: instructions.count)
    var accepted = follow(0, at: position, in: text, into: &threads, &seen, &looks)
    for index in position..<text.count {
      if accepted, !toEnd { return true }
      if threads.isEmpty { return false }
      accepted = false
      let current = threads
      threads.removeAll(keepingCapacity: true)
      for thread in current {
        guard case .byte(let set) = instructions[thread], set.contains(text[index]) else {
          continue
        }
        if follow(thread + 1, at: index + 1, in: text, into: &threads, &seen, &looks) {
          accepted = true
        }
      }
    }
    return accepted
  }

  /// Adds the byte instructions reachable from `first` without consuming a byte; true when `accept` is reached.
  private func follow(
    _ first: Int, at position: Int, in text: [UInt8], into threads: inout [Int],
    _ seen: inout [Int], _ looks: inout [Look: Bool]
  ) -> Bool {
    var accepted = false
    var pending = [first]
    while let index = pending.popLast() {
      guard seen[index] != position else { continue }
      seen[index] = position
      switch instructions[index] {
      case .byte: threads.append(index)
      case .jump(let target): pending.append(target)
      case .split(let left, let right): pending += [right, left]
      case .start: if position == 0 { pending.append(index + 1) }
      case .end: if position == text.count { pending.append(index + 1) }
      case .look(let program, let number, let negated):
        let look = Look(number: number, position: position)
        let found =
          looks[look] ?? program.matches(text, from: position, toEnd: false, &looks)
        looks[look] = found
        if found != negated { pending.append(index + 1) }
      case .accept: accepted = true
      }
    }
    return accepted
  }
}

/// A parsed regular expression.
indirect enum PatternNode {
  case bytes(ByteSet)
  case sequence([PatternNode])
  case choice([PatternNode])
  case repeated(PatternNode, minimum: Int, maximum: Int?)
  case look(PatternNode, negated: Bool)
  case start
  case end

  /// One character; a set with bytes above ASCII, so a complement, accepts every character above ASCII whole.
  static func character(in set: ByteSet) -> PatternNode {
    guard set.contains(0x80) else { return .bytes(set) }
    let ascii = ByteSet(bytes: (0...0x7F).filter(set.contains))
    let tail = PatternNode.bytes(ByteSet(0x80...0xBF))
    return .choice([
      .bytes(ascii),
      .sequence([.bytes(ByteSet(0xC2...0xDF)), tail]),
      .sequence([.bytes(ByteSet(0xE0...0xEF)), tail, tail]),
      .sequence([.bytes(ByteSet(0xF0...0xF4)), tail, tail, tail]),
    ])
  }
}
