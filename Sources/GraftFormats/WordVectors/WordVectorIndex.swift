internal import GraftCore
internal import GraftKernels
internal import Synchronization

/// Where the rows of a word-vector file stand, found in one pass over it: every some ten thousand bytes the place of a row.
///
/// The pass checks lines, words and counts; numbers are read, and checked, when they are asked for. Of rows with one word
/// the first counts. The memory is bounded whatever the file's size, but for the places of repeated words.
final class WordVectorIndex: Sendable {
  let start: WordVectorStart
  let options: WordVectorOptions
  /// The rows that count.
  let rowCount: Int
  /// The bytes of the words of the rows that count.
  let wordByteCount: Int
  /// Where the rows stand whose word has come before, in order.
  let repeatedOffsets: [Int]
  private let blocks: [Block]

  /// A place where a row begins, and what comes before it.
  struct Block {
    /// The byte of the file.
    var offset: Int
    /// The rows before that count.
    var row: Int
    /// All rows before.
    var fileRow: Int
    /// The number of the line, from 1.
    var line: Int
    /// The repeated rows before.
    var repeated: Int
  }

  private static let leastBlockByteCount = 1 << 16
  private static let mostBlocks = 1 << 16
  private static let blocksInChunk = 16

  /// Looks through a file.
  ///
  /// - Throws: ``StorageError`` for a broken rule, with the line of a text and the byte.
  init(
    path: String, format: WordVectorFormat?, options: WordVectorOptions
  ) throws(StorageError) {
    let file = try InputFile(path: path)
    let start = try WordVectorStart(file, format: format, options: options)
    guard file.byteCount < options.limits.wordVectorBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a file (word-vectors W-7)", maximum: options.limits.wordVectorBytes,
          found: "\(file.byteCount)"), file: path)
    }
    let dataByteCount = file.byteCount - start.firstRow
    let blockByteCount = max(Self.leastBlockByteCount, dataByteCount / Self.mostBlocks + 1)
    // Binary rows are found one from the other.
    let chunkByteCount =
      start.format == .word2vecBinary ? max(dataByteCount, 1) : blockByteCount * Self.blocksInChunk
    let chunks = stride(from: start.firstRow, to: file.byteCount, by: chunkByteCount).map {
      $0..<min($0 + chunkByteCount, file.byteCount)
    }
    let scan = ChunkScan(
      start: start, options: options, blockByteCount: blockByteCount, chunks: chunks)
    var shareCount = 1
    var findings = try scan.run(share: 0, of: 1)
    // A table for all words has no room for them: look again, at a share of them at a time.
    while findings.repeated.isFull {
      shareCount = max(shareCount * 2, findings.rowCount * 2 / options.limits.wordTablePlaces + 1)
      findings.forgetRepeated()
      for share in 0..<shareCount {
        let part = try scan.run(share: share, of: shareCount)
        findings.add(part)
        if findings.repeated.isFull { break }
      }
    }
    try findings.check(scan)
    let repeatedOffsets = findings.repeated.offsets.sorted()
    var blocks = findings.blocks
    var repeated = 0
    for position in blocks.indices {
      while repeated < repeatedOffsets.count, repeatedOffsets[repeated] < blocks[position].offset {
        repeated += 1
      }
      blocks[position].repeated = repeated
      blocks[position].row -= repeated
    }
    self.start = start
    self.options = options
    self.blocks = blocks
    self.repeatedOffsets = repeatedOffsets
    rowCount = findings.rowCount - repeatedOffsets.count
    wordByteCount = findings.wordByteCount - findings.repeated.byteCount
  }

  /// The last block that begins at or before a row.
  func block(of row: Int) -> Block? {
    var (low, high) = (0, blocks.count)
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].row <= row { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? blocks[low - 1] : nil
  }
}

/// The pass over a file, chunk by chunk on all cores.
private struct ChunkScan: Sendable {
  let start: WordVectorStart
  let options: WordVectorOptions
  let blockByteCount: Int
  let chunks: [Range<Int>]

