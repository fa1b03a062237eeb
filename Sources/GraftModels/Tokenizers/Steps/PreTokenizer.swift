/// Cuts normalized text into the words that the model encodes one by one.
struct PreTokenizer: Sendable {
  /// One step over all the pieces that the steps before it left.
  enum Step: Sendable {
    case split(Splitter)
    /// Puts a space before pieces that don't begin with one.
    case prefixSpace
    case metaspace(Metaspace)
  }

  /// SentencePiece's treatment of spaces: they become a marker, and pieces begin with one.
  struct Metaspace: Sendable {
    /// Which pieces get a marker in front.
    enum PrependScheme: String, Sendable {
      case always
      case first
      case never
    }

    var marker: [UInt8]
    var prepends: PrependScheme
    /// Cuts before every marker; nil when the text stays whole.
    var splitter: Splitter?
  }

  var steps: [Step] = []
  /// Whether the words' bytes are spelled with ``ByteAlphabet`` in the vocabulary.
  var isByteLevel = false

  /// The only step, where there is only one and it is a split.
  var soleSplitter: Splitter? {
    if steps.count == 1, case .split(let splitter) = steps[0] { splitter } else { nil }
  }

  /// The words of `text[range]`, as ranges of the text that is returned with them.
  func words(
    of text: [UInt8], in range: Range<Int>, startsText: Bool
  ) -> (text: [UInt8], words: [Range<Int>]) {
    var text = text
    var startsText = startsText
    var pieces = range.isEmpty ? [] : [range]
    for step in steps {
      switch step {
      case .split(let splitter): split(text, &pieces, splitter)
      case .prefixSpace:
        guard pieces.contains(where: { text[$0.lowerBound] != 0x20 }) else { continue }
        rebuild(&text, &pieces, &startsText, origin: range.lowerBound) { piece, _, result in
          if piece.first != 0x20 { result.append(0x20) }
          result += piece
        }
      case .metaspace(let metaspace):
        rebuild(&text, &pieces, &startsText, origin: range.lowerBound) { piece, isFirst, result in
          let start = result.count
          for byte in piece {
            if byte == 0x20 { result += metaspace.marker } else { result.append(byte) }
          }
          let prepends = metaspace.prepends == .always || metaspace.prepends == .first && isFirst
          if prepends, !result[start...].starts(with: metaspace.marker) {
            result.insert(contentsOf: metaspace.marker, at: start)
          }
        }
        if let splitter = metaspace.splitter { split(text, &pieces, splitter) }
      }
    }
    return (text, pieces)
  }

  private func split(_ text: [UInt8], _ pieces: inout [Range<Int>], _ splitter: Splitter) {
    var parts: [Range<Int>] = []
    parts.reserveCapacity(pieces.count * 2)
    let text = text.span
    for piece in pieces {
      splitter.split(text, from: piece.lowerBound, to: piece.upperBound) { parts.append($0..<$1) }
    }
    pieces = parts
  }

  /// Writes every piece anew.
  private func rebuild(
    _ text: inout [UInt8], _ pieces: inout [Range<Int>], _ startsText: inout Bool, origin: Int,
    _ write: (_ piece: ArraySlice<UInt8>, _ isFirst: Bool, _ result: inout [UInt8]) -> Void
  ) {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    startsText = startsText && (pieces.first?.lowerBound == origin || pieces.first?.lowerBound == 0)
    for index in pieces.indices {
      let start = result.count
      write(text[pieces[index]], startsText && index == 0, &result)
      pieces[index] = start..<result.count
    }
    text = result
  }
}
