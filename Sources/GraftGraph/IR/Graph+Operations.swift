public import GraftCore
public import GraftKernels

extension Graph {
  // MARK: - Pointwise

  /// x + y.
  public mutating func add(_ x: Value, _ y: Value) -> Value { binary(.add, x, y) }
  /// x − y.
  public mutating func subtract(_ x: Value, _ y: Value) -> Value { binary(.subtract, x, y) }
  /// x · y, element by element.
  public mutating func multiply(_ x: Value, _ y: Value) -> Value { binary(.multiply, x, y) }
  /// x / y.
  public mutating func divide(_ x: Value, _ y: Value) -> Value { binary(.divide, x, y) }
  /// The larger of x and y.
  public mutating func maximum(_ x: Value, _ y: Value) -> Value { binary(.maximum, x, y) }
  /// The smaller of x and y.
  public mutating func minimum(_ x: Value, _ y: Value) -> Value { binary(.minimum, x, y) }
  /// 1 where x < y, else 0.
  public mutating func less(_ x: Value, _ y: Value) -> Value { binary(.less, x, y) }
  /// 1 where x = y, else 0.
  public mutating func equal(_ x: Value, _ y: Value) -> Value { binary(.equal, x, y) }
  /// −x.
  public mutating func negate(_ x: Value) -> Value { unary(.negate, x) }
  /// eˣ.
  public mutating func exp(_ x: Value) -> Value { unary(.exp, x) }
  /// The natural logarithm.
  public mutating func log(_ x: Value) -> Value { unary(.log, x) }
  /// √x.
  public mutating func squareRoot(_ x: Value) -> Value { unary(.squareRoot, x) }
  /// 1 / √x.
  public mutating func reciprocalSquareRoot(_ x: Value) -> Value {
    unary(.reciprocalSquareRoot, x)
  }
  /// 1 / x.
  public mutating func reciprocal(_ x: Value) -> Value { unary(.reciprocal, x) }
  /// The hyperbolic tangent.
  public mutating func tanh(_ x: Value) -> Value { unary(.tanh, x) }
  /// 1 / (1 + e⁻ˣ).
  public mutating func sigmoid(_ x: Value) -> Value { unary(.sigmoid, x) }
  /// The error function.
  public mutating func erf(_ x: Value) -> Value { unary(.erf, x) }
  /// |x|.
  public mutating func absolute(_ x: Value) -> Value { unary(.absolute, x) }
  /// x².
  public mutating func square(_ x: Value) -> Value { unary(.square, x) }
  /// The sine of radians.
  public mutating func sine(_ x: Value) -> Value { unary(.sine, x) }
  /// The cosine of radians.
  public mutating func cosine(_ x: Value) -> Value { unary(.cosine, x) }

  /// `then` where the condition isn't 0, else `otherwise`; all of one shape.
  public mutating func select(_ condition: Value, then: Value, otherwise: Value) -> Value {
    let type = type(of: then)
    precondition(
      type == self.type(of: otherwise) && type == self.type(of: condition) && type.dtype == .f32,
      "select takes three f32 values of one shape")
    return add(.select, [condition, then, otherwise], [type])
  }

  /// The value in another dtype, rounded to nearest even; the value itself when it has the dtype.
  public mutating func cast(_ x: Value, to dtype: DType) -> Value {
    let type = type(of: x)
    guard type.dtype != dtype else { return x }
    return add(.cast, [x], [ValueType(dtype, type.shape)])
  }

  /// The value repeated to a shape, as NumPy broadcasts.
  public mutating func broadcast(_ x: Value, to shape: Shape) -> Value {
    let type = type(of: x)
    guard type.shape != shape else { return x }
    precondition(
      type.dtype == .f32 && Shape.broadcast(type.shape, shape) == shape,
      "\(type.shape) broadcasts to \(shape)")
    return add(.broadcast, [x], [ValueType(.f32, shape)])
  }

  /// Within each group of `width` columns: (x₁, x₂) → (−x₂, x₁) by halves, rotary embedding's rotation.
  public mutating func rotateHalf(_ x: Value, width: Int) -> Value {
    let type = type(of: x)
    precondition(
      type.dtype == .f32 && width % 2 == 0 && type.shape.columns % width == 0,
      "rotateHalf takes f32 columns in groups of an even width")
    return add(.rotateHalf(width: width), [x], [type])
  }

  /// The value with some elements dropped and the others scaled up, by the mask of a batch ([1], i64); f32.
  package mutating func dropout(_ x: Value, _ mask: DropoutMask, batch: Value) -> Value {
    precondition(type(of: batch) == ValueType(.i64, [1]), "the number of a batch is one i64")
    let factors = add(.dropoutMask(mask, copy: 0), [batch], [ValueType(.f32, shape(of: x))])
    return multiply(cast(x, to: .f32), factors)
  }

  private mutating func unary(_ operation: TileProgram.Unary, _ x: Value) -> Value {
    let type = type(of: x)
    precondition(type.dtype == .f32, "pointwise operations take f32")
    return add(.unary(operation), [x], [type])
  }

  private mutating func binary(_ operation: TileProgram.Binary, _ x: Value, _ y: Value) -> Value {
    let left = type(of: x)
    let right = type(of: y)
    precondition(left.dtype == .f32 && right.dtype == .f32, "pointwise operations take f32")
    guard let shape = Shape.broadcast(left.shape, right.shape) else {
      preconditionFailure("\(left.shape) and \(right.shape) don't broadcast")
    }
    return add(.binary(operation), [x, y], [ValueType(.f32, shape)])
  }

