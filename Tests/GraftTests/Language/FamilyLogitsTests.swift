import Graft
import GraftFormats
import GraftGraph
import GraftKernels
import Testing

/// Logits of tiny random models of each family member, beside transformers' (Fixtures/golden/families).
struct FamilyLogitsTests {
  static let members = [
    "llama-tied", "llama-untied-linear-rope", "llama-llama3-rope", "llama-head-dim", "mistral",
    "qwen2", "qwen3",
  ]

  @Test(arguments: members)
  func `f32 logits equal transformers' within 1e-3`(member: String) throws {
    #expect(try largestDifference(member, .f32) <= 1e-3)
  }

  @Test func `bf16 weights give the logits of the same weights in f32`() throws {
    #expect(try largestDifference("llama-bf16", .f32) <= 1e-3)
  }

  @Test(arguments: ["llama-tied", "qwen3"])
  func `positions given token by token turn heads as positions that count up`(
    member: String
  ) throws {
    #expect(try largestDifference(member, .f32, packed: true) <= 1e-3)
  }

  /// The largest absolute difference of logits over two sequences of 48 tokens.
  private func largestDifference(
    _ member: String, _ precision: ComputePrecision, packed: Bool = false
  ) throws -> Float {
    let folder = golden("families/\(member)")
    let opened = try OpenedCheckpoint(path: folder + "/model.safetensors")
    let architecture = try KnownArchitectures.decoder(
      try JSONValue.parse(
        try InputFile.contents(of: folder + "/config.json", atMost: 1 << 20), file: "config.json"),
      file: "config.json")
    let kernels = Kernels(pool: ThreadPool(threadCount: 2))
    let weights = try ModelWeights(
      opened.reader, needed: architecture.tensors, precision: precision, kernels: kernels)
    let golden = try SafetensorsReader(path: folder + "/golden.safetensors")
    let ids = try golden.tensor("input_ids")
    let expected = try golden.tensor("logits").floats()
    let (batch, sequence) = (ids.shape[0], ids.shape[1])

    let model = DecoderGraph(architecture, weights: weights, precision: precision)
    let arrangement: Arrangement =
      packed
      ? .packed(batch: batch, sequence: sequence) : .sequences(batch: batch, sequence: sequence)
    var graph = Graph()
    let hidden = model.hiddenStates(in: &graph, arrangement)
    let logits = graph.matmul(
      hidden, transposed: false, model.head(in: &graph), transposed: true, dtype: .f32)
    let executable = try Executable(
      graph, outputs: [logits], options: CompilerOptions(), kernels: kernels)
    var bindings = weights.tensors
    bindings.merge(try model.constantInputs(arrangement)) { _, new in new }
    bindings[DecoderGraph.Input.tokens] = ids
    if packed {
      let positions = (0..<batch).flatMap { _ in (0..<sequence).map(Int32.init) }
      bindings[DecoderGraph.Input.positions] = try MemorySlice(copying: positions, ids.shape)
    }
    try executable.run(bindings: bindings)
    let found = executable.output(logits).floats()
    return zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
  }
}

extension SafetensorsReader {
  /// A tensor of a golden file, whole.
  func tensor(_ name: TensorName) throws -> MemorySlice {
    try contents(of: try #require(index(of: name)))
  }
}
