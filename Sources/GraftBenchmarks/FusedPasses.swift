import Graft
import GraftCore
import GraftGraph
import GraftKernels
import GraftTraining

/// Times the passes over memory that stand between a step's products, written as a model writes them and compiled.
///
/// Every input is larger than the caches. The figures' measure is the STREAM triad (McCalpin 1995) of the same run.
struct FusedPasses {
  let threads: Int

  private static let rounds = 12
  private static let tokens = 32768
  private static let width = 576

  /// A JSON object: bytes a second of the triad, and for each pass its seconds and the bytes that it has to read and write.
  func run() throws -> String {
    let kernels = Kernels(pool: ThreadPool(threadCount: threads))
    var passes: [(key: String, value: JSONValue)] = []
    for (name, pass) in try Self.passes() {
      let executable = try Executable(
        pass.graph, outputs: pass.outputs, options: CompilerOptions(), kernels: kernels)
      let seconds = try fastest { try executable.run(bindings: pass.bindings) }
      passes.append((name, ["seconds": JSONValue(seconds), "bytes": JSONValue(pass.byteCount)]))
    }
    let result: JSONValue = [
      "triad": JSONValue(triad(kernels.pool)),
      "passes": .object(JSONObject(members: passes)),
    ]
    return result.serialized(indent: nil)
  }

  private func fastest(_ work: () throws -> Void) rethrows -> Double {
    try work()
    return try (0..<Self.rounds).map { _ in try ContinuousClock().measure(work) / .seconds(1) }
      .min() ?? .infinity
  }

  /// Bytes a second of c = a + 3·b in f64, counted as STREAM does: two reads and a write.
  private func triad(_ pool: ThreadPool) -> Double {
    typealias Eight = SIMD8<Double>
    let run = (2 << 20) / threads
    let all = UnsafeMutablePointer<Eight>.allocate(capacity: 3 * threads * run)
    unsafe all.initialize(repeating: Eight(repeating: 1), count: 3 * threads * run)
    defer { unsafe all.deallocate() }
    let address = Int(bitPattern: all)
    let seconds = fastest {
      pool.run(count: threads) { task, _ in
        guard let all = unsafe UnsafeMutablePointer<Eight>(bitPattern: address) else { return }
        let x = unsafe all + task * run
        let y = unsafe x + threads * run
        let z = unsafe y + threads * run
        for i in 0..<run { unsafe z[i] = x[i] + 3 * y[i] }
      }
    }
    return 24 * 8 * Double(run * threads) / seconds
  }

  // MARK: - The passes

  private struct Pass {
    var graph = Graph()
    var outputs: [Value] = []
    var bindings: [TensorName: MemorySlice] = [:]
    /// What is read and written once, in memory.
    var byteCount = 0

    mutating func input(
      _ name: TensorName, _ dtype: DType, _ shape: Shape, kept: Bool = false
    ) throws -> Value {
      let count = shape.elementCount
      let slice = try MemorySlice(allocating: dtype, shape)
      let pattern = (0..<4093).map { Float($0 % 37 - 18) / 24 }
      var values = [UInt8](repeating: 0, count: count * dtype.layout.bytes)
      for i in 0..<count {
        let bits = (kept ? abs(pattern[i % 4093]) : pattern[i % 4093]).bitPattern
        if dtype == .bf16 {
          values[2 * i] = UInt8(truncatingIfNeeded: bits >> 16)
          values[2 * i + 1] = UInt8(truncatingIfNeeded: bits >> 24)
        } else {
          for byte in 0..<4 { values[4 * i + byte] = UInt8(truncatingIfNeeded: bits >> (8 * byte)) }
        }
      }
      slice.replaceElements(values)
      bindings[name] = slice
      byteCount += slice.byteCount * (kept ? 2 : 1)
      let value =
        kept ? graph.parameter(name, dtype, shape) : graph.input(name, dtype, shape)
      return dtype == .bf16 ? graph.cast(value, to: .f32) : value
    }

    mutating func output(_ value: Value, _ dtype: DType = .bf16) {
      let result = graph.cast(value, to: dtype)
      byteCount += graph.type(of: result).byteCount
      outputs.append(result)
    }
  }