  // MARK: - Reductions and views

  /// The sum over the last axis, which stays with extent 1.
  public mutating func rowSum(_ x: Value) -> Value { rowReduce(.sum, x) }

  /// The maximum over the last axis, which stays with extent 1.
  public mutating func rowMax(_ x: Value) -> Value { rowReduce(.maximum, x) }

  private mutating func rowReduce(_ reduction: TileProgram.Reduction, _ x: Value) -> Value {
    let type = type(of: x)
    precondition(type.dtype == .f32 && type.shape.rank > 0, "reductions take f32 with an axis")
    let shape = Shape(trusted: type.shape.dimensions.dropLast() + [1])
    return add(.rowReduce(reduction), [x], [ValueType(.f32, shape)])
  }

  /// The sum over all axes but the last: [.., columns] → [columns].
  public mutating func sumRows(_ x: Value) -> Value {
    let type = type(of: x)
    precondition(type.dtype == .f32, "reductions take f32")
    return add(.sumRows, [x], [ValueType(.f32, [type.shape.columns])])
  }

  /// The same elements under another shape.
  public mutating func reshape(_ x: Value, _ shape: Shape) -> Value {
    let type = type(of: x)
    precondition(type.shape.elementCount == shape.elementCount, "a reshape keeps the elements")
    guard type.shape != shape else { return x }
    return add(.reshape, [x], [ValueType(type.dtype, shape)])
  }

  // MARK: - Opaque operations

  /// op(a) · op(b) in f32 accumulation, rounded to `dtype`; f32 and bf16 in any mixture.
  public mutating func matmul(
    _ a: Value, transposed transposeA: Bool, _ b: Value, transposed transposeB: Bool, dtype: DType
  ) -> Value {
    let left = shape(of: a)
    let right = shape(of: b)
    precondition(left.rank == 2 && right.rank == 2, "matmul takes matrices")
    precondition(
      left[transposeA ? 0 : 1] == right[transposeB ? 1 : 0],
      "matmul of \(left) and \(right): the inner extents agree")
    let shape: Shape = [left[transposeA ? 1 : 0], right[transposeB ? 0 : 1]]
    return add(
      .matmul(transposeA: transposeA, transposeB: transposeB), [a, b], [ValueType(dtype, shape)])
  }

  /// Attention; q: [tokens, heads · width]  k, v: [tokens, kvHeads · width] → [tokens, heads · width].
  ///
  /// Segments ([tokens], i32) are numbers that never fall within a sequence: a token sees keys of its own segment only,
  /// as it should where documents are packed into a sequence, or where it ends in padding.
  public mutating func attention(
    _ q: Value, _ k: Value, _ v: Value, shape: AttentionShape, segments: Value? = nil
  ) -> Value {
    let statistics: Shape = [shape.batch * shape.sequence, shape.heads]
    return add(
      .attention(shape), [q, k, v] + (segments.map { [$0] } ?? []),
      [type(of: q), ValueType(.f32, statistics)])
  }

  /// Causal attention over a cache, to which k and v are appended at `position` ([1], i32).
  public mutating func cachedAttention(
    _ q: Value, _ k: Value, _ v: Value, keyCache: Value, valueCache: Value, position: Value,
    shape: AttentionShape
  ) -> Value {
    add(
      .cachedAttention(shape), [q, k, v, keyCache, valueCache, position], [type(of: q)])
  }

  /// Rows of a table by ids ([n], i32): [n, columns].
  public mutating func gather(_ table: Value, _ ids: Value) -> Value {
    let type = type(of: table)
    precondition(type.shape.rank == 2 && dtype(of: ids) == .i32, "gather takes a table and ids")
    return add(
      .gather, [table, ids],
      [ValueType(type.dtype, [shape(of: ids).elementCount, type.shape.columns])])
  }

  /// The cross-entropy of each token's next token: losses [tokens] in nats; targets below 0 are ignored.
  ///
  /// x: [tokens, hidden]  head: [vocabulary, hidden]  targets: [tokens], i32. Logits are never whole.
  public mutating func crossEntropy(_ x: Value, head: Value, targets: Value) -> Value {
    let tokens = shape(of: x)[0]
    return add(
      .crossEntropy, [x, head, targets], [ValueType(.f32, [tokens]), type(of: x)])
  }

  // MARK: - Effects

  /// Writes a computed value into a parameter when the graph has run; readers see what was there before.
  public mutating func assign(_ target: Value, _ value: Value) {
    precondition(type(of: target) == type(of: value), "an assignment keeps the type")
    guard case .parameter = nodes[target.node].op else {
      preconditionFailure("only parameters are assigned to")
    }
    precondition(nodes[base(of: value).node].op.kind != .leaf, "a computed value is assigned")
    _ = add(.assign, [target, value], [])
  }
}

extension Shape {
  /// The shape that two shapes broadcast to, right-aligned as in NumPy; nil when they don't.
  static func broadcast(_ left: Shape, _ right: Shape) -> Shape? {
    let rank = max(left.rank, right.rank)
    var result: [Int] = []
    for axis in 0..<rank {
      let l = axis - (rank - left.rank) >= 0 ? left[axis - (rank - left.rank)] : 1
      let r = axis - (rank - right.rank) >= 0 ? right[axis - (rank - right.rank)] : 1
      guard l == r || l == 1 || r == 1 else { return nil }
      result.append(l == 1 ? r : l)
    }
    return Shape(trusted: result)
  }
}
