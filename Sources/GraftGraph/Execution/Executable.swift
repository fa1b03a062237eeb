public import GraftCore
package import GraftKernels

/// How a graph is compiled.
public struct CompilerOptions: Sendable, Equatable {
  /// What the backward pass recomputes.
  public var recompute: RecomputePolicy
  /// Whether pointwise chains run as one pass; otherwise op by op, with the same bits.
  public var fusion: Bool

  /// Describes a compilation.
  public init(recompute: RecomputePolicy = .none, fusion: Bool = true) {
    self.recompute = recompute
    self.fusion = fusion
  }
}

/// A graph compiled for one set of shapes: steps, and an arena that holds all intermediate values.
///
/// Runs of one executable must not overlap.
public final class Executable {
  /// Where intermediate values lie.
  public let memoryPlan: MemoryPlan
  /// What compiling came to.
  public let report: CompilationReport
  package let schedule: Schedule
  package let graph: Graph
  private let kernels: Kernels
  private let arena: Memory
  private let outputs: [Value: Value]
  private let constants: [Value: MemorySlice]
  /// What every run must bind.
  private let leaves: [(node: Int, name: TensorName, type: ValueType)]
  private let instructions: [Instruction]
  /// The instructions that work on a leaf's memory, by its node.
  private var users: [Int: [Int]] = [:]
  /// The leaves' memory in the last run, and every instruction with that of its operands: a run resolves only what changed.
  private var bound: [Int: MemorySlice] = [:]
  private var resolved: [ResolvedInstruction?]
  /// Fills the arena with NaN before each run and each buffer after its last use, to find reads of dead memory.
  package var poisonsMemory = false
  /// Seconds spent in each step, added up over runs, when asked for.
  package var timings: [Double]?

  /// Compiles a graph.
  ///
  /// - Throws: ``GraphError`` when the graph breaks a rule, ``StorageError`` when the arena can't be had.
  package convenience init(
    _ source: Graph, outputs requested: [Value], options: CompilerOptions, kernels: Kernels
  ) throws {
    let compilation = try Compilation(source, outputs: requested, options: options)
    try self.init(compilation, kernels: kernels)
  }

  /// Takes the memory that a compiled graph needs, the kernels' scratch with it, so that no run takes any.
  ///
  /// - Throws: ``StorageError`` when it can't be had.
  package init(_ compilation: Compilation, kernels: Kernels) throws(StorageError) {
    let graph = compilation.graph
    self.graph = graph
    outputs = compilation.outputs
    schedule = compilation.schedule
    report = compilation.report
    let used = compilation.used
    memoryPlan = compilation.memoryPlan
    arena = try Memory(byteCount: memoryPlan.arenaByteCount)
    var constants: [Value: MemorySlice] = [:]
    for value in used {
      guard case .constant(let number) = graph.nodes[value.node].op else { continue }
      constants[value] = try MemorySlice(copying: [number], [1])
    }
    self.constants = constants
    leaves = graph.leaves(used, schedule)
    instructions = compilation.instructions
    try kernels.reserve(
      instructions.reduce(into: ScratchNeed()) { $0.include($1.need(graph, kernels)) })
    resolved = instructions.map { _ in nil }
    self.kernels = kernels
    for (index, instruction) in instructions.enumerated() {
      let nodes = instruction.operands.compactMap { $0.map { leaf(behind: $0.base) } }
      for node in Set(nodes) { users[node, default: []].append(index) }
      resolve(index)
    }
  }

  /// Runs the steps on the memory that names are bound to.
  ///
  /// - Throws: ``GraphError`` when a name is unbound or its memory has another dtype or size.
  public func run(bindings: [TensorName: MemorySlice]) throws(GraphError) {
    try bind(bindings)
    if poisonsMemory { poison(0..<memoryPlan.arenaByteCount) }
    for index in instructions.indices {
      let began = timings == nil ? nil : ContinuousClock.now
      guard let instruction = resolved[index] else {
        preconditionFailure("a value that is read or written has memory")
      }
      execute(instruction)
      if let began {
        timings?[index] += Double((ContinuousClock.now - began) / .nanoseconds(1)) / 1e9
      }
      if poisonsMemory {
        for buffer in memoryPlan.buffers where buffer.lastStep == index {
          poison(buffer.offset..<buffer.offset + buffer.byteCount)
        }
      }
    }
  }

