import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// A graph with memory for its parameters and inputs, filled by a formula that the PyTorch generator shares.
struct Example {
  var graph = Graph()
  private(set) var elements: [TensorName: [Double]] = [:]
  private(set) var types: [TensorName: (dtype: DType, shape: Shape)] = [:]
  /// Whether parameters get elements; large graphs that are only compiled need none.
  var fillsParameters = true

  /// A parameter whose element `i` is offset + scale · sin(0.7·i + 1.3·n), n counting parameters from 0.
  mutating func parameter(
    _ name: TensorName, _ shape: Shape, _ dtype: DType = .f32, scale: Double = 1,
    offset: Double = 0
  ) -> Value {
    if types[name] == nil {
      let phase = 1.3 * Double(types.count)
      let count = fillsParameters ? shape.elementCount : 0
      elements[name] = (0..<count).map { i in
        let x = Float(offset + scale * sine(0.7 * Double(i) + phase))
        return Double(dtype == .bf16 ? x.roundedToBF16 : x)
      }
      types[name] = (dtype, shape)
    }
    return graph.parameter(name, dtype, shape)
  }

  mutating func integers(_ name: TensorName, _ values: [Int]) -> Value {
    elements[name] = values.map(Double.init)
    types[name] = (.i32, [values.count])
    return graph.input(name, .i32, [values.count])
  }

  /// One integer, such as the number of a batch.
  mutating func number(_ name: TensorName, _ value: Int) -> Value {
    elements[name] = [Double(value)]
    types[name] = (.i64, [1])
    return graph.input(name, .i64, [1])
  }

  mutating func values(_ name: TensorName, _ values: [Double], _ shape: Shape) -> Value {
    elements[name] = values.map { Double(Float($0)) }
    types[name] = (.f32, shape)
    return graph.input(name, .f32, shape)
  }

  /// Σ wᵢ·xᵢ with weights that differ, so that no error in a gradient cancels.
  mutating func loss(_ x: Value) -> Value {
    let count = graph.shape(of: x).elementCount
    let weights = (0..<count).map { 0.5 + 0.25 * sine(1.1 * Double($0)) }
    let w = values("loss.weights", weights, [count, 1])
    let flat = graph.reshape(graph.cast(x, to: .f32), [count, 1])
    return graph.sumRows(graph.multiply(flat, w))
  }

  /// Fresh memory for one run.
  func bindings() throws -> [TensorName: MemorySlice] {
    var result: [TensorName: MemorySlice] = [:]
    for (name, type) in types {
      result[name] = try Self.memory(of: elements[name] ?? [], type.dtype, type.shape)
    }
    return result
  }

  private static func memory(
    of elements: [Double], _ dtype: DType, _ shape: Shape
  ) throws -> MemorySlice {
    switch dtype {
    case .i32: return try MemorySlice(copying: elements.map { Int32($0) }, shape)
    case .i64:
      let slice = try MemorySlice(allocating: .i64, shape)
      slice.replaceElements(elements.map { Int64($0) })
      return slice
    case .bf16:
      let slice = try MemorySlice(allocating: .bf16, shape)
      let kernels = Kernels(pool: ThreadPool(threadCount: 1))
      kernels.convert(try MemorySlice(copying: elements.map { Float($0) }, shape), to: slice)
      return slice
    default: return try MemorySlice(copying: elements.map { Float($0) }, shape)
    }
  }

  /// Compiles, runs twice on fresh memory and gives the outputs of the second run.
  func run(
    _ outputs: [Value], _ options: CompilerOptions = CompilerOptions(), threads: Int = 2,
    poisons: Bool = true
  ) throws -> [[Double]] {
    let kernels = Kernels(pool: ThreadPool(threadCount: threads))
    let executable = try Executable(graph, outputs: outputs, options: options, kernels: kernels)
    let scratch = kernels.scratchByteCount
    executable.poisonsMemory = poisons
    try executable.run(bindings: try bindings())
    try executable.run(bindings: try bindings())
    // All scratch is taken before the first run.
    #expect(kernels.scratchByteCount == scratch)
    return outputs.map { executable.output($0).elements }
  }

  /// The same by the interpreter.
  func interpret(_ outputs: [Value], rounding: Interpreter.Rounding = .asStored) throws
    -> [[Double]]
  {
    var interpreter = Interpreter(graph, memory: elements, rounding: rounding)
    return try interpreter.run(outputs)
  }

  /// ∂loss/∂parameter by central differences in 64 bits, for the given elements of a parameter.
  func finiteDifferences(of loss: Value, _ name: TensorName, at indices: [Int]) throws -> [Double] {
    try indices.map { index in
      let step = 1e-5
      let sides = try [step, -step].map { delta in
        var moved = elements
        moved[name]?[index] += delta
        var interpreter = Interpreter(graph, memory: moved, rounding: .none)
        return try interpreter.run([loss])[0][0]
      }
      return (sides[0] - sides[1]) / (2 * step)
    }
  }
}

/// The sine by its series, so that tests need no libm and PyTorch's values agree to the last bits of a double.
func sine(_ x: Double) -> Double {
  let turn = 2 * Double.pi
  let y = x - (x / turn).rounded() * turn
  var (term, sum) = (y, y)
  for k in 1...14 {
    term *= -y * y / Double((2 * k) * (2 * k + 1))
    sum += term
  }
  return sum
}

/// The largest |x − y| relative to the largest |y|.
func distance(_ x: [Double], _ y: [Double]) -> Double {
  guard x.count == y.count, !x.contains(where: \.isNaN) else { return .infinity }
  let scale = max(y.map(abs).max() ?? 0, 1e-30)
  return zip(x, y).map { abs($0 - $1) }.max().map { $0 / scale } ?? 0
}
