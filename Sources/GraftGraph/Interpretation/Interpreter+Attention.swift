internal import GraftKernels
internal import Glibc

extension Interpreter {
  /// Attention by whole rows of probabilities: o and the log-sum-exp of each token and head.
  ///
  /// Query `t` of a sequence stands at key `first + t`.
  func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, first: Int,
    segments: Tensor?
  ) -> [[Double]] {
    var o: [Double] = []
    var logSumExp: [Double] = []
    for token in 0..<shape.batch * shape.sequence {
      for head in 0..<shape.heads {
        let p = probabilities(q, k, shape, token, head, first: first, segments)
        let values = p.keys.map { slice(v, $0, shape.group(of: head), shape) }
        o += weighted(values, by: p.weights)
        logSumExp.append(p.logSumExp)
      }
    }
    return [o, logSumExp]
  }

  /// ∂q, ∂k, ∂v from ∂o; inputs: q, k, v, o, log-sum-exp, ∂o, perhaps segments.
  func attentionBackward(_ inputs: [Tensor], _ shape: AttentionShape) -> [[Double]] {
    let (q, k, v, dy) = (inputs[0], inputs[1], inputs[2], inputs[5])
    var gradients = [q, k, v].map { [Double](repeating: 0, count: $0.elements.count) }
    func add(_ x: ArraySlice<Double>, times weight: Double, to i: Int, _ row: Int, _ head: Int) {
      let start = row * inputs[i].columns + head * shape.headDim
      for (column, x) in x.enumerated() { gradients[i][start + column] += weight * x }
    }
    for token in 0..<shape.batch * shape.sequence {
      for head in 0..<shape.heads {
        let group = shape.group(of: head)
        let p = probabilities(q, k, shape, token, head, first: 0, inputs.dropFirst(6).first)
        let g = slice(dy, token, head, shape)
        let dp = p.keys.map { dot(g, slice(v, $0, group, shape)) }
        let mean = zip(p.weights, dp).reduce(0) { $0 + $1.0 * $1.1 }
        for (i, key) in p.keys.enumerated() {
          let ds = p.weights[i] * (dp[i] - mean) * Double(shape.scale)
          add(slice(k, key, group, shape), times: ds, to: 0, token, head)
          add(slice(q, token, head, shape), times: ds, to: 1, key, group)
          add(g, times: p.weights[i], to: 2, key, group)
        }
      }
    }
    return gradients
  }

  private func probabilities(
    _ q: Tensor, _ k: Tensor, _ shape: AttentionShape, _ token: Int, _ head: Int, first: Int,
    _ segments: Tensor?
  ) -> (keys: [Int], weights: [Double], logSumExp: Double) {
    let start = token / shape.sequence * shape.sequence
    let keys = (start..<start + shape.sequence + first).filter { key in
      let distance = token + first - key
      return (distance >= 0 || !shape.isCausal) && abs(distance) < shape.window ?? .max
        && segments.map { $0.elements[key] == $0.elements[token] } ?? true
    }
    let query = slice(q, token, head, shape)
    let scores = keys.map {
      Double(shape.scale) * dot(query, slice(k, $0, shape.group(of: head), shape))
    }
    let logSumExp = logSumExp(scores)
    return (keys, scores.map { exp($0 - logSumExp) }, logSumExp)
  }

  private func slice(
    _ x: Tensor, _ row: Int, _ head: Int, _ shape: AttentionShape
  ) -> ArraySlice<Double> {
    let start = row * x.columns + head * shape.headDim
    return x.elements[start..<start + shape.headDim]
  }

  // MARK: - The loss head

  /// Losses, and their gradients with respect to the logits; both zero where the target is negative.
  func crossEntropy(
    _ x: Tensor, head: Tensor, targets: Tensor
  ) -> (losses: [Double], gradients: [[Double]]) {
    var losses: [Double] = []
    var gradients: [[Double]] = []
    for (row, target) in zip(x.rows, targets.elements) {
      guard target >= 0 else {
        losses.append(0)
        gradients.append([Double](repeating: 0, count: head.rows.count))
        continue
      }
      let logits = head.rows.map { dot(row, $0) }
      let logSumExp = logSumExp(logits)
      losses.append(logSumExp - logits[Int(target)])
      var gradient = logits.map { exp($0 - logSumExp) }
      gradient[Int(target)] -= 1
      gradients.append(gradient)
    }
    return (losses, gradients)
  }

  private func logSumExp(_ x: [Double]) -> Double {
    let peak = x.max() ?? 0
    return peak + log(x.reduce(0) { $0 + exp($1 - peak) })
  }
}

extension AttentionShape {
  /// The key and value head that serves a query head.
  fileprivate func group(of head: Int) -> Int { head / (heads / keyValueHeads) }
}
