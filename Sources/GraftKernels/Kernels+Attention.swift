internal import CKernels
package import GraftCore

extension Kernels {
  /// Causal attention by tiles with an online softmax; no scores are kept.
  ///
  /// q, o: [batch·sequence, heads·headDim]  k, v: [batch·sequence, keyValueHeads·headDim], of any float types;
  /// logSumExp: [batch·sequence, heads] f32, what the backward pass needs.
  package func attention(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, into o: MemorySlice,
    logSumExp: MemorySlice?, shape: AttentionShape
  ) {
    attend(
      q, k, v, into: o, logSumExp: logSumExp, shape: shape, position: 0, keyRows: shape.sequence)
  }

  /// Attention of new positions over everything before them: appends k and v to the caches at `position` first.
  ///
  /// q, o: [sequence, heads·headDim]  k, v: [sequence, keyValueHeads·headDim]
  /// keyCache, valueCache: [capacity, keyValueHeads·headDim]
  package func cachedAttention(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, keyCache: MemorySlice,
    valueCache: MemorySlice, position: Int, into o: MemorySlice, shape: AttentionShape
  ) {
    precondition(shape.batch == 1, "a cache belongs to one sequence")
    precondition(
      position >= 0 && position + shape.sequence <= keyCache.shape.rows, "the cache has room")
    let first = position * shape.keyValueWidth
    let count = shape.sequence * shape.keyValueWidth
    for (new, cache) in [(k, keyCache), (v, valueCache)] {
      unsafe graft_convert(
        level, new.address, new.code, cache.address(element: first), cache.code, Int64(count))
    }
    attend(
      q, keyCache, valueCache, into: o, logSumExp: nil, shape: shape, position: position,
      keyRows: keyCache.shape.rows)
  }

  /// In what the products of tiles are computed: bf16 when all that was given is.
  func precision(_ operands: MemorySlice...) -> DType {
    hasBF16DotProduct && operands.allSatisfy { $0.dtype == .bf16 } ? .bf16 : .f32
  }

  /// A task is one head's run of queries; it walks the keys that they see.
  private func attend(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, into o: MemorySlice,
    logSumExp: MemorySlice?, shape: AttentionShape, position: Int, keyRows: Int
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
      let seen = position + queries.upperBound
      for first in stride(from: 0, to: seen, by: AttentionTile.columns) {
        let keys = first..<min(seen, first + AttentionTile.columns)
        let key = unsafe heads.keys(k, keys, rows: keyRows).made(dtype, in: keyRoom, level: level)
        let value = unsafe heads.keys(v, keys, rows: keyRows)
          .made(dtype, in: valueRoom, level: level)
        let s = unsafe Matrix(scores, .f32, rows: rows, columns: keys.count)
        unsafe worker.multiply(query, key.transposed, into: s, bf16: true, level: level)
        unsafe graft_softmax_tile(
          level, scores, Int64(rows), Int64(keys.count),
          Int64(position + queries.lowerBound - first), shape.scale, maximum, sum, correction)
        if first > 0 {
          unsafe graft_scale_rows(level, sums.floats, Int64(rows), Int64(d), correction)
        }
        unsafe worker.multiply(
          s.made(dtype, in: weights, level: level), value, into: sums, accumulate: first > 0,
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
