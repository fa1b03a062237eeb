internal import CKernels
package import GraftCore

extension Kernels {
  /// The loss of each token under a linear head, and the gradient of its input, without keeping the logits.
  ///
  /// losses[t] = log Σᵥ exp(x[t]·head[v]) − x[t]·head[targets[t]]. A negative target is ignored: loss 0, gradient 0.
  ///
  /// x: [tokens, hidden]  head: [vocab, hidden]  targets: [tokens] i32  losses: [tokens] f32
  /// xGradient: [tokens, hidden], d losses[t] / d x[t]
  package func crossEntropy(
    _ x: MemorySlice, head: MemorySlice, targets: MemorySlice, losses: MemorySlice,
    xGradient: MemorySlice? = nil
  ) {
    crossEntropy(
      x, head: head, targets: targets, losses: losses, logSumExp: nil, xGradient: xGradient)
  }

  /// The scratch of ``crossEntropy(_:head:targets:losses:xGradient:)``.
  package func need(
    crossEntropy x: MatrixLayout, head: MatrixLayout, hasGradient: Bool
  ) -> ScratchNeed {
    let (bf16, hidden) = (hasBF16DotProduct, x.columns)
    let room = CrossEntropyRoom(x.dtype, head.dtype, [head.rows, hidden], bf16: bf16)
    var need = ScratchNeed()
    need.include(room.floatCount * 4, for: .task)
    for rows in extents(of: x.rows, by: room.rowsPerTask) {
      let result = MatrixLayout(.f32, rows: rows, columns: hidden)
      let kept = MatrixLayout(room.kept, rows: rows, columns: head.rows)
      for words in extents(of: head.rows, by: room.chunk) {
        let logits = MatrixLayout(.f32, rows: rows, columns: words)
        let part = head.part(rows: words, columns: hidden)
        need.include(
          ProductForm(a: x.part(rows: rows, columns: hidden), b: part.transposed, c: logits),
          bf16: bf16)
        for accumulates in hasGradient ? [false, true] : [] {
          need.include(
            ProductForm(
              a: kept.part(rows: rows, columns: words), b: part, c: result,
              accumulates: accumulates), bf16: bf16)
        }
      }
    }
    return need
  }

  /// The scratch of ``crossEntropyHeadGradient(_:head:targets:lossGradient:into:accumulate:)``.
  package func need(
    crossEntropyHeadGradient x: MatrixLayout, head: MatrixLayout, into dHead: MatrixLayout
  ) -> ScratchNeed {
    var need = need(crossEntropy: x, head: head, hasGradient: false)
    need.includeShared(x.rows * 8)
    for words in extents(of: head.rows, by: CrossEntropyRoom.wordsOfGradient) {
      need.include(CrossEntropyRoom.tokensOfGradient * words * 4, for: .task)
      for rows in extents(of: x.rows, by: CrossEntropyRoom.tokensOfGradient) {
        let tokens = x.part(rows: rows, columns: x.columns)
        let logits = MatrixLayout(.f32, rows: rows, columns: words)
        need.include(
          ProductForm(
            a: tokens, b: head.part(rows: words, columns: x.columns).transposed, c: logits),
          bf16: hasBF16DotProduct)
        need.include(
          ProductForm(
            a: logits.transposed, b: tokens, c: dHead.part(rows: words, columns: x.columns)),
          bf16: false)
      }
    }
    return need
  }

  /// The gradient of the head: Σₜ lossGradient[t] · (softmax(x[t]·headᵀ) − onehot(targets[t])) ⊗ x[t].
  ///
  /// lossGradient: [tokens] f32  dHead: [vocab, hidden] f32
  package func crossEntropyHeadGradient(
    _ x: MemorySlice, head: MemorySlice, targets: MemorySlice, lossGradient: MemorySlice,
    into dHead: MemorySlice, accumulate: Bool = false
  ) {
    let tokens = x.shape.rows
    shared.lend(tokens * 8) { statistics in
      let losses = MemorySlice(statistics, dtype: .f32, shape: [tokens])
      let logSumExp = MemorySlice(statistics, at: tokens * 4, dtype: .f32, shape: [tokens])
      crossEntropy(
        x, head: head, targets: targets, losses: losses, logSumExp: logSumExp, xGradient: nil)
      addHeadGradient(
        x, head: head, targets: targets, lossGradient: lossGradient, logSumExp: logSumExp,
        into: dHead, accumulate: accumulate)
    }
  }

  /// A task owns words; it walks the tokens in order.
  private func addHeadGradient(
    _ x: MemorySlice, head: MemorySlice, targets: MemorySlice, lossGradient: MemorySlice,
    logSumExp: MemorySlice, into dHead: MemorySlice, accumulate: Bool
  ) {
    let (tokens, hidden, vocab) = (x.shape.rows, x.shape.columns, head.shape.rows)
    let (level, workers, bf16) = (level, workers, hasBF16DotProduct)
    let rowsAtOnce = CrossEntropyRoom.tokensOfGradient
    runs(of: vocab, length: CrossEntropyRoom.wordsOfGradient) { words, worker in
      let worker = workers[worker]
      let logits = unsafe worker.floats(rowsAtOnce * words.count)
      for first in stride(from: 0, to: tokens, by: rowsAtOnce) {
        let rows = first..<min(tokens, first + rowsAtOnce)
        let g = unsafe Matrix(logits, .f32, rows: rows.count, columns: words.count)
        unsafe worker.multiply(
          Matrix(x)[rows, 0..<hidden], Matrix(head)[words, 0..<hidden].transposed, into: g,
          bf16: bf16, level: level)
        for row in rows {
          let target = targets.int32(row)
          let line = unsafe logits + (row - first) * words.count
          let factor = unsafe target < 0 ? 0 : lossGradient.floats(element: row).pointee
          unsafe graft_probabilities(
            level, line, Int64(words.count), logSumExp.floats(element: row).pointee, factor)
          if words.contains(target) { unsafe line[target - words.lowerBound] -= factor }
        }
        unsafe worker.multiply(
          g.transposed, Matrix(x)[rows, 0..<hidden], into: Matrix(dHead)[words, 0..<hidden],
          accumulate: accumulate || first > 0, bf16: false, level: level)
      }
    }
  }

