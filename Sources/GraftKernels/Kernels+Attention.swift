internal import CKernels
package import GraftCore

extension Kernels {
  /// Attention by tiles with an online softmax (Dao, arXiv 2307.08691); no scores are kept.
  ///
  /// q, o: [batch·sequence, heads·headDim]  k, v: [batch·sequence, keyValueHeads·headDim], of any float types;
  /// logSumExp: [batch·sequence, heads] f32, what the backward pass needs.
  /// segments: [batch·sequence] i32, never falling within a sequence; a token sees keys of its own segment only.
  package func attention(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, segments: MemorySlice? = nil,
    into o: MemorySlice, logSumExp: MemorySlice?, shape: AttentionShape
  ) {
    attend(
      q, k, v, into: o, logSumExp: logSumExp, shape: shape,
      visible: VisibleKeys(shape, segments: segments), keyRows: shape.sequence)
  }

  /// Attention of new positions over everything before them: appends k and v to the caches at `position` first.
  ///
  /// q, o: [sequence, heads·headDim]  k, v: [sequence, keyValueHeads·headDim]
  /// keyCache, valueCache: [capacity, keyValueHeads·headDim]
  package func cachedAttention(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, keyCache: MemorySlice,
    valueCache: MemorySlice, position: Int, into o: MemorySlice, shape: AttentionShape
  ) {
    precondition(
      shape.batch == 1 && shape.isCausal, "a cache belongs to one sequence, read in order")
    precondition(
      position >= 0 && position + shape.sequence <= keyCache.shape.rows, "the cache has room")
    let first = position * shape.keyValueWidth
    let count = shape.sequence * shape.keyValueWidth
    for (new, cache) in [(k, keyCache), (v, valueCache)] {
      unsafe graft_convert(
        level, new.address, new.code, cache.address(element: first), cache.code, Int64(count))
    }
    let visible = VisibleKeys(shape, position: position)
    if attendsFew(shape, keyCache.dtype, valueCache.dtype) {
      return attendFew(q, keyCache, valueCache, into: o, shape: shape, visible: visible)
    }
    attend(
      q, keyCache, valueCache, into: o, logSumExp: nil, shape: shape, visible: visible,
      keyRows: keyCache.shape.rows)
  }

  /// How tiles are multiplied: as bf16 when all that was given is and the CPU has instructions for it.
  func tile(_ shape: AttentionShape, of dtypes: DType...) -> AttentionTile {
    AttentionTile(
      shape, level: level,
      multipliesPairs: simd == .avx512BF16
        && dtypes.allSatisfy { $0 == .bf16 })
  }

  /// The scratch of ``attention(_:_:_:segments:into:logSumExp:shape:)`` on operands of these types.
  package func need(
    attention shape: AttentionShape, _ q: DType, _ k: DType, _ v: DType
  ) -> ScratchNeed {
    var need = ScratchNeed()
    need.include(AttentionRun(shape, tile(shape, of: q, k, v)).floatCount * 4, for: .task)
    return need
  }

  /// The scratch of ``cachedAttention(_:_:_:keyCache:valueCache:position:into:shape:)``.
  package func need(
    cachedAttention shape: AttentionShape, _ q: DType, keyCache: DType, valueCache: DType
  ) -> ScratchNeed {
    guard attendsFew(shape, keyCache, valueCache) else {
      return need(attention: shape, q, keyCache, valueCache)
    }
    var need = ScratchNeed()
    need.include(Self.floatsOfFew(shape) * 4, for: .task)
    return need
  }

  private func attendsFew(_ shape: AttentionShape, _ keys: DType, _ values: DType) -> Bool {
    shape.sequence <= 4 && keys == values && [.f32, .bf16].contains(keys)
  }

