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
    try graph.differentiate(loss, withRespectTo: [table]) { graph, _, gradient in
      graph.accumulate(gradient, into: sum)
    }
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
    try graph.differentiate(loss, withRespectTo: [table]) { graph, _, gradient in
      graph.accumulate(gradient, into: sum)
    }
    let executable = try Executable(
      graph, outputs: [twice], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 2)))
    let bindings = try example.bindings()
    try executable.run(bindings: bindings)
    let before = try #require(example.elements["sum"])
    #expect(distance(executable.output(twice).elements, before.map { 2 * $0 }) < 1e-6)
    #expect(try #require(bindings["sum"]).elements != before)
  }

  @Test func `a gradient that is read elsewhere is added as a whole`() throws {
    var graph = example.graph
    var norm: Value?
    try graph.differentiate(loss, withRespectTo: [table]) { graph, _, gradient in
      norm = graph.rowSum(graph.square(gradient))
      graph.accumulate(gradient, into: sum)
    }
    let executable = try Executable(
      graph, outputs: [try #require(norm)], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 2)))
    let bindings = try example.bindings()
    try executable.run(bindings: bindings)
    let added = zip(try #require(bindings["sum"]).elements, try #require(example.elements["sum"]))
      .map { $0 - $1 }
    let norms = (0..<Self.words).map { word in
      added[word * Self.width..<(word + 1) * Self.width].reduce(0) { $0 + $1 * $1 }
    }
    #expect(distance(norms, executable.output(try #require(norm)).elements) < 1e-4)
  }
}
