/// The names closest to a misspelt one, for the last line of an error.
///
/// Close means a Levenshtein distance of at most a third of the name. Whole paths and last components both count,
/// so `qproj` finds `q_proj` among `model.layers.0.self_attn.q_proj`.
package func nearestNames(to name: String, among candidates: some Sequence<String>, limit: Int = 3)
  -> [String]
{
  let wanted = Array(name.utf8)
  let wholePath = name.contains(".")
  var best: [String: Int] = [:]
  for path in candidates {
    let candidate =
      wholePath ? path : path.split(separator: ".").last.map(String.init) ?? path
    let (count, most) = (candidate.utf8.count, max(wanted.count, candidate.utf8.count))
    // The distance is at least the difference in length, and takes the product of both to find.
    guard best[candidate] == nil, abs(wanted.count - count) * 3 <= most else { continue }
    let distance = editDistance(wanted, Array(candidate.utf8))
    if distance * 3 <= most { best[candidate] = distance }
  }
  return best.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.prefix(limit).map(\.key)
}

/// The Levenshtein distance between two byte strings.
package func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
  var row = Array(0...right.count)
  for (i, byte) in left.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, other) in right.enumerated() {
      let substituted = diagonal + (byte == other ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, diagonal + 1, row[j] + 1)
    }
  }
  return row[right.count]
}
