import GraftCore
import GraftGraph
import GraftKernels
import TestSupport
import Testing

/// The vector-Jacobian rule of every operation against finite differences, and compiled against interpreted.
struct GradientTests {
  /// An expression of parameters `x` and `y`, both [6, 8].
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let build: @Sendable (inout Graph, _ x: Value, _ y: Value) -> Value
    var testDescription: String { name }

    init(_ name: String, _ build: @escaping @Sendable (inout Graph, Value, Value) -> Value) {
      self.name = name
      self.build = build
    }
  }

  static let cases: [Case] = [
    Case("negate") { g, x, _ in g.negate(x) },
    Case("exp") { g, x, _ in g.exp(x) },
    Case("log") { g, x, _ in g.log(x) },
    Case("squareRoot") { g, x, _ in g.squareRoot(x) },
    Case("reciprocalSquareRoot") { g, x, _ in g.reciprocalSquareRoot(x) },
    Case("reciprocal") { g, x, _ in g.reciprocal(x) },
    Case("tanh") { g, x, _ in g.tanh(x) },
    Case("sigmoid") { g, x, _ in g.sigmoid(x) },
    Case("erf") { g, x, _ in g.erf(x) },
    Case("absolute") { g, x, y in g.absolute(g.subtract(x, y)) },
    Case("square") { g, x, _ in g.square(x) },
    Case("sine") { g, x, _ in g.sine(x) },
    Case("cosine") { g, x, _ in g.cosine(x) },
    Case("add") { g, x, y in g.add(x, y) },
    Case("subtract") { g, x, y in g.subtract(x, y) },
    Case("multiply") { g, x, y in g.multiply(x, y) },
    Case("divide") { g, x, y in g.divide(x, y) },
    Case("maximum") { g, x, y in g.maximum(x, y) },
    Case("minimum") { g, x, y in g.minimum(x, y) },
    Case("select") { g, x, y in
      g.select(g.less(x, y), then: g.square(x), otherwise: g.multiply(x, y))
    },
    Case("less and equal have none") { g, x, y in
      g.add(g.multiply(x, g.less(x, y)), g.multiply(y, g.equal(x, x)))
    },
    Case("rotateHalf") { g, x, y in g.multiply(g.rotateHalf(x, width: 4), y) },
    Case("rowSum") { g, x, y in g.multiply(g.rowSum(g.square(x)), y) },
    Case("rowMax") { g, x, y in g.multiply(g.rowMax(x), y) },
    Case("sumRows") { g, x, y in g.multiply(g.sumRows(g.square(x)), y) },
    Case("softmax") { g, x, y in
      let e = g.exp(g.subtract(x, g.rowMax(x)))
      return g.multiply(g.divide(e, g.rowSum(e)), y)
    },
    Case("a vector broadcast over rows") { g, x, y in g.multiply(x, g.sumRows(y)) },
    Case("a column broadcast over columns") { g, x, y in g.divide(x, g.rowSum(y)) },
    Case("a scalar broadcast") { g, x, y in
      g.multiply(x, g.sumRows(g.reshape(g.rowSum(y), [6, 1])))
    },
    Case("broadcast") { g, x, y in
      g.multiply(g.broadcast(g.sumRows(y), to: [6, 8]), g.square(x))
    },
    Case("an outer axis broadcast") { g, x, y in
      let wide = g.reshape(x, [2, 3, 2, 4])
      let narrow = g.reshape(g.sumRows(g.reshape(y, [2, 24])), [3, 2, 4])
      return g.multiply(wide, narrow)
    },
    Case("reshape") { g, x, y in
      g.multiply(g.rowSum(g.square(g.reshape(x, [12, 4]))), g.reshape(y, [12, 4]))
    },
    Case("matmul") { g, x, y in
      g.matmul(x, transposed: false, g.reshape(y, [8, 6]), transposed: false, dtype: .f32)
    },
    Case("matmul, b transposed") { g, x, y in
      g.matmul(x, transposed: false, y, transposed: true, dtype: .f32)
    },
    Case("matmul, a transposed") { g, x, y in
      g.matmul(x, transposed: true, y, transposed: false, dtype: .f32)
    },
    Case("matmul, both transposed") { g, x, y in
      g.matmul(x, transposed: true, g.reshape(y, [8, 6]), transposed: true, dtype: .f32)
    },
    Case("a value used by three operations") { g, x, y in
      let z = g.multiply(x, y)
      return g.add(g.add(g.exp(z), g.rowSum(z)), g.matmulSquare(z))
    },
    Case("attention") { g, x, y in g.attention(x, y, batch: 2) },
    Case("attention in a window") { g, x, y in g.attention(x, y, batch: 1, window: 2) },
    Case("attention within segments") { g, x, y in
      g.attention(x, y, batch: 1, segments: g.input("segments", .i32, [6]))
    },
    Case("attention within segments and a window") { g, x, y in
      g.attention(x, y, batch: 1, window: 2, segments: g.input("segments", .i32, [6]))
    },
    Case("attention both ways") { g, x, y in g.attention(x, y, batch: 2, isCausal: false) },
    Case("attention both ways within segments") { g, x, y in
      g.attention(x, y, batch: 1, isCausal: false, segments: g.input("segments", .i32, [6]))
    },
    Case("gather") { g, x, y in
      let ids = g.input("ids", .i32, [6])
      return g.multiply(g.gather(x, ids), y)
    },
    Case("crossEntropy") { g, x, y in
      let targets = g.input("targets", .i32, [6])
      return g.crossEntropy(x, head: y, targets: targets)
    },
  ]

  /// Cases that round on their way, so that they have no exact values beside PyTorch's.
  static let roundedCases: [Case] = [
    Case("cast") { g, x, y in g.multiply(g.cast(g.cast(x, to: .bf16), to: .f32), y) }
  ]

  @Test(arguments: cases + roundedCases)
  func `gradients are those of finite differences, interpreted and compiled`(
    _ testCase: Case
  ) throws {
    var example = Example()
    let x = example.parameter("x", [6, 8], scale: 0.6, offset: 1.1)
    let y = example.parameter("y", [6, 8], scale: 0.5, offset: 1.3)
    _ = example.integers("ids", [1, 4, 4, 0, 2, 4])
    _ = example.integers("targets", [1, 4, -1, 0, 2, 5])
    _ = example.integers("segments", [0, 2, 2, 2, 2, 3])
    let loss = example.loss(testCase.build(&example.graph, x, y))
    let names: [TensorName] = ["x", "y"]
    let used = names.filter { name in
      (try? {
        var graph = example.graph
        return try graph.gradients(of: loss, withRespectTo: [name == "x" ? x : y])
      }()) != nil
    }
    #expect(used.contains("x"))
    let gradients = try example.graph.gradients(
      of: loss, withRespectTo: used.map { $0 == "x" ? x : y })
    let exact = try example.interpret(gradients, rounding: .none)
    for (name, gradient) in zip(used, exact) {
      let truth = try example.finiteDifferences(of: loss, name, at: Array(gradient.indices))
      #expect(distance(gradient, truth) < 1e-7, "∂\(name)")
    }
    let compiled = try example.run([loss] + gradients)
    for (found, truth) in zip(compiled, try example.interpret([loss] + gradients)) {
      #expect(distance(found, truth) < 1e-5)
    }
    let plain = try example.run(
      [loss] + gradients, CompilerOptions(recompute: .none, fusion: false), threads: 1)
    #expect(compiled == plain)
  }

  @Test(arguments: cases)
  func `values and gradients are PyTorch's, interpreted and compiled`(_ testCase: Case) throws {
    let golden = try #require(
      try Repository.goldenJSON("operations/operations.json")[testCase.name])
    let expected = try #require(golden["gradients"]?.object?.members)
    var example = Example()
    let x = example.parameter("x", [6, 8], scale: 0.6, offset: 1.1)
    let y = example.parameter("y", [6, 8], scale: 0.5, offset: 1.3)
    _ = example.integers("ids", [1, 4, 4, 0, 2, 4])
    _ = example.integers("targets", [1, 4, -1, 0, 2, 5])
    _ = example.integers("segments", [0, 2, 2, 2, 2, 3])
    let result = testCase.build(&example.graph, x, y)
    let loss = example.loss(result)
    let gradients = try example.graph.gradients(
      of: loss, withRespectTo: expected.map { $0.key == "x" ? x : y })
    let truth =
      try [#require(golden["result"]?.array)] + expected.map { try #require($0.value.array) }
    let outputs = [result] + gradients
    // The interpreter works in 64 bits, but a graph's constants (2/√π, a scale) have 32.
    for (found, tolerance) in [
      (try example.interpret(outputs, rounding: .none), 1e-7), (try example.run(outputs), 2e-5),
    ] {
      for (values, expected) in zip(found, truth) {
        #expect(distance(values, expected.compactMap(\.double)) < tolerance)
      }
    }
  }

  @Test func `a gradient that can't be expressed is refused`() throws {
    var example = Example()
    let x = example.parameter("x", [2, 3, 4])
    let y = example.parameter("y", [2, 1, 4])
    let loss = example.loss(example.graph.multiply(x, y))
    #expect(
      throws: GraphError(.notDifferentiable(operation: "broadcasting along a middle axis"))
    ) { try example.graph.gradients(of: loss, withRespectTo: [y]) }
  }
}

extension Graph {
  /// Four heads of queries from x over two of keys and values from y; both [6, 8].
  fileprivate mutating func attention(
    _ x: Value, _ y: Value, batch: Int, isCausal: Bool = true, window: Int? = nil,
    segments: Value? = nil
  ) -> Value {
    let keys = reshape(rowSum(reshape(y, [24, 2])), [6, 4])
    let values = reshape(rowSum(square(reshape(y, [24, 2]))), [6, 4])
    let shape = AttentionShape(
      batch: batch, sequence: 6 / batch, heads: 4, keyValueHeads: 2, headDim: 2, scale: 0.7,
      isCausal: isCausal, window: window)
    return attention(x, keys, values, shape: shape, segments: segments)
  }

  /// z · zᵀ · z: [rows, columns].
  fileprivate mutating func matmulSquare(_ z: Value) -> Value {
    matmul(
      matmul(z, transposed: false, z, transposed: true, dtype: .f32), transposed: false, z,
      transposed: false, dtype: .f32)
  }
}
