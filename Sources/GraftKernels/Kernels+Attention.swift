internal import CKernels
package import GraftCore

/// Rows of queries, and of keys and values, that a tile of scores has.
private let tileRows = 128

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

  /// A task is one head's run of queries; it walks the keys that they see.
  private func attend(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, into o: MemorySlice,
    logSumExp: MemorySlice?, shape: AttentionShape, position: Int, keyRows: Int
  ) {
    let (level, workers, d) = (level, workers, shape.headDim)
    let queryTiles = (shape.sequence + tileRows - 1) / tileRows
    pool.run(count: shape.batch * shape.heads * queryTiles) { task, worker in
      let tile = queryTiles - 1 - task % queryTiles  // long ones first
      let head = task / queryTiles % shape.heads
      let batch = task / queryTiles / shape.heads
      let queries = tile * tileRows..<min(shape.sequence, (tile + 1) * tileRows)
      let rows = queries.count
      let worker = workers[worker]
      let heads = AttentionHead(shape: shape, batch: batch, head: head)

      let room = unsafe worker.floats(
        tileRows * (tileRows + 4 * d + 3))
      let scores = unsafe room
      let query = unsafe Matrix(scores + tileRows * tileRows, .f32, rows: rows, columns: d)
      let sums = unsafe Matrix(query.floats + tileRows * d, .f32, rows: rows, columns: d)
      let keyRoom = unsafe sums.floats + tileRows * d
      let valueRoom = unsafe keyRoom + tileRows * d
      let maximum = unsafe valueRoom + tileRows * d
      let sum = unsafe maximum + tileRows
      let correction = unsafe sum + tileRows

      unsafe heads.queries(q, queries).copy(to: query, level: level)
      for row in 0..<rows {
        unsafe maximum[row] = -.infinity
        unsafe sum[row] = 0
      }
      let seen = position + queries.upperBound
      for first in stride(from: 0, to: seen, by: tileRows) {
        let keys = first..<min(seen, first + tileRows)
        let key = unsafe heads.keys(k, keys, rows: keyRows).inFloats(keyRoom, level: level)
        let value = unsafe heads.keys(v, keys, rows: keyRows).inFloats(valueRoom, level: level)
        let s = unsafe Matrix(scores, .f32, rows: rows, columns: keys.count)
        unsafe worker.multiply(query, key.transposed, into: s, bf16: false, level: level)
        unsafe graft_softmax_tile(
          level, scores, Int64(rows), Int64(keys.count),
          Int64(position + queries.lowerBound - first), shape.scale, maximum, sum, correction)
        if first > 0 {
          unsafe graft_scale_rows(level, sums.floats, Int64(rows), Int64(d), correction)
        }
        unsafe worker.multiply(
          s, value, into: sums, accumulate: first > 0, bf16: false, level: level)
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

  /// The gradients of q, k and v from that of the output; scores are made again from logSumExp.
  ///
  /// Extents as in ``attention(_:_:_:into:logSumExp:shape:)``; the gradients may have any float types.
  package func attentionBackward(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, _ o: MemorySlice, logSumExp: MemorySlice,
    outputGradient: MemorySlice, into dq: MemorySlice, _ dk: MemorySlice, _ dv: MemorySlice,
    shape: AttentionShape
  ) {
    let (level, workers, d, sequence) = (level, workers, shape.headDim, shape.sequence)
    // A task is one head of keys and values with all the queries that read it.
    pool.run(count: shape.batch * shape.keyValueHeads) { task, worker in
      let batch = task / shape.keyValueHeads
      let keyHead = task % shape.keyValueHeads
      let worker = workers[worker]
      let block = sequence * d
      let room = unsafe worker.floats(
        2 * tileRows * tileRows + (4 + 3 * shape.group) * block + 2 * shape.group * sequence)
      let scores = unsafe room
      let scoreGradients = unsafe scores + tileRows * tileRows
      var next = unsafe scoreGradients + tileRows * tileRows
      let take = { (count: Int) -> UnsafeMutablePointer<Float> in
        defer { unsafe next += count }
        return unsafe next
      }
      let all = 0..<sequence
      func matrix(_ start: UnsafeMutablePointer<Float>) -> Matrix {
        unsafe Matrix(start, .f32, rows: sequence, columns: d)
      }

      let shared = AttentionHead(
        shape: shape, batch: batch, head: keyHead * shape.group)
      let keys = unsafe matrix(take(block))
      let values = unsafe matrix(take(block))
      let keyGradients = unsafe matrix(take(block))
      let valueGradients = unsafe matrix(take(block))
      unsafe shared.keys(k, all, rows: sequence).copy(to: keys, level: level)
      unsafe shared.keys(v, all, rows: sequence).copy(to: values, level: level)
      unsafe keyGradients.floats.update(repeating: 0, count: block)
      unsafe valueGradients.floats.update(repeating: 0, count: block)

      for member in 0..<shape.group {
        let head = keyHead * shape.group + member
        let own = AttentionHead(shape: shape, batch: batch, head: head)
        unsafe next = valueGradients.floats + block
        let queries = unsafe matrix(take(block))
        let gradients = unsafe matrix(take(block))
        let queryGradients = unsafe matrix(take(block))
        let delta = unsafe take(sequence)
        let logSums = unsafe take(sequence)
        unsafe own.queries(o, all).copy(to: queries, level: level)
        unsafe own.queries(outputGradient, all).copy(to: gradients, level: level)
        unsafe graft_row_dots(
          level, queries.floats, gradients.floats, Int64(sequence), Int64(d), delta)
        unsafe own.queries(q, all).copy(to: queries, level: level)
        for row in all {
          unsafe logSums[row] =
            logSumExp.floats(element: (batch * sequence + row) * shape.heads + head).pointee
        }
        for keyStart in stride(from: 0, to: sequence, by: tileRows) {
          let keyRange = keyStart..<min(sequence, keyStart + tileRows)
          for queryStart in stride(from: keyStart, to: sequence, by: tileRows) {
            let queryRange = queryStart..<min(sequence, queryStart + tileRows)
            let (rows, columns) = (queryRange.count, keyRange.count)
            let p = unsafe Matrix(scores, .f32, rows: rows, columns: columns)
            let dp = unsafe Matrix(scoreGradients, .f32, rows: rows, columns: columns)
            let query = unsafe queries[queryRange, 0..<d]
            let gradient = unsafe gradients[queryRange, 0..<d]
            let key = unsafe keys[keyRange, 0..<d]
            unsafe worker.multiply(query, key.transposed, into: p, bf16: false, level: level)
            unsafe worker.multiply(
              gradient, values[keyRange, 0..<d].transposed, into: dp, bf16: false, level: level)
            unsafe graft_softmax_gradient_tile(
              level, scores, scoreGradients, Int64(rows), Int64(columns),
              Int64(queryStart - keyStart), shape.scale, logSums + queryStart, delta + queryStart)
            unsafe worker.multiply(
              p.transposed, gradient, into: valueGradients[keyRange, 0..<d], accumulate: true,
              bf16: false, level: level)
            unsafe worker.multiply(
              dp.transposed, query, into: keyGradients[keyRange, 0..<d], accumulate: true,
              bf16: false, level: level)
            unsafe worker.multiply(
              dp, key, into: queryGradients[queryRange, 0..<d], accumulate: keyStart > 0,
              bf16: false, level: level)
          }
        }
        unsafe queryGradients.copy(to: own.queries(dq, all), level: level)
      }
      unsafe keyGradients.copy(to: shared.keys(dk, all, rows: sequence), level: level)
      unsafe valueGradients.copy(to: shared.keys(dv, all, rows: sequence), level: level)
    }
  }
}

/// Where one head's rows stand in the tensors of an attention.
private struct AttentionHead {
  let shape: AttentionShape
  let batch: Int
  let head: Int

  /// Rows of q, o or their gradients.
  func queries(_ slice: MemorySlice, _ rows: Range<Int>) -> Matrix {
    let first = (batch * shape.sequence + rows.lowerBound) * shape.width + head * shape.headDim
    return unsafe Matrix(
      slice.address(element: first), slice.dtype, rows: rows.count, columns: shape.headDim,
      stride: shape.width)
  }

  /// Rows of k, v or their gradients, of which a sequence has `count`.
  func keys(_ slice: MemorySlice, _ rows: Range<Int>, rows count: Int) -> Matrix {
    let first =
      (batch * count + rows.lowerBound) * shape.keyValueWidth + head / shape.group * shape.headDim
    return unsafe Matrix(
      slice.address(element: first), slice.dtype, rows: rows.count, columns: shape.headDim,
      stride: shape.keyValueWidth)
  }
}

extension Matrix {
  /// Itself when it is f32, or a packed copy.
  fileprivate func inFloats(_ room: UnsafeMutablePointer<Float>, level: Int32) -> Matrix {
    if unsafe dtype == .f32 { return unsafe self }
    let copy = unsafe Matrix(room, .f32, rows: rows, columns: columns)
    unsafe self.copy(to: copy, level: level)
    return unsafe copy
  }
}
