extension JSONScanner {
  /// The members of the object that was opened last, all of them texts; the scanner stands behind them afterwards.
  ///
  /// They are checked and counted before one is made, so that a million of them take no more memory than they need.
  /// - Parameter other: Makes the error for a value that is no text.
  package mutating func textMembers(
    other: (JSONScanner, JSONToken) -> StorageError
  ) throws(StorageError) -> [MetadataEntry] {
    var again = self
    let count = try countTextMembers(other)
    var entries: [MetadataEntry] = []
    entries.reserveCapacity(count)
    for _ in 0..<count {
      let (key, value) = (try again.next(), try again.next())
      entries.append(MetadataEntry(key: again.text(of: key), value: again.text(of: value)))
    }
    return entries
  }

  private mutating func countTextMembers(
    _ other: (JSONScanner, JSONToken) -> StorageError
  ) throws(StorageError) -> Int {
    var keys = JSONKeySet()
    while true {
      let key = try next()
      guard key.kind == .key else { return keys.count }
      guard keys.insert(key, of: self) else { throw repeated(key) }
      let value = try next()
      guard value.kind == .string else { throw other(self, value) }
    }
  }
}
