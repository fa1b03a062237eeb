/// Rows of text with aligned columns.
struct Table {
  private let rows: [[String]]
  private let rightAligned: Set<Int>
  private let widths: [Int]

  init(_ rows: [[String]], rightAligned: Set<Int> = []) {
    self.rows = rows
    self.rightAligned = rightAligned
    var widths: [Int] = []
    for row in rows {
      for (column, text) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], DisplayWidth.of(text))
      }
    }
    self.widths = widths
  }

  /// The columns of the longest line that there may be.
  var width: Int { widths.reduce(0) { $0 + $1 + 2 } - 2 }

  /// The lines, without blanks at their ends.
  var lines: [String] { rows.map(line) }

  private func line(_ row: [String]) -> String {
    var line = ""
    // Blanks are written before what follows them, so that none stand at the end.
    var blanks = 0
    for (column, text) in row.enumerated() {
      let room = widths[column] - DisplayWidth.of(text)
      if rightAligned.contains(column) { blanks += room }
      if !text.isEmpty {
        line += String(repeating: " ", count: blanks)
        line += text
        blanks = 0
      }
      if !rightAligned.contains(column) { blanks += room }
      blanks += 2
    }
    return line
  }
}