  /// Looks at every chunk, and puts together what was found.
  func run(share: Int, of shareCount: Int) throws(StorageError) -> Findings {
    let repeated = Mutex(
      RepeatedWords(
        share: share, of: shareCount, expecting: expectedCount / shareCount,
        capacity: options.limits.wordTablePlaces))
    let found = Mutex([Chunk?](repeating: nil, count: chunks.count))
    let failures = Mutex<[Int: StorageError]>([:])
    let next = Atomic<Int>(0)
    let threadCount = max(1, min(options.threadCount ?? ThreadPool.processorCount, chunks.count))
    ThreadPool(threadCount: threadCount).run(count: threadCount) { _, _ in
      while failures.withLock({ $0.isEmpty }) {
        let position = next.add(1, ordering: .relaxed).oldValue
        guard position < chunks.count else { return }
        do throws(StorageError) {
          let chunk = try self.chunk(position, line: start.firstLine, row: 0) { words in
            repeated.withLock { table in
              for word in words {
                table.insert(word.hash, offset: word.offset, wordByteCount: word.byteCount)
              }
            }
          }
          found.withLock { $0[position] = chunk }
        } catch {
          failures.withLock { $0[position] = error }
        }
      }
    }
    let failure = failures.withLock { $0.min { $0.key < $1.key } }
    var findings = Findings(repeated: repeated.withLock { $0 }, firstLine: start.firstLine)
    for (position, part) in found.withLock({ $0 }).enumerated() {
      if let failure, position == failure.key {
        // Looked at again, now that the numbers of its rows and lines are known.
        _ = try chunk(position, line: findings.nextLine, row: findings.rowCount) { _ in }
        throw failure.value
      }
      if let part { findings.append(part) }
    }
    return findings
  }

  /// The rows that a file of this size may have, by those at its beginning.
  private var expectedCount: Int {
    if let declared = start.declaredCount { return declared }
    // A number has a blank and five characters or so.
    return (start.file.byteCount - start.firstRow) / (start.dimensions * 6 + 8) + 1
  }

  /// Looks at the rows that begin in a chunk, and hands their words out some at a time.
  func chunk(
    _ position: Int, line: Int, row: Int, _ take: ([Word]) -> Void
  ) throws(StorageError) -> Chunk {
    let range = chunks[position]
    // A line that begins before the chunk belongs to the one before.
    let begin = position == 0 ? range.lowerBound : range.lowerBound - 1
    var rows = WordVectorRows(start, at: begin, line: line, count: row, options: options)
    if position > 0 { try rows.skipLine() }
    var chunk = Chunk()
    var words: [Word] = []
    var nextBlock = range.lowerBound
    while try rows.next(before: range.upperBound) {
      if rows.offset >= nextBlock {
        chunk.blocks.append(
          WordVectorIndex.Block(
            offset: rows.offset, row: chunk.rowCount, fileRow: chunk.rowCount,
            line: rows.line - 1 - line, repeated: 0))
        nextBlock = rows.offset + blockByteCount
      }
      let word = try rows.word()
      words.append(
        Word(
          hash: RepeatedWords.Hash(rows.window.bytes.span, word), offset: rows.offset,
          byteCount: word.count))
      chunk.rowCount += 1
      chunk.wordByteCount += word.count
      if words.count == Self.wordsAtOnce {
        take(words)
        words.removeAll(keepingCapacity: true)
      }
    }
    take(words)
    chunk.lineCount = rows.line - line
    return chunk
  }

  private static let wordsAtOnce = 4096

  /// A word of a row.
  struct Word {
    let hash: RepeatedWords.Hash
    let offset: Int
    let byteCount: Int
  }

  /// What was found in a chunk: rows and lines are counted from its beginning.
  struct Chunk {
    var blocks: [WordVectorIndex.Block] = []
    var rowCount = 0
    var lineCount = 0
    var wordByteCount = 0
  }
}

/// What was found in a file.
private struct Findings {
  var repeated: RepeatedWords
  private(set) var blocks: [WordVectorIndex.Block] = []
  private(set) var rowCount = 0
  private(set) var wordByteCount = 0
  private(set) var nextLine: Int

  init(repeated: RepeatedWords, firstLine: Int) {
    self.repeated = repeated
    nextLine = firstLine
  }

  mutating func append(_ chunk: ChunkScan.Chunk) {
    for block in chunk.blocks {
      blocks.append(
        WordVectorIndex.Block(
          offset: block.offset, row: rowCount + block.row, fileRow: rowCount + block.fileRow,
          line: nextLine + block.line, repeated: 0))
    }
    rowCount += chunk.rowCount
    nextLine += chunk.lineCount
    wordByteCount += chunk.wordByteCount
  }

  mutating func forgetRepeated() { repeated.forget() }

  /// Takes over the repeated words that a pass for one share found.
  mutating func add(_ other: Findings) { repeated.add(other.repeated) }

  /// Checks the number of rows against a header's, and against the limit.
  func check(_ scan: ChunkScan) throws(StorageError) {
    let (file, declared) = (scan.start.file, scan.start.declaredCount)
    guard rowCount >= declared ?? 0 else {
      throw .missingRows(
        declared: declared ?? 0, found: rowCount, file: file.path, offset: file.byteCount)
    }
    let most = min(declared ?? .max, scan.options.limits.words)
    guard rowCount > most, let block = blocks.last(where: { $0.fileRow <= most }) else { return }
    var rows = WordVectorRows(
      scan.start, at: block.offset, line: block.line, count: block.fileRow, options: scan.options)
    while try rows.next() { try rows.checkRoom(declaredCount: declared) }
  }
}
