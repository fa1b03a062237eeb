internal import GraftCore
package import GraftKernels

/// A group as a tile program, with the values that its bindings stand for.
package struct LoweredGroup: Sendable {
  /// What runs.
  package let program: TileProgram
  /// The value behind each binding, in order; a view's base.
  package let operands: [Value]
  /// How many of the bindings are read; the rest are written.
  package let readCount: Int

  /// The bytes that the program moves: each binding's distinct memory once.
  package var bytesMoved: Int {
    program.bindings.indices.reduce(0) { $0 + bytesMoved(byBinding: $1) }
  }

  /// The bytes of one binding's distinct memory.
  func bytesMoved(byBinding index: Int) -> Int {
    let binding = program.bindings[index]
    let rows = min(
      (program.rows + binding.rowDivisor - 1) / binding.rowDivisor, binding.rowModulus)
    let width = binding.width == .columns ? program.columns : 1
    return rows * width * binding.dtype.layout.bytes
  }
}

/// Turns a fusion group into a tile program.
struct GroupLowering {
  private let graph: Graph
  private let fusion: Fusion
  private let index: Int
  private let group: FusionGroup
  private var instructions: [TileProgram.Instruction] = []
  private var reads: [(value: Value, binding: TileProgram.Binding)] = []
  private var loads: [Load: Int] = [:]
  private var registers: [Int: Int] = [:]
  private var constants: [Float: Int] = [:]

  private struct Load: Hashable {
    let value: Value
    let address: Addressing
  }

  init(_ graph: Graph, _ fusion: Fusion, _ index: Int) {
    self.graph = graph
    self.fusion = fusion
    self.index = index
    group = fusion.groups[index]
  }

  /// Lowers the group; `stored` are the members whose values others read.
  mutating func lowered(stored: [Bool]) -> LoweredGroup {
    var writes:
      [(value: Value, binding: TileProgram.Binding, instruction: (Int) -> TileProgram.Instruction)] =
        []
    for place in group.nodes {
      let node = graph.nodes[place]
      if node.op == .sumRows {
        let register = operand(node.inputs[0], in: graph.iterationShape(of: place))
        let binding = TileProgram.Binding(
          dtype: .f32, width: .columns, rowModulus: 1)
        writes.append((Value(node: place), binding, { .columnSum(register, binding: $0) }))
        continue
      }
      let register = emit(place)
      registers[place] = register
      guard stored[place] else { continue }
      let type = node.results[0]
      let isFull = type.shape.elementCount == group.rows * group.columns && group.columns != 1
      let binding = TileProgram.Binding(dtype: type.dtype, width: isFull ? .columns : .one)
      writes.append((Value(node: place), binding, { .store(register, binding: $0) }))
    }
    for (offset, write) in writes.enumerated() {
      instructions.append(write.instruction(reads.count + offset))
    }
    let program = TileProgram(
      rows: group.rows, columns: group.columns,
      bindings: reads.map(\.binding) + writes.map(\.binding), instructions: instructions)
    return LoweredGroup(
      program: program, operands: reads.map(\.value) + writes.map(\.value),
      readCount: reads.count)
  }

  private mutating func emit(_ place: Int) -> Int {
    let node = graph.nodes[place]
    let shape = graph.iterationShape(of: place)
    let inputs = node.inputs.map { operand($0, in: shape) }
    switch node.op {
    case .unary(let operation): return append(.unary(operation, inputs[0]))
    case .binary(let operation): return append(.binary(operation, inputs[0], inputs[1]))
    case .select:
      return append(.select(condition: inputs[0], then: inputs[1], otherwise: inputs[2]))
    case .cast:
      let dtype = node.results[0].dtype
      return dtype == .f32 ? inputs[0] : append(.round(dtype, inputs[0]))
    case .broadcast: return inputs[0]
    case .rotateHalf(let width): return append(.rotateHalf(width: width, inputs[0]))
    case .rowReduce(let reduction): return append(.rowReduce(reduction, inputs[0]))
    case .sumRows, .parameter, .input, .constant, .dropoutMask, .reshape, .matmul, .attention,
      .attentionBackward, .cachedAttention, .gather, .scatterAdd, .crossEntropy,
      .crossEntropyHeadGradient, .assign:
      preconditionFailure("\(node.op) isn't an instruction")
    }
  }

  /// The register that holds a value as an operand of an operation over `shape`.
  private mutating func operand(_ value: Value, in shape: Shape) -> Int {
    let base = graph.base(of: value)
    let node = graph.nodes[base.node]
    if case .constant(let number) = node.op {
      if let known = constants[number] { return known }
      let register = append(.constant(number))
      constants[number] = register
      return register
    }
    if case .dropoutMask(let mask, _) = node.op {
      if let known = registers[base.node] { return known }
      let register = append(
        .dropoutMask(mask, batch: numberBinding(graph.base(of: node.inputs[0]))))
      registers[base.node] = register
      return register
    }
    if fusion.groupOfNode[base.node] == index, let register = registers[base.node] {
      return register
    }
    if fusion.inlined[base.node] {
      // A widening cast: its input, loaded (or rounded in this group) under the cast's own address.
      let input = graph.base(of: node.inputs[0])
      if fusion.groupOfNode[input.node] == index, let register = registers[input.node] {
        return register
      }
      return load(input, as: graph.shape(of: value), in: shape)
    }
    return load(base, as: graph.shape(of: value), in: shape)
  }

  private mutating func load(_ value: Value, as view: Shape, in shape: Shape) -> Int {
    guard
      let address = Addressing(
        of: view, broadcastTo: shape, rows: group.rows, columns: group.columns)
    else { preconditionFailure("\(view) can't be addressed over \(shape)") }
    let key = Load(value: value, address: address)
    if let known = loads[key] { return known }
    let binding = TileProgram.Binding(
      dtype: graph.dtype(of: value), width: address.width, rowDivisor: address.rowDivisor,
      rowModulus: address.rowModulus)
    reads.append((value, binding))
    let register = append(.load(binding: reads.count - 1))
    loads[key] = register
    return register
  }

  /// The binding of one integer, which isn't loaded into a register.
  private mutating func numberBinding(_ value: Value) -> Int {
    let binding = TileProgram.Binding(dtype: graph.dtype(of: value), width: .one, rowModulus: 1)
    if let known = reads.firstIndex(where: { $0.value == value && $0.binding == binding }) {
      return known
    }
    reads.append((value, binding))
    return reads.count - 1
  }

  private mutating func append(_ instruction: TileProgram.Instruction) -> Int {
    instructions.append(instruction)
    return instructions.count - 1
  }
}