  /// A task is a run of tokens.
  ///
  /// It walks the vocabulary, keeping exp(logit − chunk's maximum) of every word in the
  /// precision that the second product takes; then these become the gradient of the logits, and that of x.
  private func crossEntropy(
    _ x: MemorySlice, head: MemorySlice, targets: MemorySlice, losses: MemorySlice,
    logSumExp: MemorySlice?, xGradient: MemorySlice?
  ) {
    let (tokens, hidden, vocab) = (x.shape.rows, x.shape.columns, head.shape.rows)
    precondition(head.shape.columns == hidden && targets.shape.elementCount == tokens, "one width")
    let (level, workers, bf16) = (level, workers, hasBF16DotProduct)
    let room = CrossEntropyRoom(x.dtype, head.dtype, head.shape, bf16: bf16)
    let (kept, chunk, rowsPerTask) = (room.kept, room.chunk, room.rowsPerTask)
    let size = kept.layout.bytes
    let chunks = (vocab + chunk - 1) / chunk
    runs(of: tokens, length: rowsPerTask) { range, worker in
      let worker = workers[worker]
      let rows = range.count
      let logits = unsafe worker.floats(room.floatCount)
      let kernel = unsafe UnsafeMutableRawPointer(logits + rowsPerTask * chunk)
      let maxima = unsafe (kernel + (rowsPerTask * vocab * size + 63) / 64 * 64)
        .assumingMemoryBound(to: Float.self)
      let sums = unsafe maxima + rowsPerTask * chunks
      let logSums = unsafe sums + rowsPerTask * chunks
      let targetLogits = unsafe logSums + rowsPerTask
      let gradient = unsafe targetLogits + rowsPerTask

      for index in 0..<chunks {
        let words = index * chunk..<min(vocab, (index + 1) * chunk)
        unsafe worker.multiply(
          Matrix(x)[range, 0..<hidden], Matrix(head)[words, 0..<hidden].transposed,
          into: Matrix(logits, .f32, rows: rows, columns: words.count), bf16: bf16, level: level)
        for row in 0..<rows {
          let line = unsafe logits + row * words.count
          let target = targets.int32(range.lowerBound + row)
          precondition(target < vocab, "a target is a word")
          if words.contains(target) {
            unsafe targetLogits[row] = line[target - words.lowerBound]
          }
          let place = row * vocab + words.lowerBound
          unsafe graft_exponentials(
            level, line, Int64(words.count), xGradient == nil ? nil : kernel + place * size,
            kept.code, maxima + row * chunks + index, sums + row * chunks + index)
        }
      }
      for row in 0..<rows {
        let token = range.lowerBound + row
        var maximum = -Float.infinity
        for i in 0..<chunks { unsafe maximum = max(maximum, maxima[row * chunks + i]) }
        var sum: Float = 0
        for i in 0..<chunks {
          unsafe sum += sums[row * chunks + i] * graft_exp(maxima[row * chunks + i] - maximum)
        }
        let ignored = targets.int32(token) < 0
        unsafe logSums[row] = maximum + graft_log(sum)
        unsafe losses.floats(element: token).pointee =
          ignored ? 0 : logSums[row] - targetLogits[row]
        if let logSumExp { unsafe logSumExp.floats(element: token).pointee = logSums[row] }
      }
      guard let xGradient else { return }
      for index in 0..<chunks {
        let words = index * chunk..<min(vocab, (index + 1) * chunk)
        for row in 0..<rows {
          let target = targets.int32(range.lowerBound + row)
          let place = row * vocab + words.lowerBound
          unsafe graft_scale_exponentials(
            level, kernel + place * size, kept.code, Int64(words.count),
            target < 0 ? 0 : graft_exp(maxima[row * chunks + index] - logSums[row]))
          if words.contains(target) {
            var g = unsafe graft_exp(targetLogits[row] - logSums[row]) - 1
            unsafe graft_convert(
              level, &g, DType.f32.code, kernel + (row * vocab + target) * size, kept.code, 1)
          }
        }
        unsafe worker.multiply(
          Matrix(kernel, kept, rows: rows, columns: vocab)[0..<rows, words],
          Matrix(head)[words, 0..<hidden],
          into: Matrix(gradient, .f32, rows: rows, columns: hidden), accumulate: index > 0,
          bf16: bf16, level: level)
      }
      unsafe Matrix(gradient, .f32, rows: rows, columns: hidden).copy(
        to: Matrix(xGradient)[range, 0..<hidden], level: level)
    }
  }
}
