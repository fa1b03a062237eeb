internal import GraftCore
internal import GraftKernels

extension Graph {
  /// Checks what every pass relies on: inputs come earlier, results have the types that the operation gives.
  ///
  /// - Throws: ``GraphError`` that names the first broken node.
  package func verify() throws(GraphError) {
    for (place, node) in nodes.enumerated() {
      for input in node.inputs {
        guard input.node < place, input.result < nodes[input.node].results.count else {
          throw broken(place, "an input comes later")
        }
        guard canRead(input, node) else { throw broken(place, "a mask has no memory") }
      }
      let types = node.inputs.map { type(of: $0) }
      let isSound: Bool
      switch node.op {
      case .parameter, .input, .constant: isSound = types.isEmpty
      case .dropoutMask:
        isSound = types == [ValueType(.i64, [1])] && node.results[0].dtype == .f32
      case .unary, .rotateHalf: isSound = types == node.results && types[0].dtype == .f32
      case .binary:
        isSound =
          types.count == 2 && types.allSatisfy { $0.dtype == .f32 }
          && Shape.broadcast(types[0].shape, types[1].shape) == node.results[0].shape
      case .select: isSound = types.count == 3 && types.allSatisfy { $0 == node.results[0] }
      case .cast:
        isSound = types.count == 1 && types[0].shape == node.results[0].shape
      case .broadcast:
        isSound = Shape.broadcast(types[0].shape, node.results[0].shape) == node.results[0].shape
      case .rowReduce:
        isSound =
          types[0].dtype == .f32 && node.results[0].shape.columns == 1
          && types[0].shape.rows == node.results[0].shape.elementCount
      case .sumRows:
        isSound = types[0].dtype == .f32 && node.results[0].shape == [types[0].shape.columns]
      case .reshape:
        isSound =
          types[0].dtype == node.results[0].dtype
          && types[0].shape.elementCount == node.results[0].shape.elementCount
      case .matmul(let transposeA, let transposeB):
        let (a, b) = (types[0].shape, types[1].shape)
        isSound =
          a.rank == 2 && b.rank == 2 && a[transposeA ? 0 : 1] == b[transposeB ? 1 : 0]
          && node.results[0].shape == [a[transposeA ? 1 : 0], b[transposeB ? 0 : 1]]
      case .attention(let shape):
        isSound =
          types.count >= 3 && node.results[0] == types[0]
          && areSegments(types.dropFirst(3), of: shape)
      case .attentionBackward(let shape):
        isSound =
          types.count >= 6 && node.results.count == 3 && areSegments(types.dropFirst(6), of: shape)
      case .cachedAttention: isSound = types.count == 6 && types[5].dtype == .i32
      case .gather: isSound = types[1].dtype == .i32 && node.results[0].dtype == types[0].dtype
      case .scatterAdd:
        isSound =
          types.count <= 3 && types[1].dtype == .i32 && node.results[0].dtype == .f32
          && types.dropFirst(2).allSatisfy { $0 == node.results[0] }
      case .crossEntropy:
        isSound = types.count == 3 && types[2].dtype == .i32 && node.results[1] == types[0]
      case .crossEntropyHeadGradient:
        isSound =
          (4...5).contains(types.count) && types.dropFirst(4).allSatisfy { $0 == node.results[0] }
      case .assign: isSound = types.count == 2 && types[0] == types[1]
      }
      guard isSound else { throw broken(place, "its types don't fit") }
    }
  }

  /// Whether a node makes a mask for itself that it reads: element by element, as others are in no memory.
  private func canRead(_ input: Value, _ node: Node) -> Bool {
    guard case .dropoutMask = nodes[input.node].op else { return true }
    guard case .binary = node.op else { return false }
    return node.results[0].shape == shape(of: input)
  }

  /// Whether the inputs after those that attention must have are none, or the segments of its tokens.
  private func areSegments(_ types: ArraySlice<ValueType>, of shape: AttentionShape) -> Bool {
    types.count <= 1
      && types.allSatisfy {
        $0.dtype == .i32 && $0.shape.elementCount == shape.batch * shape.sequence
      }
  }

  private func broken(_ place: Int, _ what: String) -> GraphError {
    GraphError(.inconsistent("node \(place), \(nodes[place].op): \(what)"))
  }
}
