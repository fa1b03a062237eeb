internal import GraftCore
internal import GraftGraph
package import GraftKernels

/// What follows the gradients of a step: their norm, then clipping and the update in place, compiled.
///
/// The norm is a graph of its own, read before anything is changed, so that a value that isn't finite stops the run with the last
/// good state.
package final class OptimizerStep {
  private let trainable: TrainableTensors
  private let norm: Executable
  private let squares: Value
  private let update: Executable
  private let gradientScale: MemorySlice
  private let scalars: [(group: ParameterGroup, slices: [MemorySlice])]
  private var bindings: [TensorName: MemorySlice]

  private static let scaleName: TensorName = "input.gradientScale"

  /// Compiles the two graphs.
  ///
  /// - Throws: ``StorageError`` without memory.
  package init(_ trainable: TrainableTensors, fusion: Bool = true, kernels: Kernels) throws {
    self.trainable = trainable
    let options = CompilerOptions(recompute: .none, fusion: fusion)
    var normGraph = Graph()
    squares = Self.squaredNorm(trainable, in: &normGraph)
    norm = try Executable(normGraph, outputs: [squares], options: options, kernels: kernels)
    update = try Executable(
      Self.updateGraph(trainable), outputs: [], options: options, kernels: kernels)
    gradientScale = try MemorySlice(allocating: .f32, [1])
    scalars = try trainable.groups.map { group in
      (group, try group.rule.scalarNames.map { _ in try MemorySlice(allocating: .f32, [1]) })
    }
    bindings = trainable.bindings
    bindings[Self.scaleName] = gradientScale
    for (group, slices) in scalars {
      for (name, slice) in zip(group.rule.scalarNames, slices) {
        bindings[group.scalarName(name)] = slice
      }
    }
  }

  /// Bytes of the arenas.
  package var arenaByteCount: Int {
    norm.memoryPlan.arenaByteCount + update.memoryPlan.arenaByteCount
  }

  /// The norm of all accumulated gradients together.
  package func gradientNorm() throws -> Double {
    try norm.run(bindings: bindings)
    return Double(norm.output(squares).floats()[0]).squareRoot()
  }

  /// Whether the scalars of a step's update are finite in f32.
  package func isFinite(step: Int, learningRate: Double) -> Bool {
    scalars.allSatisfy { group, _ in
      group.rule.scalars(learningRate: learningRate * group.rateFactor, step: step)
        .allSatisfy(\.isFinite)
    }
  }

  /// Changes the trained tensors and their state by the accumulated gradients times `scale`, and clears the gradients.
  package func apply(step: Int, learningRate: Double, scale: Double = 1) throws {
    gradientScale.replaceElements([Float(scale)])
    for (group, slices) in scalars {
      let values = group.rule.scalars(learningRate: learningRate * group.rateFactor, step: step)
      for (slice, value) in zip(slices, values) { slice.replaceElements([value]) }
    }
    try update.run(bindings: bindings)
  }

  // MARK: - Graphs

  private static func squaredNorm(
    _ trainable: TrainableTensors, in graph: inout Graph
  ) -> Value {
    var total = graph.constant(0)
    for entry in trainable.entries {
      let shape = entry.value.shape
      let gradient = graph.parameter(TrainableTensors.gradientName(entry.name), .f32, shape)
      total = graph.add(total, graph.sum(graph.square(gradient), shape: shape))
    }
    return total
  }

  private static func updateGraph(_ trainable: TrainableTensors) -> Graph {
    var graph = Graph()
    let scale = graph.input(scaleName, .f32, [1])
    for entry in trainable.entries {
      let shape = entry.value.shape
      let group = trainable.groups[entry.group]
      let sum = graph.parameter(TrainableTensors.gradientName(entry.name), .f32, shape)
      let tensor = UpdatedTensor(
        shape: shape, weight: graph.parameter(entry.name, .f32, shape),
        gradient: graph.multiply(sum, scale),
        state: entry.state.map { graph.parameter($0.name, .f32, $0.value.shape) },
        scalars: group.rule.scalarNames.map { graph.input(group.scalarName($0), .f32, [1]) })
      group.rule.update(tensor, in: &graph)
      graph.assign(sum, graph.multiply(sum, graph.constant(0)))
    }
    return graph
  }
}
