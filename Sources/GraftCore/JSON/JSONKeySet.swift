/// The keys that an object has so far, as places in the text: a million of them are no strings.
package struct JSONKeySet: Sendable {
  /// Where a key stands; the count is negative where it has escapes.
  private struct Place {
    let start: Int
    let count: Int
  }

  private var places: [Place] = []
  private var table = NameTable()

  /// No keys.
  package init() {}

  /// How many keys there are.
  package var count: Int { places.count }

  /// The keys in the order of the text.
  package subscript(position: Int) -> JSONToken {
    let place = places[position]
    return JSONToken(
      .key, place.start..<place.start + abs(place.count), hasEscapes: place.count < 0)
  }

  /// Adds a key; false where one that stands for the same bytes is there.
  package mutating func insert(_ key: JSONToken, of scanner: JSONScanner) -> Bool {
    let hash = scanner.hash(of: key)
    let known = table.position(hash) { scanner.haveSameContents(self[$0], key) }
    guard known == nil else { return false }
    table.add(hash, at: places.count)
    places.append(
      Place(
        start: key.range.lowerBound, count: key.hasEscapes ? -key.range.count : key.range.count))
    return true
  }
}

extension JSONScanner {
  /// The error for a key that stood in its object before.
  package func repeated(_ key: JSONToken) -> StorageError {
    .repeated(
      text(of: key), rule: "json J-11", file: file, offset: base + key.range.lowerBound)
  }

  /// The hash of what a key or string stands for.
  fileprivate func hash(of token: JSONToken) -> UInt32 {
    token.hasEscapes
      ? NameTable.hash(contents(of: token))
      : bytes.withRawBytes { NameTable.hash($0.extracting(token.range)) }
  }

  /// Whether two keys or strings stand for the same bytes.
  package func haveSameContents(_ left: JSONToken, _ right: JSONToken) -> Bool {
    guard !left.hasEscapes, !right.hasEscapes else {
      return contents(of: left) == contents(of: right)
    }
    guard left.range.count == right.range.count else { return false }
    let span = bytes.span
    for place in 0..<left.range.count
    where span[left.range.lowerBound + place] != span[right.range.lowerBound + place] {
      return false
    }
    return true
  }
}
