internal import GraftCore
internal import GraftGraph
package import GraftKernels

/// Turns texts into vectors: several texts a run, in rows of tokens of one length.
package final class Encoder {
  private let graph: BERTGraph
  private let pooling: SentencePooling
  private let capacity: Int
  private let executable: Executable
  private let hidden: Value
  private var bindings: [TensorName: MemorySlice]
  private let inputs: (tokens: MemorySlice, positions: MemorySlice, segments: MemorySlice)

  /// Compiles the encoder for runs of `capacity` tokens.
  ///
  /// - Throws: ``GraphError``, ``StorageError`` when memory runs out.
  package init(
    _ graph: BERTGraph, weights: ModelWeights, pooling: SentencePooling, capacity: Int,
    kernels: Kernels
  ) throws {
    self.graph = graph
    self.pooling = pooling
    self.capacity = capacity
    var computation = Graph()
    hidden = graph.hiddenStates(in: &computation, tokens: capacity)
    executable = try Executable(
      computation, outputs: [hidden], options: CompilerOptions(recompute: .none, fusion: true),
      kernels: kernels)
    inputs = (
      try MemorySlice(allocating: .i32, [capacity]), try MemorySlice(allocating: .i32, [capacity]),
      try MemorySlice(allocating: .i32, [capacity])
    )
    bindings = try weights.tensors
    bindings[BERTGraph.Input.tokens] = inputs.tokens
    bindings[BERTGraph.Input.positions] = inputs.positions
    bindings[BERTGraph.Input.segments] = inputs.segments
    bindings[BERTGraph.Input.types] = try MemorySlice(
      copying: [Int32](repeating: 0, count: capacity), [capacity])
  }

  /// How many of the texts, from the first, fit into one run; at least one.
  package func count(fitting texts: ArraySlice<[Int32]>) -> Int {
    var room = capacity
    var count = 0
    for text in texts {
      room -= text.count
      if room < 0 { break }
      count += 1
    }
    return max(1, count)
  }

  /// A vector of `hiddenSize` for each text of tokens.
  ///
  /// - Precondition: the texts have tokens, no more than the capacity together.
  /// - Throws: ``ModelError`` when a token is outside the vocabulary.
  package func vectors(of texts: ArraySlice<[Int32]>) throws -> [[Float]] {
    let size = graph.configuration.vocabularySize
    var (tokens, positions, segments): ([Int32], [Int32], [Int32]) = ([], [], [])
    for (number, text) in texts.enumerated() {
      if let token = text.first(where: { $0 < 0 || Int($0) >= size }) {
        throw ModelError(
          .tokenOutOfRange(id: Int(token), vocabularySize: size), file: "the text")
      }
      tokens += text
      positions += text.indices.map(Int32.init)
      segments += [Int32](repeating: Int32(number), count: text.count)
    }
    let rest = capacity - tokens.count
    tokens += [Int32](repeating: 0, count: rest)
    positions += [Int32](repeating: 0, count: rest)
    segments += [Int32](repeating: Int32(texts.count), count: rest)
    inputs.tokens.replaceElements(tokens)
    inputs.positions.replaceElements(positions)
    inputs.segments.replaceElements(segments)
    try executable.run(bindings: bindings)
    let rows = executable.output(hidden).floats()
    let width = graph.configuration.hiddenSize
    var start = 0
    return texts.map { text in
      defer { start += text.count * width }
      return pooling.pooled(rows[start..<start + text.count * width], width: width)
    }
  }
}
