/// Merges out of scores: SentencePiece joins the neighbours whose joined token scores best, so every way to cut a
/// token into two others is a merge, the best tokens first.
package enum GGUFScoreMerges {
  private struct Merge {
    let score: Float
    let leftLength: Int
    let rightLength: Int
    let left: Int
    let right: Int
  }

  /// The longest token that is looked for in two others, in bytes; longer ones are found whole, or not at all.
  private static let longest = 512

  /// The merges that scores stand for; nil where their bytes are more than any real table's.
  package static func merges(_ tokens: [String], _ scores: [Float]) -> [(String, String)]? {
    var room = tokens.reduce(8 << 20) { $0 + 16 * $1.utf8.count }
    let bytes = tokens.map { Array($0.utf8) }
    let ids = Dictionary(
      bytes.enumerated().map { ($1[...], $0) }, uniquingKeysWith: { first, _ in first })
    var merges: [Merge] = []
    for (id, token) in bytes.enumerated() where token.count <= longest {
      let starts = token.indices.filter { token[$0] & 0xC0 != 0x80 }
      let first = merges.count
      for (position, cut) in starts.enumerated().dropFirst() {
        guard let left = ids[token[..<cut]], let right = ids[token[cut...]] else { continue }
        room -= token.count
        guard room >= 0 else { return nil }
        merges.append(
          Merge(
            score: scores[id], leftLength: position, rightLength: starts.count - position,
            left: left, right: right))
      }
      merges[first...].sort { ($0.left, $0.right) < ($1.left, $1.right) }
    }
    // Equal ones stay in order: positions break ties.
    let order = merges.indices.sorted { left, right in
      let (a, b) = (merges[left], merges[right])
      if a.score != b.score { return a.score > b.score }
      if a.leftLength != b.leftLength { return a.leftLength > b.leftLength }
      if a.rightLength != b.rightLength { return a.rightLength > b.rightLength }
      return left < right
    }
    return order.map { (tokens[merges[$0].left], tokens[merges[$0].right]) }
  }
}
