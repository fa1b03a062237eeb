internal import CKernels
internal import GraftCore

/// The backward pass of an attention, part by part.
struct AttentionBackward: Sendable {
  let q, k, v, o, logSumExp, outputGradient, dq: MemorySlice
  let shape: AttentionShape
  let visible: VisibleKeys
  let tile: AttentionTile

  /// Queries and keys of a tile.
  private static let (blockRows, blockKeys) = (64, 128)

  /// A run of tokens with all the query heads that share a head of keys and values.
  struct Part: Sendable {
    let batch: Int
    /// The first of the query heads.
    let head: Int
    let tokens: Range<Int>
    /// What the tokens see.
    let keys: Range<Int>
    /// Where the part's sums start among all.
    let offset: Int

    /// The floats of its sums: gradients of keys, then of values, each [keys, width].
    func sumCount(_ tile: AttentionTile) -> Int { 2 * keys.count * tile.width }

    /// The sums from a key on.
    func sum(
      in sums: Memory, of key: Int, isValue: Bool, _ tile: AttentionTile
    ) -> UnsafeMutablePointer<Float> {
      let row = key - keys.lowerBound + (isValue ? keys.count : 0)
      guard let start = unsafe sums.address(at: (offset + row * tile.width) * 4) else {
        preconditionFailure("sums have pages")
      }
      return unsafe start.assumingMemoryBound(to: Float.self)
    }
  }

  /// Cuts the work into at least so many parts if the sequence is long enough.
  static func parts(
    _ shape: AttentionShape, _ visible: VisibleKeys, _ tile: AttentionTile
  ) -> [Part] {
    let rows = Self.blockRows
    let blocks = (shape.sequence + rows - 1) / rows
    let cuts = cuts(shape)
    var result: [Part] = []
    var offset = 0
    for batch in 0..<shape.batch {
      let costs = (0..<blocks).map {
        visible.range(
          batch: batch, $0 * rows..<min(shape.sequence, ($0 + 1) * rows)
        ).count
      }
      let total = costs.reduce(0, +)
      var (first, done, cut) = (0, 0, 1)
      for block in 0..<blocks {
        done += costs[block]
        let isEnough = done * cuts >= total * cut
        guard isEnough || block == blocks - 1 else { continue }
        let tokens = first * rows..<min(shape.sequence, (block + 1) * rows)
        first = block + 1
        cut += 1
        let keys = visible.range(batch: batch, tokens)
        for head in 0..<shape.keyValueHeads {
          let part = Part(
            batch: batch, head: head * shape.group, tokens: tokens, keys: keys, offset: offset)
          offset += part.sumCount(tile)
          result.append(part)
        }
      }
    }
    return result
  }

  /// The parts that a sequence of a head is cut into.
  private static func cuts(_ shape: AttentionShape) -> Int {
    let heads = shape.batch * shape.keyValueHeads
    return min((shape.sequence + blockRows - 1) / blockRows, (leastParts + heads - 1) / heads)
  }

  private static let leastParts = 8

  /// What the parts take.
  ///
  /// Segments, which are known only when they are there, may cut a sequence anywhere: then each part is counted with all keys.
  static func need(
    _ shape: AttentionShape, hasSegments: Bool, _ tile: AttentionTile
  ) -> ScratchNeed {
    var need = ScratchNeed()
    let parts = Self.parts(shape, VisibleKeys(shape), tile)
    let whole = 2 * shape.sequence * tile.width
    let sums =
      hasSegments
      ? shape.batch * shape.keyValueHeads * cuts(shape) * whole
      : parts.reduce(0) { $0 + $1.sumCount(tile) }
    need.includeShared(sums * 4)
    let keys = hasSegments ? shape.sequence : parts.map(\.keys.count).max() ?? 0
    need.include(floatCount(shape, keys: keys, tile) * 4, for: .task)
    need.include(keysOfRun * tile.width * 4, for: .task)
    return need
  }

  /// The keys whose sums a task adds up.
  static let keysOfRun = 64

  /// The floats of a part that sees so many keys.
  private static func floatCount(_ shape: AttentionShape, keys: Int, _ tile: AttentionTile) -> Int {
    let padded = (keys + blockKeys - 1) / blockKeys * blockKeys
    return padded * (2 * tile.units + tile.width)
      + 2 * blockRows * (tile.units + 2 * tile.width + shape.headDim) + 5 * blockRows * blockKeys
      + 3 * blockRows + tile.room + 512
  }

