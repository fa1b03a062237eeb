internal import CKernels
internal import GraftCore

extension Kernels {
  /// The keys of a task.
  private static let keysOfFew = 256

  /// The floats that a task takes: queries, then scores or an output.
  static func floatsOfFew(_ shape: AttentionShape) -> Int {
    shape.sequence * shape.group * (shape.headDim + keysOfFew) + 64
  }

  /// Attention of a few tokens over a cache, as in generation: tasks read runs of keys, whose results are then combined
  /// in their order.
  ///
  /// q, o: [sequence, heads·headDim]  k, v: [capacity, keyValueHeads·headDim], both f32 or both bf16
  func attendFew(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, into o: MemorySlice,
    shape: AttentionShape, visible: VisibleKeys
  ) {
    let (level, workers, d, group) = (level, workers, shape.headDim, shape.group)
    let rows = shape.sequence * group
    let tokens = 0..<shape.sequence
    let seen = visible.range(batch: 0, tokens)
    let run = Self.keysOfFew
    let runs = (seen.count + run - 1) / run
    // Of each run and head: maxima, sums and outputs of its rows. They are few, and on the heap: to map and unmap
    // pages at every token would interrupt all threads.
    let size = rows * (d + 2)
    nonisolated(unsafe) let parts = UnsafeMutablePointer<Float>.allocate(
      capacity: shape.keyValueHeads * runs * size)
    defer { unsafe parts.deallocate() }
    pool.run(count: shape.keyValueHeads * runs) { task, worker in
      let (head, index) = (task / runs, task % runs)
      let first = seen.lowerBound + index * run
      let keys = first..<min(seen.upperBound, first + run)
      var scratch = ScratchRun(workers[worker], floats: Self.floatsOfFew(shape))
      let queries = unsafe scratch.take(rows * d)
      let scores = unsafe scratch.take(rows * run)
      for token in tokens {
        unsafe graft_convert(
          level, q.address(element: token * shape.width + head * group * d), q.code,
          queries + token * group * d, 0, Int64(group * d))
      }
      let own = AttentionHead(shape: shape, batch: 0, head: head * group)
      let (key, value) = unsafe (
        own.keys(k, keys, rows: k.shape.rows), own.keys(v, keys, rows: v.shape.rows)
      )
      let part = unsafe parts + task * size
      unsafe visible.withEnds(batch: 0, tokens) { ends in
        unsafe graft_attention_few_rows(
          level, queries, Int64(rows), Int64(group), key.start, value.start,
          k.dtype == .bf16 ? 1 : 0, Int64(key.rowStride), Int64(keys.count), Int64(d), ends,
          Int64(first), shape.scale * AttentionTile.log2e, scores, part, part + rows,
          part + 2 * rows)
      }
    }
    pool.run(count: shape.keyValueHeads) { head, worker in
      let own = unsafe parts + head * runs * size
      let total = unsafe workers[worker].floats(d)
      for row in 0..<rows {
        var maximum = -Float.infinity
        for index in 0..<runs {
          let part = unsafe own[index * size + row]
          if !(part <= maximum) { maximum = part }
        }
        unsafe total.update(repeating: 0, count: d)
        var sum: Float = 0
        for index in 0..<runs {
          let part = unsafe own + index * size
          let factor = graft_exp(unsafe (part[row] - maximum) / AttentionTile.log2e)
          sum += unsafe factor * part[rows + row]
          unsafe graft_add_scaled(level, part + 2 * rows + row * d, factor, total, Int64(d))
        }
        for column in 0..<d { unsafe total[column] /= sum }
        let (token, offset) = (row / group, (head * group + row % group) * d)
        unsafe graft_convert(
          level, total, 0, o.address(element: token * shape.width + offset), o.code, Int64(d))
      }
    }
  }
}
