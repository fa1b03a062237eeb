/// Decisions taken from an input's bytes, one after the other; when they are used up, the first of what there is to choose from.
struct Choices {
  private var bytes: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  /// A number below a count of at most 256.
  mutating func next(_ count: Int) -> Int { Int(bytes.popFirst() ?? 0) % max(count, 1) }

  /// Whether something is so that happens once in a number of cases.
  mutating func isOneIn(_ count: Int) -> Bool { next(count) == count - 1 }

  /// One of some values.
  mutating func pick<Value>(_ values: [Value]) -> Value { values[next(values.count)] }

  /// A number of up to three bytes.
  mutating func place(below count: Int) -> Int {
    (next(256) << 16 | next(256) << 8 | next(256)) % max(count, 1)
  }
}
