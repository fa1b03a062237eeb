import GraftCore
import GraftKernels
import Testing

/// What work says that it takes of scratch is what it takes.
@Suite struct ScratchTests {
  /// Work on kernels: what it said before it ran.
  typealias Work = (Kernels) throws -> ScratchNeed

  /// Compares on kernels that hold nothing yet, then on kernels that hold what was said.
  private func compare(isBound: Bool = false, _ work: Work) throws {
    let fresh = kernels(threads: 1)
    let need = try work(fresh)
    if isBound {
      #expect(fresh.scratchByteCount <= need.byteCount(threads: 1))
    } else {
      #expect(fresh.scratchByteCount == need.byteCount(threads: 1))
    }
    for threads in [1, 3] {
      let prepared = kernels(threads: threads)
      try prepared.reserve(need)
      let held = prepared.scratchByteCount
      #expect(held == need.byteCount(threads: threads))
      _ = try work(prepared)
      #expect(prepared.scratchByteCount == held)
    }
  }

  @Test(
    arguments: GEMMTests.cases + [.init(m: 700, n: 600, k: 90), .init(m: 8, n: 24, k: 1100)],
    GEMMTests.dtypes)
  func `products`(c: GEMMTests.Case, dtypes: (DType, DType, DType)) throws {
    for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
      try compare { kernels in
        let a = try MemorySlice(zeros: dtypes.0, ta ? [c.k, c.m] : [c.m, c.k])
        let b = try MemorySlice(zeros: dtypes.1, tb ? [c.n, c.k] : [c.k, c.n])
        let result = try MemorySlice(zeros: dtypes.2, [c.m, c.n])
        kernels.gemm(a, transposed: ta, b, transposed: tb, into: result)
        return kernels.need(
          product: MatrixLayout(a.dtype, a.shape), transposed: ta, MatrixLayout(b.dtype, b.shape),
          transposed: tb, into: MatrixLayout(result.dtype, result.shape))
      }
    }
  }

  @Test(arguments: [DType.f32, .bf16], [nil, 40] as [Int?])
  func `attention and its gradients`(dtype: DType, window: Int?) throws {
    for (batch, sequence, heads, keyValueHeads, headDim) in [
      (1, 500, 4, 2, 24), (3, 70, 2, 2, 16), (1, 9, 2, 1, 33),
    ] {
      let shape = AttentionShape(
        batch: batch, sequence: sequence, heads: heads, keyValueHeads: keyValueHeads,
        headDim: headDim, scale: 0.2, window: window)
      let rows = batch * sequence
      func tensor(_ width: Int, _ dtype: DType) throws -> MemorySlice {
        try MemorySlice(wave(rows * width, phase: 0.4, scale: 1), dtype, [rows, width])
      }
      try compare { kernels in
        let (q, o) = (try tensor(shape.width, dtype), try tensor(shape.width, dtype))
        let k = try tensor(shape.keyValueWidth, dtype)
        kernels.attention(q, k, k, into: o, logSumExp: nil, shape: shape)
        return kernels.need(attention: shape, dtype, dtype, dtype)
      }
      for hasSegments in [false, true] {
        let numbers = (0..<rows).map { Float($0 % sequence / 31) }
        try compare(isBound: hasSegments) { kernels in
          let (q, k) = (try tensor(shape.width, dtype), try tensor(shape.keyValueWidth, dtype))
          let sums = try tensor(heads, .f32)
          let (dq, dk) = (try tensor(shape.width, .f32), try tensor(shape.keyValueWidth, .f32))
          kernels.attentionBackward(
            q, k, k, q, logSumExp: sums, outputGradient: q,
            segments: hasSegments ? try MemorySlice(numbers, .i32, [rows]) : nil, into: dq, dk,
            try tensor(shape.keyValueWidth, .f32), shape: shape)
          return kernels.need(
            attentionBackward: shape, dtype, dtype, dtype, hasSegments: hasSegments)
        }
      }
    }
  }

  @Test(arguments: [DType.f32, .bf16], [1, 4, 5])
  func `attention over a cache`(dtype: DType, tokens: Int) throws {
    let shape = AttentionShape(
      batch: 1, sequence: tokens, heads: 6, keyValueHeads: 2, headDim: 32, scale: 0.2)
    try compare { kernels in
      let q = try MemorySlice(zeros: dtype, [tokens, shape.width])
      let k = try MemorySlice(zeros: dtype, [tokens, shape.keyValueWidth])
      let cache = try MemorySlice(zeros: dtype, [700, shape.keyValueWidth])
      kernels.cachedAttention(
        q, k, k, keyCache: cache, valueCache: try MemorySlice(zeros: dtype, cache.shape.dimensions),
        position: 600, into: try MemorySlice(zeros: dtype, [tokens, shape.width]), shape: shape)
      return kernels.need(
        cachedAttention: shape, dtype, keyCache: dtype, valueCache: dtype)
    }
  }

  @Test(arguments: [DType.f32, .bf16], [DType.f32, .bf16])
  func `the loss head`(xType: DType, headType: DType) throws {
    let (tokens, hidden, vocab) = (CrossEntropyTests.tokens, CrossEntropyTests.hidden, 5000)
    for hasGradient in [false, true] {
      try compare { kernels in
        let x = try MemorySlice(zeros: xType, [tokens, hidden])
        let head = try MemorySlice(zeros: headType, [vocab, hidden])
        let targets = try MemorySlice(zeros: .i32, [tokens])
        kernels.crossEntropy(
          x, head: head, targets: targets, losses: try MemorySlice(zeros: .f32, [tokens]),
          xGradient: hasGradient ? try MemorySlice(zeros: xType, [tokens, hidden]) : nil)
        return kernels.need(
          crossEntropy: MatrixLayout(xType, x.shape), head: MatrixLayout(headType, head.shape),
          hasGradient: hasGradient)
      }
    }
    try compare { kernels in
      let x = try MemorySlice(zeros: xType, [tokens, hidden])
      let head = try MemorySlice(zeros: headType, [vocab, hidden])
      let gradient = try MemorySlice(zeros: .f32, [vocab, hidden])
      kernels.crossEntropyHeadGradient(
        x, head: head, targets: try MemorySlice(zeros: .i32, [tokens]),
        lossGradient: try MemorySlice(zeros: .f32, [tokens]), into: gradient)
      return kernels.need(
        crossEntropyHeadGradient: MatrixLayout(xType, x.shape),
        head: MatrixLayout(headType, head.shape), into: MatrixLayout(.f32, gradient.shape))
    }
  }

  @Test func `rows that are scattered`() throws {
    try compare { kernels in
      kernels.scatterAddRows(
        try MemorySlice(zeros: .bf16, [4, 300]), ids: try MemorySlice(zeros: .i32, [4]),
        into: try MemorySlice(zeros: .f32, [9, 300]))
      return kernels.need(scatterAddOfColumns: 300)
    }
  }

  /// y = x², and the sums of its columns.
  private static func squares(_ rows: Int, _ columns: Int) -> TileProgram {
    TileProgram(
      rows: rows, columns: columns,
      bindings: [
        .init(dtype: .f32, width: .columns), .init(dtype: .f32, width: .columns),
        .init(dtype: .f32, width: .columns, rowModulus: 1),
      ],
      instructions: [
        .load(binding: 0), .unary(.square, 0), .rowReduce(.sum, 1), .binary(.divide, 1, 2),
        .store(3, binding: 1), .columnSum(1, binding: 2),
      ])
  }

  @Test(arguments: [(900, 40), (3, 7000), (2000, 64)])
  func `tile programs`(rows: Int, columns: Int) throws {
    try compare { kernels in
      let prepared = PreparedProgram(Self.squares(rows, columns))
      kernels.run(
        prepared,
        [
          try MemorySlice(zeros: .f32, [rows, columns]),
          try MemorySlice(zeros: .f32, [rows, columns]), try MemorySlice(zeros: .f32, [columns]),
        ])
      return kernels.need(prepared)
    }
  }

  @Test(arguments: [DType.f32, .bf16])
  func `chains`(dtype: DType) throws {
    let (rows, inner, outer) = (1100, 24, 40)
    let x = RowChain.Operand(.memory(0), dtype, rows: rows, columns: inner)
    let w = RowChain.Operand(.memory(1), dtype, rows: outer, columns: inner)
    let place = RowChain.Place.scratch(byte: 0, bytesPerRow: outer * 4)
    let y = RowChain.Operand(place, .f32, rows: rows, columns: outer)
    let chain = RowChain(
      rows: rows,
      members: [
        .product(a: x, b: w, transposedB: true, c: y), .sum(a: x, b: y, c: 2),
        .tiles(Self.squares(rows, outer), [place, .memory(3), .memory(4)]),
      ], scratchByteCount: RowChain.rowsPerTile * outer * 4)
    try compare { kernels in
      kernels.run(
        chain,
        [
          try MemorySlice(zeros: dtype, [rows, inner]),
          try MemorySlice(zeros: dtype, [outer, inner]),
          try MemorySlice(zeros: .f32, [inner, outer]),
          try MemorySlice(zeros: .f32, [rows, outer]), try MemorySlice(zeros: .f32, [outer]),
        ])
      return kernels.need(chain)
    }
  }

  @Test func `memory that can't be had is an error`() throws {
    let kernels = kernels(threads: 1)
    // A number for each of more tokens than any address space holds.
    let need = kernels.need(
      crossEntropyHeadGradient: MatrixLayout(.f32, [1 << 50, 8]),
      head: MatrixLayout(.f32, [16, 8]), into: MatrixLayout(.f32, [16, 8]))
    let error = #expect(throws: StorageError.self) { try kernels.reserve(need) }
    #expect(error?.reason == .noMemory)
  }
}