  private static func passes() throws -> [(String, Pass)] {
    [
      ("add + RMSNorm", try norm()), ("rotary", try rotary()),
      ("SwiGLU forward", try activation()), ("SwiGLU backward", try activationBackward()),
      ("row softmax", try softmax()), ("AdamW", try adamW()),
    ]
  }

  private static func norm() throws -> Pass {
    var pass = Pass()
    let x = try pass.input("x", .bf16, [tokens, width])
    let delta = try pass.input("delta", .bf16, [tokens, width])
    let gain = try pass.input("gain", .bf16, [width])
    let sum = pass.graph.add(x, delta)
    let mean = pass.graph.multiply(
      pass.graph.rowSum(pass.graph.square(sum)), pass.graph.constant(1 / Float(width)))
    let scale = pass.graph.reciprocalSquareRoot(
      pass.graph.add(mean, pass.graph.constant(1e-5)))
    pass.output(sum)
    pass.output(pass.graph.multiply(pass.graph.multiply(sum, scale), gain))
    return pass
  }

  private static func rotary() throws -> Pass {
    var pass = Pass()
    let (batch, sequence, heads, headWidth) = (32, 2048, 9, 64)
    let x = try pass.input("x", .bf16, [batch, sequence, heads, headWidth])
    let cosine = try pass.input("cosine", .f32, [sequence, 1, headWidth])
    let sine = try pass.input("sine", .f32, [sequence, 1, headWidth])
    pass.output(
      pass.graph.add(
        pass.graph.multiply(x, cosine),
        pass.graph.multiply(pass.graph.rotateHalf(x, width: headWidth), sine)))
    return pass
  }

  private static func activation() throws -> Pass {
    var pass = Pass()
    let gate = try pass.input("gate", .bf16, [tokens / 2, 1536])
    let up = try pass.input("up", .bf16, [tokens / 2, 1536])
    pass.output(
      pass.graph.multiply(pass.graph.multiply(gate, pass.graph.sigmoid(gate)), up))
    return pass
  }

  private static func activationBackward() throws -> Pass {
    var pass = Pass()
    let gate = try pass.input("gate", .bf16, [tokens / 2, 1536])
    let up = try pass.input("up", .bf16, [tokens / 2, 1536])
    let gradient = try pass.input("gradient", .bf16, [tokens / 2, 1536])
    let sigmoid = pass.graph.sigmoid(gate)
    let activated = pass.graph.multiply(gate, sigmoid)
    let slope = pass.graph.add(
      sigmoid,
      pass.graph.multiply(
        activated, pass.graph.subtract(pass.graph.constant(1), sigmoid)))
    pass.output(pass.graph.multiply(pass.graph.multiply(gradient, up), slope))
    pass.output(pass.graph.multiply(gradient, activated))
    return pass
  }

  private static func softmax() throws -> Pass {
    var pass = Pass()
    let x = try pass.input("x", .bf16, [8192, 4096])
    let e = pass.graph.exp(pass.graph.subtract(x, pass.graph.rowMax(x)))
    pass.output(pass.graph.divide(e, pass.graph.rowSum(e)))
    return pass
  }

  private static func adamW() throws -> Pass {
    var pass = Pass()
    let shape: Shape = [8 << 20]
    let optimizer = AdamW()
    let weight = try pass.input("weight", .f32, shape, kept: true)
    let state = try optimizer.state(for: shape).map {
      try pass.input($0.name(for: "weight"), .f32, $0.shape, kept: true)
    }
    let gradient = try pass.input("gradient", .f32, shape)
    let scalars = try optimizer.scalars(learningRate: 1e-4, step: 10).enumerated().map {
      let name = TensorName("scalar.\($0.offset)")
      pass.bindings[name] = try MemorySlice(copying: [$0.element], [1])
      return pass.graph.input(name, .f32, [1])
    }
    optimizer.update(
      UpdatedTensor(
        shape: shape, weight: weight, gradient: gradient, state: state, scalars: scalars),
      in: &pass.graph)
    return pass
  }
}
