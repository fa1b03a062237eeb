import GraftCore
import GraftGraph
import GraftKernels

/// A decoder in the manner of Llama, small, built of graph primitives alone: RMSNorm, rotary embedding, grouped-query
/// attention, SwiGLU, low-rank adapters on q and v.
struct TinyLlama {
  var example = Example()
  var batch = 2, sequence = 6, hidden = 16, heads = 4, groups = 2, width = 4
  var intermediate = 24, vocabulary = 20, rank = 2, layers = 2
  var dtype = DType.f32
  /// The probability that an element of an adapter's input is dropped.
  var dropout = 0.0
  private(set) var losses = Value(node: 0)
  private(set) var loss = Value(node: 0)
  private(set) var adapters: [TensorName] = []
  private(set) var gradients: [Value] = []

  var outputs: [Value] { [losses] + gradients }

  init(_ dtype: DType = .f32, _ change: (inout TinyLlama) -> Void = { _ in }) throws {
    self.dtype = dtype
    change(&self)
    let tokens = batch * sequence
    let table = example.parameter("embed", [vocabulary, hidden], dtype, scale: 0.8)
    let vocabulary = vocabulary
    let ids = example.integers("ids", (0..<tokens).map { ($0 * 7 + 3) % vocabulary })
    let targets = example.integers(
      "targets", (0..<tokens).map { $0 % 6 == 5 ? -1 : ($0 * 5 + 1) % vocabulary })
    let rotation = rotationTables()
    var x = example.graph.cast(example.graph.gather(table, ids), to: self.dtype)
    for layer in 0..<layers {
      example.graph.beginBlock("block.\(layer)")
      x = block(layer, x, rotation)
      example.graph.endBlock()
    }
    let last = norm(x, "norm")
    losses = example.graph.crossEntropy(
      example.graph.cast(last, to: self.dtype), head: table, targets: targets)
    let scale = example.graph.constant(1 / Float(tokens))
    loss = example.graph.multiply(
      example.graph.sumRows(example.graph.reshape(losses, [tokens, 1])), scale)
    let values = adapters.map { name in
      example.parameter(name, shapes[name] ?? [], .f32)
    }
    gradients = try example.graph.gradients(of: loss, withRespectTo: values)
  }

  private var shapes: [TensorName: Shape] = [:]

  private mutating func rotationTables() -> (cosine: Value, sine: Value) {
    let width = width
    var angles: [Double] = []
    for t in 0..<sequence {
      for i in 0..<width { angles.append(Double(t) / Double(1 + 3 * (i % (width / 2)))) }
    }
    let cosine = example.values(
      "cosine", angles.map { GraftGraphTests.sine($0 + .pi / 2) }, [sequence, 1, width])
    let sine = example.values("sine", angles.map(GraftGraphTests.sine), [sequence, 1, width])
    return (cosine, sine)
  }

  private mutating func block(
    _ layer: Int, _ x: Value, _ rotation: (cosine: Value, sine: Value)
  ) -> Value {
    let path = "block.\(layer)"
    let stream = example.graph.cast(x, to: .f32)
    let normed = example.graph.cast(norm(stream, TensorName(path + ".norm1")), to: dtype)
    let shape = AttentionShape(
      batch: batch, sequence: sequence, heads: heads, keyValueHeads: groups, headDim: width,
      scale: 0.5)
    let q = rotated(linear(normed, path + ".q", heads * width, adapted: true), heads, rotation)
    let k = rotated(linear(normed, path + ".k", groups * width), groups, rotation)
    let v = example.graph.cast(
      linear(normed, path + ".v", groups * width, adapted: true), to: dtype)
    let attended = example.graph.attention(q, k, v, shape: shape)
    let o = linear(attended, path + ".o", hidden)
    let middle = example.graph.add(stream, example.graph.cast(o, to: .f32))
    let second = example.graph.cast(norm(middle, TensorName(path + ".norm2")), to: dtype)
    let gate = example.graph.cast(linear(second, path + ".gate", intermediate), to: .f32)
    let up = example.graph.cast(linear(second, path + ".up", intermediate), to: .f32)
    let swish = example.graph.multiply(gate, example.graph.sigmoid(gate))
    let product = example.graph.cast(example.graph.multiply(swish, up), to: dtype)
    let down = example.graph.cast(linear(product, path + ".down", hidden), to: .f32)
    return example.graph.cast(example.graph.add(middle, down), to: dtype)
  }

  private mutating func rotated(
    _ x: Value, _ count: Int, _ rotation: (cosine: Value, sine: Value)
  ) -> Value {
    let split = example.graph.reshape(
      example.graph.cast(x, to: .f32), [batch, sequence, count, width])
    let turned = example.graph.add(
      example.graph.multiply(split, rotation.cosine),
      example.graph.multiply(
        example.graph.rotateHalf(split, width: width), rotation.sine))
    return example.graph.reshape(
      example.graph.cast(turned, to: dtype), [batch * sequence, count * width])
  }

  private mutating func norm(_ x: Value, _ name: TensorName) -> Value {
    let gain = example.graph.cast(
      example.parameter(name, [hidden], dtype, scale: 0.3, offset: 1), to: .f32)
    let x = example.graph.cast(x, to: .f32)
    let mean = example.graph.multiply(
      example.graph.rowSum(example.graph.square(x)), example.graph.constant(1 / Float(hidden)))
    let scale = example.graph.reciprocalSquareRoot(
      example.graph.add(mean, example.graph.constant(1e-5)))
    return example.graph.multiply(example.graph.multiply(x, scale), gain)
  }

  private mutating func linear(
    _ x: Value, _ path: String, _ size: Int, adapted: Bool = false
  ) -> Value {
    let inner = example.graph.shape(of: x).columns
    let weight = example.parameter(TensorName(path), [size, inner], dtype, scale: 0.3)
    let y = example.graph.matmul(x, transposed: false, weight, transposed: true, dtype: dtype)
    guard adapted else { return y }
    let (nameA, nameB) = (TensorName(path + ".A"), TensorName(path + ".B"))
    let a = example.parameter(nameA, [rank, inner], scale: 0.4)
    let b = example.parameter(nameB, [size, rank], scale: 0.4)
    adapters += [nameA, nameB]
    shapes[nameA] = [rank, inner]
    shapes[nameB] = [size, rank]
    let kept = dropout > 0 ? dropped(x, path) : x
    let narrow = example.graph.matmul(kept, transposed: false, a, transposed: true, dtype: .f32)
    let scaled = example.graph.multiply(narrow, example.graph.constant(2))
    let delta = example.graph.matmul(scaled, transposed: false, b, transposed: true, dtype: .f32)
    return example.graph.add(example.graph.cast(y, to: .f32), delta)
  }

  private mutating func dropped(_ x: Value, _ path: String) -> Value {
    let mask = DropoutMask(probability: dropout, seed: 3, stream: FNV1a(path.utf8).value)
    let batch = example.number("number", 7)
    return example.graph.dropout(x, mask, batch: batch)
  }

  /// The extents of SmolLM2-135M, 4 × 512 tokens, in bf16 with adapters of rank 8; without elements.
  static func smolLM2(dropout: Double = 0) throws -> TinyLlama {
    try TinyLlama(.bf16) { model in
      model.dropout = dropout
      model.example.fillsParameters = false
      (model.batch, model.sequence, model.hidden) = (4, 512, 576)
      (model.heads, model.groups, model.width) = (9, 3, 64)
      (model.intermediate, model.vocabulary, model.rank, model.layers) = (1536, 49152, 8, 30)
    }
  }
}