  /// A task is a run of tokens with all the query heads that share a head of keys and values.
  private func attend(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, into o: MemorySlice,
    logSumExp: MemorySlice?, shape: AttentionShape, visible: VisibleKeys, keyRows: Int
  ) {
    let (workers, d, group) = (workers, shape.headDim, shape.group)
    let tile = tile(shape, of: q.dtype, k.dtype, v.dtype)
    let plan = AttentionRun(shape, tile)
    let (blockKeys, blockRows, run) = (AttentionRun.blockKeys, AttentionRun.blockRows, plan.tokens)
    let runs = (shape.sequence + run - 1) / run
    pool.run(count: shape.batch * shape.keyValueHeads * runs) { task, worker in
      let start = (runs - 1 - task / (shape.batch * shape.keyValueHeads)) * run  // long ones first
      let batch = task / shape.keyValueHeads % shape.batch
      let firstHead = task % shape.keyValueHeads * group
      let tokens = start..<min(shape.sequence, start + run)
      let heads = (firstHead..<firstHead + group).map {
        AttentionHead(shape: shape, batch: batch, head: $0)
      }

      let (units, width) = (tile.units, tile.width)
      var scratch = ScratchRun(workers[worker], floats: plan.floatCount)
      let keyPanels = unsafe scratch.take(blockKeys * units)
      let valuePanels = unsafe scratch.take(blockKeys * width)
      let queries = unsafe scratch.take(group * run * units)
      let sums = unsafe scratch.take(group * run * width)
      let maximum = unsafe scratch.take(group * run)
      let sum = unsafe scratch.take(group * run)
      let factor = unsafe scratch.take(blockRows)
      let scores = unsafe scratch.take(blockRows * blockKeys)
      let weights = unsafe tile.multipliesPairs ? scratch.take(blockRows * blockKeys) : scores
      let room = unsafe scratch.take(tile.room)

      for (i, head) in heads.enumerated() {
        unsafe tile.pack(rows: head.queries(q, tokens), into: queries + i * run * units)
      }
      unsafe sums.update(repeating: 0, count: group * run * width)
      unsafe maximum.update(repeating: -.infinity, count: group * run)
      unsafe sum.update(repeating: 0, count: group * run)

      let seen = visible.range(batch: batch, tokens)
      for first in stride(from: seen.lowerBound, to: seen.upperBound, by: blockKeys) {
        let keys = first..<min(seen.upperBound, first + blockKeys)
        let keyUnits = tile.units(of: AttentionTile.padded(keys.count))
        unsafe tile.pack(
          transposed: heads[0].keys(k, keys, rows: keyRows), into: keyPanels, room: room)
        unsafe tile.pack(heads[0].keys(v, keys, rows: keyRows), into: valuePanels, room: room)
        for rowStart in stride(from: tokens.lowerBound, to: tokens.upperBound, by: blockRows) {
          let rows = rowStart..<min(tokens.upperBound, rowStart + blockRows)
          guard
            let columns = tile.columns(of: keys, seen: visible.range(batch: batch, rows))
          else { continue }
          for i in 0..<group {
            let row = i * run + rowStart - tokens.lowerBound
            unsafe tile.multiply(
              queries + row * units, rowStep: units, by: keyPanels + columns.lowerBound * units,
              panelStep: AttentionTile.lanes * units, units: units,
              into: scores + columns.lowerBound, stride: blockKeys, rows: rows.count,
              panelCount: columns.count / AttentionTile.lanes)
            unsafe visible.withEnds(batch: batch, rows) { ends in
              unsafe tile.softmax(
                scores, stride: blockKeys, rows: rows.count, columns, ends, key: first,
                scale: shape.scale, maximum + row, sum + row, factor, weights)
            }
            unsafe tile.multiply(
              weights + tile.units(of: columns.lowerBound), rowStep: tile.units(of: blockKeys),
              by: valuePanels + tile.units(of: columns.lowerBound) * AttentionTile.lanes,
              panelStep: AttentionTile.lanes * keyUnits, units: tile.units(of: columns.count),
              into: sums + row * width, stride: width, rows: rows.count,
              panelCount: width / AttentionTile.lanes, factor: factor)
          }
        }
      }

      for (i, head) in heads.enumerated() {
        let (maximum, sum) = unsafe (maximum + i * run, sum + i * run)
        if let logSumExp {
          for (row, token) in tokens.enumerated() {
            unsafe logSumExp.floats(
              element: (batch * shape.sequence + token) * shape.heads + head.head
            ).pointee = maximum[row] / AttentionTile.log2e + graft_log(sum[row])
          }
        }
        for row in 0..<tokens.count { unsafe sum[row] = 1 / sum[row] }
        let own = unsafe Matrix(
          sums + i * run * width, .f32, rows: tokens.count, columns: d, stride: width)
        unsafe graft_scale_rows(tile.level, own.floats, Int64(tokens.count), Int64(width), sum)
        unsafe own.copy(to: head.queries(o, tokens), level: tile.level)
      }
    }
  }
}

/// The tokens of a task of attention, and its scratch.
private struct AttentionRun {
  static let (blockKeys, blockRows) = (256, 24)

  /// Enough tokens that packing the keys costs little beside using them.
  let tokens: Int
  /// Packed keys, values and queries, scores, sums and statistics.
  let floatCount: Int

  init(_ shape: AttentionShape, _ tile: AttentionTile) {
    let (blockKeys, blockRows) = (Self.blockKeys, Self.blockRows)
    tokens = max(2 * blockRows, 192 / shape.group / (2 * blockRows) * 2 * blockRows)
    floatCount =
      blockKeys * (tile.units + tile.width)
      + shape.group * tokens * (tile.units + tile.width + 2) + 2 * blockRows * blockKeys
      + blockRows + tile.room + 256
  }
}
