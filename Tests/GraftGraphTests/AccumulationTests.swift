import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Gradients of a table that is looked up in and is the head as well, on their way into an accumulator.
struct AccumulationTests {
  static let words = 40
  static let width = 8

  let table: Value
  let sum: Value
  let loss: Value
  private(set) var example = Example()

  init() throws {
    table = example.parameter("table", [Self.words, Self.width], scale: 0.4)
    sum = example.parameter("sum", [Self.words, Self.width], scale: 0.3)
    let ids = example.integers("ids", [3, 39, 3, 0, 17, 3])
    let targets = example.integers("targets", [39, 3, 0, -1, 3, 8])
    let hidden = example.graph.tanh(example.graph.gather(table, ids))
    loss = example.loss(example.graph.crossEntropy(hidden, head: table, targets: targets))
  }

  private func compilation(_ graph: Graph, _ outputs: [Value] = []) throws -> Compilation {
    try Compilation(graph, outputs: outputs, options: CompilerOptions())
  }

  /// Buffers of the arena that are as large as the table.
  private func tables(_ compilation: Compilation) -> Int {
    compilation.memoryPlan.buffers.count { $0.byteCount == Self.words * Self.width * 4 }
  }

  /// A value of a graph on an example's memory.
  private static func run(_ graph: Graph, of example: Example, _ value: Value) throws -> [Double] {
    var other = example
    other.graph = graph
    return try other.run([value])[0]
  }

  /// The accumulator after a run.
  private func accumulated(_ graph: Graph, fusion: Bool, threads: Int) throws -> [Double] {
    let executable = try Executable(
      graph, outputs: [], options: CompilerOptions(fusion: fusion),
      kernels: Kernels(pool: ThreadPool(threadCount: threads)))
    executable.poisonsMemory = true
    let bindings = try example.bindings()
    try executable.run(bindings: bindings)
    return try #require(bindings["sum"]).elements
  }

  @Test func `a table's gradients are in no memory but their accumulator's`() throws {
    var graph = example.graph
    try graph.differentiate(loss, into: [(parameter: table, sum: sum)])
    #expect(tables(try compilation(graph)) == 0)

    var added = example.graph
    try added.differentiate(loss, withRespectTo: [table]) { graph, _, gradient in
      graph.assign(sum, graph.add(sum, gradient))
    }
    #expect(tables(try compilation(added)) > 0)

    var separate = example.graph
    let gradient = try separate.gradients(of: loss, withRespectTo: [table])[0]
    var interpreter = Interpreter(separate, memory: example.elements, rounding: .none)
    let expected = zip(try #require(example.elements["sum"]), try interpreter.run([gradient])[0])
      .map { $0 + $1 }
    var whole = Interpreter(graph, memory: example.elements, rounding: .none)
    _ = try whole.run([])
    #expect(distance(try #require(whole.memory["sum"]), expected) < 1e-12)
    let first = try accumulated(graph, fusion: true, threads: 1)
    #expect(distance(first, expected) < 1e-5)
    for (fusion, threads) in [(false, 1), (true, 2), (false, 3)] {
      #expect(try accumulated(graph, fusion: fusion, threads: threads) == first)
    }
  }

  @Test func `an accumulator that somebody reads is changed at the end alone`() throws {
    var graph = example.graph
    let twice = graph.multiply(sum, graph.constant(2))
    try graph.differentiate(loss, into: [(parameter: table, sum: sum)])
    let executable = try Executable(
      graph, outputs: [twice], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 2)))
    let bindings = try example.bindings()
    try executable.run(bindings: bindings)
    let before = try #require(example.elements["sum"])
    #expect(distance(executable.output(twice).elements, before.map { 2 * $0 }) < 1e-6)
    #expect(try #require(bindings["sum"]).elements != before)
  }

  @Test func `a gradient of two parameters is added to both of their accumulators`() throws {
    var example = Example()
    let shape = [Self.words, Self.width] as Shape
    let names = ["a", "b"] as [TensorName]
    let tables = names.map { example.parameter($0, shape, scale: 0.4) }
    let sums = names.map { example.parameter(TensorName("sum.\($0)"), shape, scale: 0.3) }
    let ids = example.integers("ids", [3, 39, 3, 0, 17, 3])
    let rows = tables.map { example.graph.gather($0, ids) }
    let loss = example.loss(example.graph.tanh(example.graph.add(rows[0], rows[1])))
    var separate = example.graph
    let gradients = try separate.gradients(of: loss, withRespectTo: tables)
    #expect(gradients[0] == gradients[1])
    let expected = try Self.run(separate, of: example, gradients[0])
    try example.graph.differentiate(
      loss, into: zip(tables, sums).map { (parameter: $0, sum: $1) })
    let executable = try Executable(
      example.graph, outputs: [], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 2)))
    let bindings = try example.bindings()
    try executable.run(bindings: bindings)
    for name in names {
      let sum = TensorName("sum.\(name)")
      let before = try #require(example.elements[sum])
      let added = zip(try #require(bindings[sum]).elements, before).map { $0 - $1 }
      #expect(distance(added, expected) < 1e-5, "\(name)")
    }
  }
}
