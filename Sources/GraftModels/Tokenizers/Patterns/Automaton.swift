/// A pattern compiled to a deterministic automaton over classes of code points.
///
/// A state is the ordered list of the threads a backtracking matcher would still try, so the match found is the one
/// that backtracking finds, in one pass. A look-ahead is decided by the class of the next code point, which is known
/// when a transition is taken.
struct Automaton: Sendable {
  /// The class of every code point.
  private let classes: [UInt8]
  /// For every state and class: the next state (0 = none) doubled, plus 1 if a match ends before the code point.
  private let transitions: [UInt32]
  /// Classes and the end of the text.
  private let symbolCount: Int

  private static let maximumStates = 4096
  /// The most transitions, and the most instructions that may be looked at to find them.
  private static let maximumTransitions = 1 << 18
  private static let maximumWork = 1 << 24
  private static let startState = 1

  /// Compiles a pattern.
  /// - Throws: ``PatternError`` when it can match nothing at all or is too big.
  init(_ pattern: Pattern) throws(PatternError) {
    let program = try ThreadProgram(pattern)
    let partition = try ScalarPartition(program.sets)
    classes = partition.classes
    symbolCount = partition.count + 1

    var states: [[Int]] = [[], [program.start]]
    var numbers: [[Int]: Int] = [[]: 0, [program.start]: Self.startState]
    var table = [UInt32](repeating: 0, count: symbolCount)
    var state = Self.startState
    while state < states.count {
      guard table.count + symbolCount <= Self.maximumTransitions,
        table.count <= Self.maximumWork / program.count
      else { throw PatternError(feature: "an expression with this many states") }
      for symbol in 0..<symbolCount {
        let isEnd = symbol == partition.count
        let step = program.step(states[state]) { set, orEnd in
          isEnd ? orEnd : partition.membership[symbol][set]
        }
        if step.matches, state == Self.startState {
          throw PatternError(feature: "an expression that matches the empty text")
        }
        let threads = isEnd ? [] : step.threads
        let number = numbers[threads] ?? states.count
        if number == states.count {
          guard number < Self.maximumStates else {
            throw PatternError(feature: "an expression with this many states")
          }
          numbers[threads] = number
          states.append(threads)
        }
        table.append(UInt32(number) << 1 | (step.matches ? 1 : 0))
      }
      state += 1
    }
    transitions = table
  }

  /// Where the match that begins at `start` ends; nil if none begins there.
  ///
  /// `text[..<end]` is valid UTF-8.
  @inline(__always)
  func match(in text: Span<UInt8>, from start: Int, to end: Int) -> Int? {
    let classes = classes.span
    let transitions = transitions.span
    var state = Self.startState
    var position = start
    var last = -1
    while position < end {
      let byte = text[position]
      let symbol: Int
      let width: Int
      if byte < 0x80 {
        symbol = Int(classes[Int(byte)])
        width = 1
      } else {
        let (scalar, length) = text.scalar(at: position)
        symbol = Int(classes[Int(scalar)])
        width = length
      }
      let transition = transitions[state &* symbolCount &+ symbol]
      if transition & 1 != 0 { last = position }
      state = Int(transition >> 1)
      if state == 0 { return last < 0 ? nil : last }
      position &+= width
    }
    if transitions[state &* symbolCount &+ symbolCount &- 1] & 1 != 0 { last = position }
    return last < 0 ? nil : last
  }
}

extension Span<UInt8> {
  /// The code point that begins at a position of valid UTF-8, and its length in bytes.
  @inline(__always)
  func scalar(at position: Int) -> (value: UInt32, length: Int) {
    let lead = UInt32(self[position])
    if lead < 0x80 { return (lead, 1) }
    let second = UInt32(self[position + 1] & 0x3F)
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, 2) }
    let third = UInt32(self[position + 2] & 0x3F)
    if lead < 0xF0 { return ((lead & 0xF) << 12 | second << 6 | third, 3) }
    let fourth = UInt32(self[position + 3] & 0x3F)
    return ((lead & 7) << 18 | second << 12 | third << 6 | fourth, 4)
  }
}

/// Code points in classes that no set of a pattern tells apart.
private struct ScalarPartition {
  var classes: [UInt8]
  /// For every class, which sets it belongs to.
  var membership: [[Bool]] = []

  var count: Int { membership.count }

  init(_ sets: [ScalarSet]) throws(PatternError) {
    classes = [UInt8](repeating: 0, count: Int(ScalarSet.limit))
    var edges: Set<UInt32> = [0, ScalarSet.limit]
    for set in sets { edges.formUnion(set.bounds) }
    let ordered = edges.sorted()
    var cursors = [Int](repeating: 0, count: sets.count)
    var numbers: [[Bool]: Int] = [:]
    for (low, high) in zip(ordered, ordered.dropFirst()) {
      var signature = [Bool](repeating: false, count: sets.count)
      for (index, set) in sets.enumerated() {
        while cursors[index] < set.bounds.count, set.bounds[cursors[index]] <= low {
          cursors[index] += 1
        }
        signature[index] = cursors[index] & 1 == 1
      }
      let number = numbers[signature] ?? membership.count
      if number == membership.count {
        guard number < 256 else { throw PatternError(feature: "this many sets of characters") }
        numbers[signature] = number
        membership.append(signature)
      }
      if number != 0 { for value in low..<high { classes[Int(value)] = UInt8(number) } }
    }
  }
}
