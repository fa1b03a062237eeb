import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Products of one left operand.
struct SiblingTests {
  /// Three products of one x, with work between them, and one of another operand.
  private static func siblings(
    rows: Int, widths: [Int], _ dtype: DType
  ) -> (example: Example, result: Value) {
    var example = Example()
    let inner = 40
    let x = example.parameter("x", [rows, inner])
    let factors = widths.enumerated().map { index, width in
      example.parameter(TensorName("factor.\(index)"), [width, inner], dtype, scale: 0.3)
    }
    let last = example.parameter("last", [5, inner], dtype, scale: 0.3)
    func build(_ g: inout Graph) -> Value {
      let shared = g.tanh(x)
      var sum = g.rowSum(shared)
      for factor in factors {
        let y = g.matmul(shared, transposed: false, factor, transposed: true, dtype: .f32)
        sum = g.add(sum, g.rowMax(g.multiply(g.exp(y), sum)))
      }
      let other = g.matmul(
        g.multiply(x, sum), transposed: false, last, transposed: true, dtype: .f32)
      return g.add(other, sum)
    }
    let result = build(&example.graph)
    return (example, result)
  }

  /// How many products each step joins, and those in chains.
  private static func joined(_ executable: Executable) -> [Int] {
    func counts(_ step: Step) -> [Int] {
      switch step {
      case .siblings(let places): [places.count]
      case .chain(let chain): chain.members.flatMap(counts)
      case .tiles, .kernel, .copy: []
      }
    }
    return executable.schedule.steps.flatMap(counts)
  }

  @Test(arguments: [1, 3, 4], [DType.f32, .bf16])
  func `products of a few rows by weights that differ in width are one job with the same bits`(
    _ rows: Int, _ dtype: DType
  ) throws {
    let (example, result) = Self.siblings(rows: rows, widths: [70, 33, 128], dtype)
    #expect(try Self.joined(ChainTests.compile(example.graph, [result])) == [3])
    let plain = try example.run([result], CompilerOptions(fusion: false), threads: 1)
    for threads in [1, 2, 3, 4] {
      #expect(try example.run([result], threads: threads) == plain, "\(threads) threads")
    }
    #expect(try distance(plain[0], example.interpret([result])[0]) < 1e-5)
  }

  @Test(arguments: [1030, 2100], [DType.f32, .bf16])
  func `adapters of one operand share a product in a chain, with the same bits`(
    _ rows: Int, _ dtype: DType
  ) throws {
    let (example, result) = Self.siblings(rows: rows, widths: [8, 3, 16], dtype)
    let executable = try ChainTests.compile(example.graph, [result])
    #expect(executable.report.chainCount == 1 && executable.report.kernelCount == 4)
    #expect(Self.joined(executable) == [3])
    let plain = try example.run([result], CompilerOptions(fusion: false), threads: 1)
    for threads in [1, 2, 3, 4] {
      #expect(try example.run([result], threads: threads) == plain, "\(threads) threads")
    }
    #expect(try distance(plain[0], example.interpret([result])[0]) < 1e-5)
  }

  @Test
  func `query and value adapters of every block share a product, forward and where it runs again`()
    throws
  {
    let model = try TinyLlama.smolLM2()
    let once = try ChainTests.compile(model.example.graph, model.outputs)
    #expect(Self.joined(once) == [Int](repeating: 2, count: 30))
    let again = try ChainTests.compile(
      model.example.graph, model.outputs, CompilerOptions(recompute: .block))
    #expect(Self.joined(again) == [Int](repeating: 2, count: 60))
  }

  @Test func `wide products of many rows stay apart`() throws {
    let (example, result) = Self.siblings(rows: 60, widths: [70, 33, 128], .f32)
    #expect(try Self.joined(ChainTests.compile(example.graph, [result])).isEmpty)
  }
}