  /// The memory of an output after a run.
  public func output(_ value: Value) -> MemorySlice {
    guard let mapped = outputs[value] else { preconditionFailure("the value was asked for") }
    let type = graph.type(of: mapped)
    guard let slice = slice(of: graph.base(of: mapped)) else {
      preconditionFailure("an output has memory")
    }
    return MemorySlice(slice.memory, at: slice.byteOffset, dtype: type.dtype, shape: type.shape)
  }

  // MARK: - Memory

  /// Checks the leaves' memory, and resolves the operands of instructions whose leaves moved since the last run.
  private func bind(_ bindings: [TensorName: MemorySlice]) throws(GraphError) {
    var stale: Set<Int> = []
    for (node, name, type) in leaves {
      guard let slice = bindings[name] else { throw GraphError(.unbound(name)) }
      guard slice.dtype == type.dtype, slice.shape.elementCount == type.shape.elementCount else {
        throw GraphError(
          .bindingMismatch(
            name, expected: "\(type.dtype) \(type.shape)", found: "\(slice.dtype) \(slice.shape)"))
      }
      if let last = bound[node], last.memory === slice.memory, last.byteOffset == slice.byteOffset {
        continue
      }
      bound[node] = slice
      stale.formUnion(users[node] ?? [])
    }
    for index in stale { resolve(index) }
  }

  /// Looks up the memory of an instruction's operands; one whose leaves aren't bound yet stays unresolved.
  private func resolve(_ index: Int) {
    let instruction = instructions[index]
    resolved[index] = ResolvedInstruction(
      instruction.action,
      instruction.operands.map { operand in
        guard let operand, let slice = slice(of: operand.base) else { return nil }
        return MemorySlice(
          slice.memory, at: slice.byteOffset, dtype: slice.dtype, shape: operand.shape)
      })
  }

  /// The node of the parameter that a value is written into, or else its own.
  private func leaf(behind value: Value) -> Int { (schedule.assigned[value] ?? value).node }

  /// The memory of a value that isn't a view; nil for a leaf that isn't bound.
  private func slice(of value: Value) -> MemorySlice? {
    if let leaf = bound[leaf(behind: value)] { return leaf }
    if let constant = constants[value] { return constant }
    guard let offset = memoryPlan.offsets[value] else { return nil }
    let type = graph.type(of: value)
    return MemorySlice(arena, at: offset, dtype: type.dtype, shape: type.shape)
  }

  private func poison(_ range: Range<Int>) {
    arena.withMutableBytes { bytes in
      for offset in stride(from: range.lowerBound, to: range.upperBound - 3, by: 4) {
        bytes.storeBytes(of: Float.nan, toByteOffset: offset, as: Float.self)
      }
    }
  }

  // MARK: - Steps

  private func execute(_ instruction: ResolvedInstruction) {
    switch instruction {
    case .tiles(let program, let slices): kernels.run(program, slices)
    case .chain(let chain, let slices): kernels.run(chain, slices)
    case .siblings(let a, let pairs): kernels.multiplySiblings(a, pairs)
    case .copy(let source, let target): target.replaceBytes(source.bytes)
    case .kernel(let op, let inputCount, let operands): execute(op, inputCount, operands)
    }
  }

