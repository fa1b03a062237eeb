internal import CKernels
package import GraftCore

extension Kernels {
  /// The gradients of q, k and v from that of the output; scores are made again from logSumExp.
  ///
  /// Extents as in ``attention(_:_:_:segments:into:logSumExp:shape:)``; the gradients may have any float types.
  package func attentionBackward(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, _ o: MemorySlice, logSumExp: MemorySlice,
    outputGradient: MemorySlice, segments: MemorySlice? = nil, into dq: MemorySlice,
    _ dk: MemorySlice, _ dv: MemorySlice, shape: AttentionShape
  ) {
    let visible = VisibleKeys(shape, segments: segments)
    let (level, workers, d, sequence) = (level, workers, shape.headDim, shape.sequence)
    let dtype = precision(q, k, v)
    // A task is one head of keys and values with all the queries that read it.
    pool.run(count: shape.batch * shape.keyValueHeads) { task, worker in
      let batch = task / shape.keyValueHeads
      let keyHead = task % shape.keyValueHeads
      let worker = workers[worker]
      let (tile, block) = (AttentionTile.rows * AttentionTile.columns, sequence * d)
      let scores = unsafe worker.floats(4 * tile + 4 * block + 3 * AttentionTile.rows * (d + 1))
      let scoreGradients = unsafe scores + tile
      let weightRoom = unsafe scoreGradients + tile
      let weightGradientRoom = unsafe weightRoom + tile
      let keyRoom = unsafe weightGradientRoom + tile
      let valueRoom = unsafe keyRoom + block
      let keyGradients = unsafe Matrix(valueRoom + block, .f32, rows: sequence, columns: d)
      let valueGradients = unsafe Matrix(
        keyGradients.floats + block, .f32, rows: sequence, columns: d)
      let queryRoom = unsafe valueGradients.floats + block
      let gradientRoom = unsafe queryRoom + AttentionTile.rows * d
      let queryGradientRoom = unsafe gradientRoom + AttentionTile.rows * d
      let delta = unsafe queryGradientRoom + AttentionTile.rows * d
      let logSums = unsafe delta + AttentionTile.rows

      let all = 0..<sequence
      let shared = AttentionHead(shape: shape, batch: batch, head: keyHead * shape.group)
      let keys = unsafe shared.keys(k, all, rows: sequence).made(dtype, in: keyRoom, level: level)
      let values = unsafe shared.keys(v, all, rows: sequence)
        .made(dtype, in: valueRoom, level: level)
      unsafe keyGradients.floats.update(repeating: 0, count: 2 * block)

      for head in keyHead * shape.group..<(keyHead + 1) * shape.group {
        let own = AttentionHead(shape: shape, batch: batch, head: head)
        for queryStart in stride(from: 0, to: sequence, by: AttentionTile.rows) {
          let queryRange = queryStart..<min(sequence, queryStart + AttentionTile.rows)
          let rows = queryRange.count
          // delta = Σ o · do, in f32 whatever the products are in.
          let output = unsafe own.queries(o, queryRange)
          let outputCopy = unsafe Matrix(queryRoom, .f32, rows: rows, columns: d)
          let gradientCopy = unsafe Matrix(gradientRoom, .f32, rows: rows, columns: d)
          unsafe output.copy(to: outputCopy, level: level)
          unsafe own.queries(outputGradient, queryRange).copy(to: gradientCopy, level: level)
          unsafe graft_row_dots(level, queryRoom, gradientRoom, Int64(rows), Int64(d), delta)
          for (row, query) in queryRange.enumerated() {
            unsafe logSums[row] =
              logSumExp.floats(element: (batch * sequence + query) * shape.heads + head).pointee
          }
          let query = unsafe own.queries(q, queryRange).made(dtype, in: queryRoom, level: level)
          let gradient = unsafe own.queries(outputGradient, queryRange)
            .made(dtype, in: gradientRoom, level: level)
          let queryGradient = unsafe Matrix(queryGradientRoom, .f32, rows: rows, columns: d)

          let seen = visible.range(batch: batch, queryRange)
          for keyStart in stride(
            from: seen.lowerBound, to: seen.upperBound, by: AttentionTile.columns)
          {
            let keyRange = keyStart..<min(seen.upperBound, keyStart + AttentionTile.columns)
            let p = unsafe Matrix(scores, .f32, rows: rows, columns: keyRange.count)
            let dp = unsafe Matrix(scoreGradients, .f32, rows: rows, columns: keyRange.count)
            let key = unsafe keys[keyRange, 0..<d]
            unsafe worker.multiply(query, key.transposed, into: p, bf16: true, level: level)
            unsafe worker.multiply(
              gradient, values[keyRange, 0..<d].transposed, into: dp, bf16: true, level: level)
            unsafe visible.withEnds(batch: batch, queryRange) { ends in
              unsafe graft_softmax_gradient_tile(
                level, scores, scoreGradients, Int64(rows), Int64(keyRange.count), ends,
                Int64(keyStart), shape.scale, logSums, delta)
            }
            let weights = unsafe p.made(dtype, in: weightRoom, level: level)
            let weightGradients = unsafe dp.made(dtype, in: weightGradientRoom, level: level)
            unsafe worker.multiply(
              weights.transposed, gradient, into: valueGradients[keyRange, 0..<d],
              accumulate: true, bf16: true, level: level)
            unsafe worker.multiply(
              weightGradients.transposed, query, into: keyGradients[keyRange, 0..<d],
              accumulate: true, bf16: true, level: level)
            unsafe worker.multiply(
              weightGradients, key, into: queryGradient, accumulate: keyStart > seen.lowerBound,
              bf16: true,
              level: level)
          }
          unsafe queryGradient.copy(to: own.queries(dq, queryRange), level: level)
        }
      }
      unsafe keyGradients.copy(to: shared.keys(dk, all, rows: sequence), level: level)
      unsafe valueGradients.copy(to: shared.keys(dv, all, rows: sequence), level: level)
    }
  }
}
