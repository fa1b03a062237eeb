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
    attend(
      q, keyCache, valueCache, into: o, logSumExp: nil, shape: shape,
      visible: VisibleKeys(shape, position: position), keyRows: keyCache.shape.rows)
  }

  /// In what the products of tiles are computed: bf16 when all that was given is.
  func precision(_ operands: MemorySlice...) -> DType {
    hasBF16DotProduct && operands.allSatisfy { $0.dtype == .bf16 } ? .bf16 : .f32
  }

  /// A task is one head's run of queries; it walks the keys that they see.
  private func attend(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, into o: MemorySlice,
    logSumExp: MemorySlice?, shape: AttentionShape, visible: VisibleKeys, keyRows: Int
  ) {
    let (level, workers, d) = (level, workers, shape.headDim)
    // A few new positions have another extent each time, for which a primitive isn't worth making.
    let dtype = shape.sequence < 64 ? .f32 : precision(q, k, v)
    let queryTiles = (shape.sequence + AttentionTile.rows - 1) / AttentionTile.rows
    pool.run(count: shape.batch * shape.heads * queryTiles) { task, worker in
      let tile = queryTiles - 1 - task % queryTiles  // long ones first
      let head = task / queryTiles % shape.heads
      let batch = task / queryTiles / shape.heads
      let queries = tile * AttentionTile.rows..<min(shape.sequence, (tile + 1) * AttentionTile.rows)
      let rows = queries.count
      let worker = workers[worker]
      let heads = AttentionHead(shape: shape, batch: batch, head: head)

      let scores = unsafe worker.floats(
        2 * AttentionTile.rows * AttentionTile.columns + 2
          * (AttentionTile.rows + AttentionTile.columns) * d + 3 * AttentionTile.rows)
      let weights = unsafe scores + AttentionTile.rows * AttentionTile.columns
      let queryRoom = unsafe weights + AttentionTile.rows * AttentionTile.columns
      let keyRoom = unsafe queryRoom + AttentionTile.rows * d
      let valueRoom = unsafe keyRoom + AttentionTile.columns * d
      let sums = unsafe Matrix(valueRoom + AttentionTile.columns * d, .f32, rows: rows, columns: d)
      let maximum = unsafe sums.floats + AttentionTile.rows * d
      let sum = unsafe maximum + AttentionTile.rows
      let correction = unsafe sum + AttentionTile.rows

      let query = unsafe heads.queries(q, queries).made(dtype, in: queryRoom, level: level)
      for row in 0..<rows {
        unsafe maximum[row] = -.infinity
        unsafe sum[row] = 0
      }
      let seen = visible.range(batch: batch, queries)
      for first in stride(from: seen.lowerBound, to: seen.upperBound, by: AttentionTile.columns) {
        let keys = first..<min(seen.upperBound, first + AttentionTile.columns)
        let accumulates = first > seen.lowerBound
        let key = unsafe heads.keys(k, keys, rows: keyRows).made(dtype, in: keyRoom, level: level)
        let value = unsafe heads.keys(v, keys, rows: keyRows)
          .made(dtype, in: valueRoom, level: level)
        let s = unsafe Matrix(scores, .f32, rows: rows, columns: keys.count)
        unsafe worker.multiply(query, key.transposed, into: s, bf16: true, level: level)
        unsafe visible.withEnds(batch: batch, queries) { ends in
          unsafe graft_softmax_tile(
            level, scores, Int64(rows), Int64(keys.count), ends, Int64(first), shape.scale, maximum,
            sum, correction)
        }
        if accumulates {
          unsafe graft_scale_rows(level, sums.floats, Int64(rows), Int64(d), correction)
        }
        unsafe worker.multiply(
          s.made(dtype, in: weights, level: level), value, into: sums, accumulate: accumulates,
          bf16: true, level: level)
      }
      for row in 0..<rows { unsafe correction[row] = 1 / sum[row] }
      unsafe graft_scale_rows(level, sums.floats, Int64(rows), Int64(d), correction)
      unsafe sums.copy(to: heads.queries(o, queries), level: level)
      if let logSumExp {
        for row in 0..<rows {
          unsafe logSumExp.floats(
            element: (batch * shape.sequence + queries.lowerBound + row) * shape.heads + head
          ).pointee = maximum[row] + graft_log(sum[row])
        }
      }
    }
  }
}
