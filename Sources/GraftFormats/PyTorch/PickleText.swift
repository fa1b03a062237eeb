internal import GraftCore

/// Spells a value as JSON, up to a number of bytes; what goes beyond is left away.
struct PickleText {
  /// The text so far.
  private(set) var result = ""
  private let machine: PickleMachine
  private let limit: Int
  /// Whether something was left away.
  private(set) var isCut = false
  /// Whether there was no room for more.
  private(set) var isFull = false
  /// The containers that are being spelled, also those of which this is a key.
  private var depth: Int

  /// Containers deeper than this are left away: keys may hold dictionaries with such keys, and each has room of its own.
  private static let maximumDepth = 65

  init(_ machine: PickleMachine, limit: Int, depth: Int = 0) {
    self.machine = machine
    self.limit = limit
    self.depth = depth
  }

  /// Adds a value; text at the top stands without quotes.
  mutating func append(_ value: PickleValue) {
    if case .text(let slice) = value {
      write(machine.text(PickleSlice(slice.range.prefix(limit + 1))))
    } else {
      appendQuoted(value)
    }
    if isFull { result += "…" }
    isCut = isCut || isFull
  }

  private mutating func write(_ text: String) {
    guard !isFull else { return }
    guard result.utf8.count + text.utf8.count <= limit else {
      isFull = true
      return
    }
    result += text
  }

  private mutating func appendQuoted(_ value: PickleValue) {
    guard !isFull else { return }
    guard depth < Self.maximumDepth else {
      isCut = true
      return write("\"…\"")
    }
    depth += 1
    defer { depth -= 1 }
    switch value {
    case .none: write("null")
    case .boolean(let flag): write(flag ? "true" : "false")
    case .integer(let number): write("\(number)")
    case .wideInteger: write("\"a long integer\"")
    case .real(let number): write(number.isFinite ? "\(number)" : "\"\(number)\"")
    case .text(let slice):
      var quoted = ""
      JSONValue.quote(machine.text(PickleSlice(slice.range.prefix(limit + 1))), to: &quoted)
      write(quoted)
    case .bytes(let slice): write("\"\(slice.count) bytes\"")
    case .tuple, .list:
      write("[")
      for (position, item) in (machine.elements(value) ?? []).enumerated() where !isFull {
        if position > 0 { write(",") }
        appendQuoted(item)
      }
      write("]")
    case .dictionary(let place):
      write("{")
      for (position, entry) in machine.dictionaries[Int(place)].entries.enumerated() where !isFull {
        if position > 0 { write(",") }
        appendKey(entry.key)
        write(":")
        appendQuoted(entry.value)
      }
      write("}")
    case .set(let place):
      appendQuoted(.list(place))
    case .global, .storage, .tensor: write("\"a class\"")
    case .other(let place): write("\"\(machine.words[Int(place)])\"")
    }
  }

  private mutating func appendKey(_ key: PickleValue) {
    if case .text = key { return appendQuoted(key) }
    var inner = PickleText(machine, limit: 64, depth: depth)
    inner.append(key)
    isCut = isCut || inner.isCut
    var quoted = ""
    JSONValue.quote(inner.result, to: &quoted)
    write(quoted)
  }
}
