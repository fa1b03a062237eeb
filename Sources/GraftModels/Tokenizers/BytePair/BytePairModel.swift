/// Byte-pair encoding: a word begins as its smallest symbols, and the neighbours of the lowest rank merge first.
struct BytePairModel: Sendable {
  /// What the model's smallest symbols are.
  enum Alphabet: Sendable {
    /// Bytes: the id of each, -1 where the vocabulary lacks one. Words are spelled with ``ByteAlphabet`` in the vocabulary.
    case bytes([Int32])
    /// Code points: the id of those of the basic plane, -1 where the vocabulary lacks one.
    case scalars([Int32])
  }

  let vocabulary: TokenTable
  let merges: MergeTable
  let alphabet: Alphabet
  /// The ids of `<0x00>`…`<0xFF>`, -1 where missing; empty without byte fallback.
  let fallback: [Int32]
  let unknown: Int32?
  let fusesUnknown: Bool
  /// Whether a word that is a token is that token, whatever the merges say.
  let ignoresMerges: Bool
  /// Whether no merge joins a character and a following ▁, so that words may be cut there without changing the result.
  let cutsAtMarker: Bool

  /// Buffers for one text at a time.
  struct Workspace: Sendable {
    var cache = WordCache()
    fileprivate var symbols: [Int32] = []
    fileprivate var merges: [UInt64] = []
    fileprivate var queue = MergeQueue()
  }

  private static let longestScan = 40

  /// Appends the ids of one word.
  @inline(__always)
  func encode(_ word: Span<UInt8>, _ workspace: inout Workspace, to output: inout [Int32]) {
    guard word.count <= WordCache.longestWord else {
      return encodeLong(word, &workspace, to: &output)
    }
    let key = WordCache.key(of: word)
    if workspace.cache.append(key, to: &output) { return }
    let start = output.count
    encodeAnew(word, &workspace, to: &output)
    workspace.cache.insert(key, output[start...])
  }

  @inline(never)
  private func encodeLong(
    _ word: Span<UInt8>, _ workspace: inout Workspace, to output: inout [Int32]
  ) {
    guard cutsAtMarker, !ignoresMerges else {
      return encodeAnew(word, &workspace, to: &output)
    }
    var start = 0
    var position = 3
    while position + 3 <= word.count {
      if word.hasMarker(at: position), !word.hasMarker(at: position - 3) {
        encodePart(word.extracting(start..<position), &workspace, to: &output)
        start = position
        position += 3
      } else {
        position += 1
      }
    }
    encodePart(word.extracting(start..<word.count), &workspace, to: &output)
  }

  private func encodePart(
    _ part: Span<UInt8>, _ workspace: inout Workspace, to output: inout [Int32]
  ) {
    part.count <= WordCache.longestWord
      ? encode(part, &workspace, to: &output) : encodeAnew(part, &workspace, to: &output)
  }

  // MARK: - Merging

  @inline(never)
  private func encodeAnew(
    _ word: Span<UInt8>, _ workspace: inout Workspace, to output: inout [Int32]
  ) {
    if ignoresMerges, let id = wholeWord(word) { return output.append(id) }
    workspace.symbols.removeAll(keepingCapacity: true)
    split(word, into: &workspace.symbols)
    if workspace.symbols.count <= Self.longestScan {
      mergeByScanning(&workspace.symbols, &workspace.merges)
    } else {
      workspace.queue.merge(&workspace.symbols, by: merges)
    }
    output += workspace.symbols
  }

  private func wholeWord(_ word: Span<UInt8>) -> Int32? {
    guard case .bytes = alphabet else { return vocabulary.id(of: word) }
    var spelled: [UInt8] = []
    for index in word.indices { ByteAlphabet.append(word[index], to: &spelled) }
    return vocabulary.id(of: spelled.span)
  }

  /// Merges by looking for the lowest rank again after every merge: quickest for the few symbols of a word.
  private func mergeByScanning(_ word: inout [Int32], _ wordPairs: inout [UInt64]) {
    var count = word.count
    guard count > 1 else { return }
    wordPairs.removeAll(keepingCapacity: true)
    for index in 1..<count { wordPairs.append(merges.merge(word[index - 1], word[index])) }
    var symbols = word.mutableSpan
    var pairs = wordPairs.mutableSpan
    while count > 1 {
      var best = 0
      var lowest = pairs[0]
      for index in 1..<max(1, count - 1) where pairs[index] < lowest {
        lowest = pairs[index]
        best = index
      }
      guard lowest != MergeTable.none else { break }
      symbols[best] = Int32(truncatingIfNeeded: lowest)
      count -= 1
      for index in best + 1..<max(best + 1, count) {
        symbols[index] = symbols[index + 1]
        pairs[index - 1] = pairs[index]
      }
      if best > 0 { pairs[best - 1] = merges.merge(symbols[best - 1], symbols[best]) }
      if best + 1 < count { pairs[best] = merges.merge(symbols[best], symbols[best + 1]) }
    }
    word.removeLast(word.count - count)
  }

  // MARK: - The smallest symbols

  private func split(_ word: Span<UInt8>, into symbols: inout [Int32]) {
    var pendingUnknown = false
    switch alphabet {
    case .bytes(let ids):
      for index in word.indices {
        add(ids[Int(word[index])], word, index, 1, &pendingUnknown, &symbols)
      }
    case .scalars(let ids):
      var position = 0
      while position < word.count {
        let (scalar, length) = word.scalar(at: position)
        let id =
          scalar < 0x10000
          ? ids[Int(scalar)]
          : vocabulary.id(of: word.extracting(position..<position + length)) ?? -1
        add(id, word, position, length, &pendingUnknown, &symbols)
        position += length
      }
    }
    if pendingUnknown, let unknown { symbols.append(unknown) }
  }

  /// Adds one symbol; an unknown one becomes its bytes' tokens, or waits as the unknown token for its neighbours.
  private func add(
    _ id: Int32, _ word: Span<UInt8>, _ position: Int, _ length: Int,
    _ pendingUnknown: inout Bool, _ symbols: inout [Int32]
  ) {
    if id >= 0 {
      if pendingUnknown, let unknown { symbols.append(unknown) }
      pendingUnknown = false
      symbols.append(id)
      return
    }
    if !fallback.isEmpty {
      let start = symbols.count
      for index in position..<position + length {
        let byteID = fallback[Int(word[index])]
        if byteID < 0 { break }
        symbols.append(byteID)
      }
      if symbols.count == start + length { return }
      symbols.removeLast(symbols.count - start)
    }
    guard let unknown else { return }
    if pendingUnknown, !fusesUnknown { symbols.append(unknown) }
    pendingUnknown = true
  }
}

extension Span<UInt8> {
  /// Whether ▁ stands at a position.
  @inline(__always)
  func hasMarker(at position: Int) -> Bool {
    position >= 0 && position + 3 <= count && self[position] == 0xE2
      && self[position + 1] == 0x96 && self[position + 2] == 0x81
  }
}
