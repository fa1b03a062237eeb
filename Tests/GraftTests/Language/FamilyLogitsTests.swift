import Graft
import GraftFormats
import GraftGraph
import GraftKernels
import Testing

/// Logits of tiny random models of each family member, beside transformers' (Fixtures/golden/families).
struct FamilyLogitsTests {
  static let members = [
    "llama-tied", "llama-untied-linear-rope", "llama-llama3-rope", "llama-head-dim", "mistral",
    "qwen2", "qwen3", "mistral-window", "qwen2-window", "gemma3", "gpt2",
  ]

  @Test(arguments: members)
  func `f32 logits equal transformers' within 1e-4`(member: String) throws {
    #expect(try largestDifference(member, .f32) <= 1e-4)
  }

  @Test func `bf16 weights give the logits of the same weights in f32`() throws {
    #expect(try largestDifference("llama-bf16", .f32) <= 1e-3)
  }

  @Test(arguments: ["mistral-window", "qwen2-window", "gemma3", "gpt2"])
  func `greedy decoding over the caches gives transformers' tokens`(member: String) throws {
    let model = try FamilyModel(member, .f32)
    let generator = try Generator(
      model.graph, adapters: [:], capacity: 48, kernels: model.kernels)
    let prompt = Array(try model.values.bits("input_ids", as: Int32.self).prefix(16))
    var logits = try generator.read(prompt)
    var tokens: [Int32] = []
    for _ in 0..<32 {
      tokens.append(Sampler().choose(logits, position: generator.length))
      if tokens.count < 32 { logits = try generator.read(tokens.suffix(1)) }
    }
    #expect(tokens == (try model.values.bits("greedy", as: Int32.self)))
  }

  @Test(arguments: ["llama-tied", "mistral-window", "gemma3"])
  func `a long prompt is read in runs, with the logits that one run has`(member: String) throws {
    let model = try FamilyModel(member, .f32)
    let ids = (0..<Generator.tokensAtOnce * 2 + 77).map { Int32($0 * $0 % 61) }
    let generator = try Generator(
      model.graph, adapters: [:], capacity: ids.count, kernels: model.kernels)
    let found = try generator.read(ids)
    let all = try model.logits(ids, .sequences(batch: 1, sequence: ids.count))
    #expect(zip(found, all.suffix(found.count)).allSatisfy { abs($0 - $1) <= 1e-4 })
  }

  @Test(arguments: ["llama-tied", "mistral-window", "gemma3", "gpt2"])
  func `packed documents have the logits that each has alone`(member: String) throws {
    let model = try FamilyModel(member, .f32)
    let ids = Array(try model.values.bits("input_ids", as: Int32.self).prefix(48))
    let lengths = [17, 1, 30]
    let packed = try model.logits(
      ids, .packed(batch: 1, sequence: 48), positions: lengths.flatMap { 0..<Int32($0) },
      segments: lengths.enumerated().flatMap { [Int32](repeating: Int32($0), count: $1) })
    var start = 0
    for length in lengths {
      let alone = try model.logits(
        Array(ids[start..<start + length]), .sequences(batch: 1, sequence: length))
      let width = alone.count / length
      let part = packed[start * width..<(start + length) * width]
      #expect(zip(alone, part).allSatisfy { abs($0 - $1) <= 1e-4 })
      start += length
    }
  }

  @Test(arguments: ["llama-tied", "qwen3", "gemma3", "gpt2"])
  func `positions given token by token turn heads as positions that count up`(
    member: String
  ) throws {
    #expect(try largestDifference(member, .f32, packed: true) <= 1e-3)
  }

  /// The largest absolute difference of logits over two sequences of 48 tokens.
  private func largestDifference(
    _ member: String, _ precision: ComputePrecision, packed: Bool = false
  ) throws -> Float {
    let model = try FamilyModel(member, precision)
    let ids = try model.values.tensor("input_ids")
    let expected = try model.values.tensor("logits").floats()
    let (batch, sequence) = (ids.shape[0], ids.shape[1])
    let tokens = try model.values.bits("input_ids", as: Int32.self)
    let found =
      packed
      ? try model.logits(
        tokens, .packed(batch: batch, sequence: sequence),
        positions: (0..<batch).flatMap { _ in 0..<Int32(sequence) },
        segments: [Int32](repeating: 0, count: batch * sequence))
      : try model.logits(tokens, .sequences(batch: batch, sequence: sequence))
    return zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
  }
}

/// A tiny random model of Fixtures/golden/families with what transformers computed.
struct FamilyModel {
  let graph: DecoderGraph
  let values: SafetensorsReader
  let kernels = Kernels(pool: ThreadPool(threadCount: 2))

  init(_ name: String, _ precision: ComputePrecision) throws {
    let folder = golden("families/\(name)")
    let opened = try OpenedCheckpoint(path: folder + "/model.safetensors")
    let architecture = try KnownArchitectures.decoder(
      try JSONValue.parse(
        try InputFile.contents(of: folder + "/config.json", atMost: 1 << 20), file: "config.json"),
      file: "config.json")
    let weights = try ModelWeights(
      opened.reader, needed: architecture.tensors, precision: precision, kernels: kernels)
    graph = DecoderGraph(architecture, weights: weights, precision: precision)
    values = try SafetensorsReader(path: folder + "/golden.safetensors")
  }

  /// [tokens, vocabulary] by rows.
  func logits(
    _ ids: [Int32], _ arrangement: Arrangement, positions: [Int32]? = nil,
    segments: [Int32]? = nil
  ) throws -> [Float] {
    var computation = Graph()
    let hidden = graph.hiddenStates(in: &computation, arrangement)
    let logits = computation.matmul(
      hidden, transposed: false, graph.head(in: &computation), transposed: true, dtype: .f32)
    let executable = try Executable(
      computation, outputs: [logits], options: CompilerOptions(), kernels: kernels)
    var bindings = try graph.weights.tensors
    bindings.merge(try graph.constantInputs(arrangement)) { _, new in new }
    bindings[DecoderGraph.Input.tokens] = try MemorySlice(copying: ids, [ids.count])
    if let positions, let segments {
      bindings[DecoderGraph.Input.positions] = try MemorySlice(copying: positions, [ids.count])
      bindings[DecoderGraph.Input.segments] = try MemorySlice(copying: segments, [ids.count])
    }
    try executable.run(bindings: bindings)
    return executable.output(logits).floats()
  }
}

extension SafetensorsReader {
  /// A tensor of a golden file, whole.
  func tensor(_ name: TensorName) throws -> MemorySlice {
    try contents(of: try #require(index(of: name)))
  }
}
