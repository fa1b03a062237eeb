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

  /// The gradient of the head: Σₜ lossGradient[t] · (softmax(x[t]·headᵀ) − onehot(targets[t])) ⊗ x[t].
  ///
  /// lossGradient: [tokens] f32  dHead: [vocab, hidden] f32
  package func crossEntropyHeadGradient(
    _ x: MemorySlice, head: MemorySlice, targets: MemorySlice, lossGradient: MemorySlice,
    into dHead: MemorySlice, accumulate: Bool = false
  ) {
    let (tokens, hidden, vocab) = (x.shape.rows, x.shape.columns, head.shape.rows)
    let (level, workers, bf16) = (level, workers, hasBF16DotProduct)
    let statistics = Memory.needed(byteCount: tokens * 8)
    let losses = MemorySlice(statistics, dtype: .f32, shape: [tokens])
    let logSumExp = MemorySlice(statistics, at: tokens * 4, dtype: .f32, shape: [tokens])
    crossEntropy(
      x, head: head, targets: targets, losses: losses, logSumExp: logSumExp, xGradient: nil)
    // A task owns words; it walks the tokens in order.
    let rowsAtOnce = 256
    runs(of: vocab, length: 512) { words, worker in
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
    let room = CrossEntropyRoom(
      vocabulary: vocab, hidden: hidden,
      kept: bf16 && head.dtype == .bf16 && x.dtype == .bf16 ? .bf16 : .f32)
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
