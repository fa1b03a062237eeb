package import GraftCore
internal import GraftGraph
package import GraftKernels

/// Continues a prompt token by token, with keys and values kept in caches.
///
/// A prompt runs through graphs of at most ``tokensAtOnce`` tokens, so that what a run needs doesn't grow with it; each further
/// token runs through a graph of one. All share the caches, which hold `capacity` tokens.
package final class Generator {
  private let model: DecoderGraph
  private let kernels: Kernels
  private let capacity: Int
  private var bindings: [TensorName: MemorySlice]
  private let position: MemorySlice
  /// The graphs that are run again: of one token, and of as many as a run has at most.
  private var kept: [Int: Compiled] = [:]
  /// Tokens in the caches.
  package private(set) var length = 0

  private struct Compiled {
    let executable: Executable
    let logits: Value
    let ids: MemorySlice
    let positions: MemorySlice
    let constants: [TensorName: MemorySlice]
    /// The row of the last token: [1], i32.
    let last: MemorySlice
  }

  private static let lastRow: TensorName = "input.last"
  /// Tokens of one run: enough for products as quick as any.
  package static let tokensAtOnce = 512

  /// Allocates caches for `capacity` tokens.
  package init(
    _ model: DecoderGraph, adapters: [TensorName: MemorySlice], capacity: Int, kernels: Kernels
  ) throws {
    self.model = model
    self.kernels = kernels
    self.capacity = capacity
    bindings = try model.weights.tensors
    bindings.merge(adapters) { _, new in new }
    bindings.merge(try model.caches(capacity: capacity)) { _, new in new }
    position = try MemorySlice(allocating: .i32, [1])
    bindings[DecoderGraph.Input.position] = position
  }

  /// Reads tokens and gives the logits that follow the last of them: [vocabulary], f32.
  ///
  /// - Throws: ``ModelError`` when the caches are full or a token is unknown.
  package func read(_ tokens: [Int32]) throws -> [Float] {
    guard length + tokens.count <= capacity else {
      throw ModelError(
        .sequenceTooLong(tokens: length + tokens.count, maximum: capacity), file: "the prompt",
        remedy: "give a shorter prompt or a smaller --max-tokens")
    }
    let vocabulary = model.configuration.vocabularySize
    for token in tokens where token < 0 || Int(token) >= vocabulary {
      throw ModelError(
        .tokenOutOfRange(id: Int(token), vocabularySize: vocabulary), file: "the prompt")
    }
    var logits: [Float] = []
    for start in stride(from: 0, to: tokens.count, by: Self.tokensAtOnce) {
      logits = try run(tokens[start..<min(start + Self.tokensAtOnce, tokens.count)])
    }
    // The memory of a whole run is of no use for the tokens that follow.
    kept[Self.tokensAtOnce] = nil
    return logits
  }

  private func run(_ tokens: ArraySlice<Int32>) throws -> [Float] {
    let compiled = try compiled(for: tokens.count)
    compiled.ids.replaceElements(Array(tokens))
    position.replaceElements([Int32(length)])
    var run = bindings.merging(compiled.constants) { _, new in new }
    run[DecoderGraph.Input.tokens] = compiled.ids
    run[Self.lastRow] = compiled.last
    compiled.positions.replaceElements((length..<length + tokens.count).map(Int32.init))
    run[DecoderGraph.Input.positions] = compiled.positions
    try compiled.executable.run(bindings: run)
    length += tokens.count
    return compiled.executable.output(compiled.logits).floats()
  }

  private func compiled(for count: Int) throws -> Compiled {
    if let compiled = kept[count] { return compiled }
    var graph = Graph()
    let arrangement = Arrangement.continued(sequence: count, capacity: capacity)
    let hidden = model.hiddenStates(in: &graph, arrangement)
    let last = graph.gather(hidden, graph.input(Self.lastRow, .i32, [1]))
    let head = model.head(in: &graph)
    let logits = graph.matmul(last, transposed: false, head, transposed: true, dtype: .f32)
    let executable = try Executable(
      graph, outputs: [logits], options: CompilerOptions(recompute: .none, fusion: true),
      kernels: kernels)
    let compiled = Compiled(
      executable: executable, logits: logits,
      ids: try MemorySlice(allocating: .i32, [count]),
      positions: try MemorySlice(allocating: .i32, [count]),
      constants: try model.constantInputs(arrangement),
      last: try MemorySlice(copying: [Int32(count - 1)], [1]))
    if count == 1 || count == Self.tokensAtOnce { kept[count] = compiled }
    return compiled
  }
}
