internal import GraftCore
internal import GraftGraph

/// The inputs of one run of a decoder as values of the graph.
package struct DecoderRun {
  let arrangement: Arrangement
  /// The token ids: [tokens], i32.
  let tokens: Value
  /// Cosines and sines for each of the architecture's rotary embeddings.
  let rotations: [Rotation]
  /// The document of each token: [tokens], i32; nil where a sequence is one document.
  let segments: Value?
  /// The rows of parts that a projection makes side by side: [tokens] each, i32.
  private let partRows: [Value]
  /// How many tokens the caches hold; nil without caches.
  let cacheLength: Value?

  /// The tables of a rotary embedding, so shaped that they broadcast over the heads of each token.
  struct Rotation {
    let cosine: Value
    let sine: Value
  }

  init(
    _ arrangement: Arrangement, _ architecture: any DecoderArchitecture, in graph: inout Graph
  ) {
    self.arrangement = arrangement
    tokens = graph.input(DecoderGraph.Input.tokens, .i32, [arrangement.tokenCount])
    rotations = architecture.rotaryEmbeddings.enumerated().map { index, rotary in
      Self.rotation(index, width: rotary.headDimension, arrangement, in: &graph)
    }
    partRows = (0..<architecture.splitCount).map { part in
      graph.input(DecoderGraph.Input.rows(ofPart: part), .i32, [arrangement.tokenCount])
    }
    if case .packed = arrangement {
      segments = graph.input(DecoderGraph.Input.segments, .i32, [arrangement.tokenCount])
    } else {
      segments = nil
    }
    if case .continued = arrangement {
      cacheLength = graph.input(DecoderGraph.Input.position, .i32, [1])
    } else {
      cacheLength = nil
    }
  }

  /// The parts of a projection of [tokens, parts · width]: [tokens, width] each.
  ///
  /// Part `i` of token `t` is row `t · parts + i` of the same elements seen as [tokens · parts, width].
  func split(_ x: Value, in graph: inout Graph) -> [Value] {
    let (tokens, width) = (arrangement.tokenCount, graph.shape(of: x).columns / partRows.count)
    let rows = graph.reshape(x, [tokens * partRows.count, width])
    return partRows.map { graph.gather(rows, $0) }
  }

  /// The shape of one row a token that rows by position broadcast over.
  func tokenShape(width: Int) -> Shape {
    switch arrangement {
    case .sequences(let batch, let sequence): [batch, sequence, width]
    case .packed, .continued: [arrangement.tokenCount, width]
    }
  }

  /// The shape in which every head of every token is a row of its own: […, heads, width].
  func headShape(_ heads: Int, width: Int) -> Shape {
    switch arrangement {
    case .sequences(let batch, let sequence): [batch, sequence, heads, width]
    case .packed, .continued: [arrangement.tokenCount, heads, width]
    }
  }

  /// Rows of a table by position, added to each token: [sequence, width] or [tokens, width].
  static func positions(_ arrangement: Arrangement, in graph: inout Graph) -> Value {
    switch arrangement {
    case .sequences(_, let sequence):
      graph.input(DecoderGraph.Input.positions, .i32, [sequence])
    case .packed, .continued:
      graph.input(DecoderGraph.Input.positions, .i32, [arrangement.tokenCount])
    }
  }

  /// [sequence, 1, width] where every sequence has the same positions, [tokens, 1, width] where tokens have their own.
  private static func rotation(
    _ index: Int, width: Int, _ arrangement: Arrangement, in graph: inout Graph
  ) -> Rotation {
    let tables = [DecoderGraph.Input.cosine(index), DecoderGraph.Input.sine(index)].map { name in
      let table = graph.input(name, .f32, [arrangement.positionCount, width])
      guard case .sequences(_, let sequence) = arrangement else {
        let rows = graph.gather(table, positions(arrangement, in: &graph))
        return graph.reshape(rows, [arrangement.tokenCount, 1, width])
      }
      return graph.reshape(table, [sequence, 1, width])
    }
    return Rotation(cosine: tables[0], sine: tables[1])
  }
}