  private func execute(_ op: Op, _ inputCount: Int, _ operands: [MemorySlice?]) {
    func slice(_ index: Int) -> MemorySlice {
      guard let slice = operands[index] else { preconditionFailure("\(op) has its operands") }
      return slice
    }
    func input(_ index: Int) -> MemorySlice { slice(index) }
    func inputIfGiven(_ index: Int) -> MemorySlice? {
      index < inputCount ? slice(index) : nil
    }
    func result(_ index: Int = 0) -> MemorySlice { slice(inputCount + index) }
    func resultIfUsed(_ index: Int) -> MemorySlice? { operands[inputCount + index] }
    switch op {
    case .matmul(let transposeA, let transposeB):
      kernels.gemm(
        input(0), transposed: transposeA, input(1), transposed: transposeB, into: result())
    case .attention(let shape):
      kernels.attention(
        input(0), input(1), input(2), segments: inputIfGiven(3), into: result(),
        logSumExp: resultIfUsed(1), shape: shape)
    case .attentionBackward(let shape):
      kernels.attentionBackward(
        input(0), input(1), input(2), input(3), logSumExp: input(4), outputGradient: input(5),
        segments: inputIfGiven(6), into: result(0), result(1), result(2), shape: shape)
    case .cachedAttention(let shape):
      kernels.cachedAttention(
        input(0), input(1), input(2), keyCache: input(3), valueCache: input(4),
        position: Int(input(5).firstInt32), into: result(), shape: shape)
    case .gather: kernels.gatherRows(input(0), ids: input(1), into: result())
    case .scatterAdd:
      if let sum = inputIfGiven(2) { result().hold(sum) } else { result().fillWithZero() }
      kernels.scatterAddRows(input(0), ids: input(1), into: result())
    case .crossEntropy:
      kernels.crossEntropy(
        input(0), head: input(1), targets: input(2), losses: result(0),
        xGradient: resultIfUsed(1))
    case .crossEntropyHeadGradient:
      let sum = inputIfGiven(4)
      if let sum { result().hold(sum) }
      kernels.crossEntropyHeadGradient(
        input(0), head: input(1), targets: input(2), lossGradient: input(3), into: result(),
        accumulate: sum != nil)
    case .parameter, .input, .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast,
      .rotateHalf, .rowReduce, .sumRows, .reshape, .assign:
      preconditionFailure("\(op) isn't a kernel")
    }
  }
}

extension Graph {
  /// The parameters and inputs that a schedule reads or writes, in the graph's order.
  fileprivate func leaves(
    _ used: Set<Value>, _ schedule: Schedule
  ) -> [(node: Int, name: TensorName, type: ValueType)] {
    var values = used.union(schedule.assigned.values)
    for case .copy(_, let target) in schedule.steps { values.insert(target) }
    return Set(values.map(\.node)).sorted().compactMap { node in
      switch nodes[node].op {
      case .parameter(let name), .input(let name): (node, name, nodes[node].results[0])
      case .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast, .rotateHalf,
        .rowReduce, .sumRows, .reshape, .matmul, .attention, .attentionBackward,
        .cachedAttention, .gather, .scatterAdd, .crossEntropy, .crossEntropyHeadGradient, .assign:
        nil
      }
    }
  }
}

extension MemorySlice {
  fileprivate var firstInt32: Int32 { bytes.unsafeLoadInt32(at: 0) }

  /// Takes over another slice's elements, unless they lie here already.
  fileprivate func hold(_ other: MemorySlice) {
    guard memory !== other.memory || byteOffset != other.byteOffset else { return }
    replaceBytes(other.bytes)
  }

  fileprivate func fillWithZero() {
    memory.withMutableBytes { bytes in
      var offset = byteOffset
      let end = byteOffset + byteCount
      while offset + 8 <= end {
        bytes.storeBytes(of: 0 as UInt64, toByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      while offset < end {
        bytes.storeBytes(of: 0 as UInt8, toByteOffset: offset, as: UInt8.self)
        offset += 1
      }
    }
  }
}

extension RawSpan {
  fileprivate func unsafeLoadInt32(at offset: Int) -> Int32 {
    unsafe unsafeLoad(fromByteOffset: offset, as: Int32.self)
  }
}