  /// Writes dq of the part's tokens and the part's sums.
  func run(_ part: Part, sums: Memory, _ worker: Worker) {
    let (units, width, lanes) = (tile.units, tile.width, AttentionTile.lanes)
    let (blockRows, blockKeys) = (Self.blockRows, Self.blockKeys)
    let keyCount = (part.keys.count + blockKeys - 1) / blockKeys * blockKeys
    let tileSize = blockRows * blockKeys
    var scratch = ScratchRun(
      worker, floats: Self.floatCount(shape, keys: part.keys.count, tile))
    let keyColumns = unsafe scratch.take(keyCount * units)
    let valueColumns = unsafe scratch.take(keyCount * units)
    let keyRows = unsafe scratch.take(keyCount * width)
    let query = unsafe scratch.take(blockRows * units)
    let gradient = unsafe scratch.take(blockRows * units)
    let queryPanels = unsafe scratch.take(blockRows * width)
    let gradientPanels = unsafe scratch.take(blockRows * width)
    let queryGradient = unsafe scratch.take(blockRows * width)
    let output = unsafe scratch.take(blockRows * shape.headDim)
    let outputGradient = unsafe scratch.take(blockRows * shape.headDim)
    let scores = unsafe scratch.take(tileSize)
    let scoreGradients = unsafe scratch.take(tileSize)
    let isPaired = tile.multipliesPairs
    let weightPairs = unsafe isPaired ? scratch.take(tileSize) : scores
    let gradientPairs = unsafe isPaired ? scratch.take(tileSize) : scoreGradients
    let gradientRows = unsafe isPaired ? scratch.take(tileSize) : scoreGradients
    let delta = unsafe scratch.take(blockRows)
    let logSums = unsafe scratch.take(blockRows)
    let scale = unsafe scratch.take(blockRows)
    let room = unsafe scratch.take(tile.room)

    let shared = AttentionHead(shape: shape, batch: part.batch, head: part.head)
    let blocks = stride(from: part.keys.lowerBound, to: part.keys.upperBound, by: blockKeys).map {
      $0..<min(part.keys.upperBound, $0 + blockKeys)
    }
    for block in blocks {
      let at = block.lowerBound - part.keys.lowerBound
      let (key, value) = unsafe (
        shared.keys(k, block, rows: shape.sequence), shared.keys(v, block, rows: shape.sequence)
      )
      unsafe tile.pack(transposed: key, into: keyColumns + at * units, room: room)
      unsafe tile.pack(transposed: value, into: valueColumns + at * units, room: room)
      unsafe tile.pack(key, into: keyRows + at * width, room: room)
    }
    let first = part.keys.lowerBound
    unsafe part.sum(in: sums, of: first, isValue: false, tile)
      .update(repeating: 0, count: part.sumCount(tile))
    unsafe scale.update(repeating: shape.scale, count: blockRows)

    for headIndex in part.head..<part.head + shape.group {
      let own = AttentionHead(shape: shape, batch: part.batch, head: headIndex)
      for start in stride(from: part.tokens.lowerBound, to: part.tokens.upperBound, by: blockRows) {
        let tokens = start..<min(part.tokens.upperBound, start + blockRows)
        let rows = tokens.count
        let (x, dy) = unsafe (own.queries(q, tokens), own.queries(self.outputGradient, tokens))
        // delta = Σ o · do, in f32 whatever the products are in.
        unsafe own.queries(o, tokens).copy(
          to: Matrix(output, .f32, rows: rows, columns: shape.headDim), level: tile.level)
        unsafe dy.copy(
          to: Matrix(outputGradient, .f32, rows: rows, columns: shape.headDim), level: tile.level)
        unsafe graft_row_dots(
          tile.level, output, outputGradient, Int64(rows), Int64(shape.headDim), delta)
        for (row, token) in tokens.enumerated() {
          unsafe logSums[row] =
            logSumExp.floats(
              element: (part.batch * shape.sequence + token) * shape.heads + headIndex
            ).pointee * AttentionTile.log2e
        }
        unsafe tile.pack(rows: x, into: query)
        unsafe tile.pack(rows: dy, into: gradient)
        unsafe tile.pack(x, into: queryPanels, room: room)
        unsafe tile.pack(dy, into: gradientPanels, room: room)
        unsafe queryGradient.update(repeating: 0, count: rows * width)
        let rowUnits = tile.units(of: AttentionTile.padded(rows))

        let seen = visible.range(batch: part.batch, tokens)
        for keys in blocks {
          guard let columns = tile.columns(of: keys, seen: seen) else { continue }
          let at = keys.lowerBound - first
          let panelCount = columns.count / lanes
          for unsafe(left, right, result) in unsafe [
            (query, keyColumns, scores), (gradient, valueColumns, scoreGradients),
          ] {
            unsafe tile.multiply(
              left, rowStep: units, by: right + (at + columns.lowerBound) * units,
              panelStep: lanes * units, units: units, into: result + columns.lowerBound,
              stride: blockKeys, rows: rows, panelCount: panelCount)
          }
          unsafe visible.withEnds(batch: part.batch, tokens) { ends in
            unsafe tile.softmaxGradient(
              scores, scoreGradients, stride: blockKeys, rows: rows, columns, ends,
              key: keys.lowerBound, scale: shape.scale, logSums, delta, weightPairs: weightPairs,
              gradientPairs: gradientPairs, gradientRows: gradientRows)
          }
          unsafe tile.multiply(
            gradientRows + tile.units(of: columns.lowerBound), rowStep: tile.units(of: blockKeys),
            by: keyRows + at * width + tile.units(of: columns.lowerBound) * lanes,
            panelStep: tile.units(of: AttentionTile.padded(keys.count)) * lanes,
            units: tile.units(of: columns.count), into: queryGradient, stride: width, rows: rows,
            panelCount: width / lanes, accumulate: true)
          let counted = columns.clamped(to: 0..<keys.count)
          for unsafe(left, right, isValue) in unsafe [
            (weightPairs, gradientPanels, true), (gradientPairs, queryPanels, false),
          ] {
            unsafe tile.multiply(
              left + counted.lowerBound, rowStep: 1, unitStep: blockKeys, by: right,
              panelStep: rowUnits * lanes, units: tile.units(of: rows),
              into: part.sum(
                in: sums, of: keys.lowerBound + counted.lowerBound, isValue: isValue, tile),
              stride: width, rows: counted.count, panelCount: width / lanes, accumulate: true)
          }
        }
        unsafe graft_scale_rows(tile.level, queryGradient, Int64(rows), Int64(width), scale)
        unsafe Matrix(queryGradient, .f32, rows: rows, columns: shape.headDim, stride: width)
          .copy(to: own.queries(dq, tokens), level: tile.level)
      }
    }
  }
}
