internal import GraftFormats

/// Which files of a directory are the shards of one checkpoint, told from their names and the index.
struct ShardChoice {
  /// The files that belong together, sorted; some may be missing.
  private(set) var names: [String] = []
  /// Those that aren't there.
  private(set) var missing: [String] = []
  /// The names' common beginning, which the index shares.
  private(set) var stem = "model"
  /// Why the files can't be told apart, if they can't.
  private(set) var ambiguity: String?
  /// What an index names that isn't followed, in words; nil when it is followed, or there is none.
  private(set) var abandonedIndex: String?

  /// `stem-00001-of-00003.safetensors`.
  private struct Series: Hashable {
    let stem: String
    let count: Int

    var names: [String] {
      (1...count).map { "\(stem)-\(Self.padded($0))-of-\(Self.padded(count)).safetensors" }
    }

    private static func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }

    init?(_ name: String) {
      let ending = ".safetensors"
      guard name.hasSuffix(ending) else { return nil }
      let parts = name.dropLast(ending.count).split(
        separator: "-", omittingEmptySubsequences: false)
      guard parts.count >= 4, parts[parts.count - 2] == "of",
        let count = Int(parts[parts.count - 1]), (1...10_000).contains(count),
        let number = Int(parts[parts.count - 3]), (1...count).contains(number)
      else { return nil }
      stem = parts.dropLast(3).joined(separator: "-")
      self.count = count
      guard names[number - 1] == name else { return nil }
    }
  }

  init(files: [String], index: ShardIndex?) {
    let present = Set(files)
    let series = Set(files.compactMap(Series.init)).sorted {
      ($0.stem, $0.count) < ($1.stem, $1.count)
    }
    let whole = series.filter { $0.names.allSatisfy(present.contains) }
    let singles = files.filter { Series($0) == nil }
    if let index {
      let absent = index.shards.filter { !present.contains($0) }
      if absent.isEmpty {
        // A series that the index names a part of is meant as a whole.
        let meant = Set(index.shards.compactMap(Series.init)).flatMap(\.names)
        take(Set(index.shards).union(meant), present)
        return
      }
      // An index of files that are gone was left by an earlier save, if there is something whole beside it.
      let gone =
        "names \(absent[0].escapedShortened), which isn't there; "
        + "\(Quantity.of(absent.count, "file")) missing of \(index.shards.count)"
      if whole.count == 1, !whole[0].names.contains(where: index.shards.contains) {
        abandonedIndex = gone
        take(Set(whole[0].names), present)
        stem = whole[0].stem
      } else if whole.isEmpty, singles.count == 1, !index.shards.contains(singles[0]) {
        abandonedIndex = gone
        take([singles[0]], present)
      } else {
        take(Set(index.shards), present)
      }
      return
    }
    switch (whole.count, singles.count) {
    case (1, 0):
      stem = whole[0].stem
      take(Set(whole[0].names), present)
    case (0, 1) where series.isEmpty: take([singles[0]], present)
    case (0, 0) where series.count == 1:
      stem = series[0].stem
      take(Set(series[0].names), present)
    case (0, 0) where series.isEmpty: ambiguity = "no safetensors files"
    default:
      let found = whole.map { "\($0.stem) in \(Quantity.of($0.count, "shard"))" } + singles
      ambiguity =
        "without an index nothing tells which files are the checkpoint, found "
        + (found.isEmpty ? files : found).prefix(4).map(\.escapedShortened).joined(
          separator: ", ")
    }
  }

  private mutating func take(_ chosen: Set<String>, _ present: Set<String>) {
    names = chosen.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    missing = names.filter { !present.contains($0) }
  }
}
