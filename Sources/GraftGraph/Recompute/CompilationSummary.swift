internal import GraftCore
internal import GraftKernels

/// What a compiled training step is made of, in words and numbers for people.
public struct CompilationSummary: Sendable, Equatable {
  /// A tile program: operations that run together over tiles.
  public struct Group: Sendable, Equatable {
    /// Rows of the iteration space.
    public let rows: Int
    /// Columns of the iteration space.
    public let columns: Int
    /// The operations, the most frequent first.
    public let operations: [Operation]

    /// All operations.
    public var operationCount: Int { operations.reduce(0) { $0 + $1.count } }
  }

  /// An operation of a tile program.
  public struct Operation: Sendable, Equatable {
    /// Its name.
    public let name: String
    /// How often it occurs.
    public let count: Int
  }

  /// A value in the arena when that is fullest.
  public struct Buffer: Sendable, Equatable {
    /// The operation that makes it.
    public let operation: String
    /// Its dtype and shape, as in `BF16 [2048, 576]`.
    public let type: String
    /// How many such values there are at that step.
    public let count: Int
    /// The bytes of all of them.
    public let byteCount: Int
  }

  /// A stretch of the step.
  public struct Stage: Sendable, Equatable {
    /// What it does.
    public let name: String
    /// The most bytes of the arena that are in use at once.
    public let byteCount: Int
  }

  /// How a block is treated.
  public struct Block: Sendable, Equatable {
    /// Whether the block's input waits in memory for its gradients; if not, it is made again.
    public let keepsInput: Bool
    /// The bytes of the block's own values that wait for its gradients.
    public let keptByteCount: Int
    /// How many products, attentions and other kernels of the block run again.
    public let kernelsAgain: Int
  }

  /// The largest tile program.
  public let largestGroup: Group?
  /// The largest kinds of values where the arena is fullest.
  public let buffers: [Buffer]
  /// The stretches of the step in order.
  public let stages: [Stage]
  /// The blocks in order.
  public let blocks: [Block]
}

extension Compilation {
  /// Describes what was compiled.
  package var summary: CompilationSummary {
    CompilationSummary(
      largestGroup: largestGroup, buffers: fullestBuffers(atMost: 6), stages: stages,
      blocks: blocks)
  }

  private var groups: [LoweredGroup] {
    func groups(_ step: Step) -> [LoweredGroup] {
      switch step {
      case .tiles(let group): [group]
      case .chain(let chain): chain.members.flatMap(groups)
      case .kernel, .siblings, .copy: []
      }
    }
    return schedule.steps.flatMap(groups)
  }

  private var largestGroup: CompilationSummary.Group? {
    func names(_ group: LoweredGroup) -> [String] {
      group.program.instructions.compactMap(\.operationName)
    }
    guard
      let (group, operations) = groups.map({ ($0, names($0)) }).max(by: { $0.1.count < $1.1.count })
    else { return nil }
    return CompilationSummary.Group(
      rows: group.program.rows, columns: group.program.columns,
      operations: Dictionary(grouping: operations, by: \.self).map {
        CompilationSummary.Operation(name: $0.key, count: $0.value.count)
      }
      .sorted { ($1.count, $0.name) < ($0.count, $1.name) })
  }

  /// The bytes in use at each step.
  private var bytesInUse: [Int] {
    var change = [Int](repeating: 0, count: schedule.steps.count + 2)
    for buffer in memoryPlan.buffers {
      change[buffer.firstStep] += buffer.byteCount
      change[buffer.lastStep + 1] -= buffer.byteCount
    }
    var sum = 0
    return schedule.steps.indices.map { step in
      sum += change[step]
      return sum
    }
  }

  private func fullestBuffers(atMost count: Int) -> [CompilationSummary.Buffer] {
    let inUse = bytesInUse
    guard let fullest = inUse.indices.max(by: { inUse[$0] < inUse[$1] }) else { return [] }
    let alive = memoryPlan.buffers.filter { $0.firstStep <= fullest && fullest <= $0.lastStep }
    let kinds = Dictionary(grouping: alive) { buffer in
      let type = graph.type(of: buffer.value)
      return "\(graph.nodes[buffer.value.node].op.name) \(type.dtype) \(type.shape)"
    }
    return kinds.values.compactMap { buffers -> CompilationSummary.Buffer? in
      guard let first = buffers.first else { return nil }
      let type = graph.type(of: first.value)
      return CompilationSummary.Buffer(
        operation: graph.nodes[first.value.node].op.name, type: "\(type.dtype) \(type.shape)",
        count: buffers.count, byteCount: buffers.reduce(0) { $0 + $1.byteCount })
    }
    .sorted { ($1.byteCount, $0.type, $0.operation) < ($0.byteCount, $1.type, $1.operation) }
    .prefix(count).map { $0 }
  }

  /// The step's phase: that of the first node that it makes.
  private func phase(of step: Step) -> Int? {
    step.writes(in: graph).first.map { graph.nodes[$0.node].phase }
  }

  private var stages: [CompilationSummary.Stage] {
    let inUse = bytesInUse
    let last = graph.phaseSum / 2
    var most: [String: Int] = [:]
    let names = ["before the blocks", "blocks", "loss head", "gradients of the blocks", "the rest"]
    for (index, step) in schedule.steps.enumerated() {
      guard let phase = phase(of: step) else { continue }
      let isBlock = phase % 2 != 0
      let name =
        switch phase {
        case 0: names[0]
        case ..<0: names[3]
        case _ where isBlock: phase < last ? names[1] : names[3]
        case graph.phaseSum: names[4]
        default: phase > 1 && abs(phase - last) <= 1 ? names[2] : names[1]
        }
      most[name] = max(most[name] ?? 0, inUse[index])
    }
    return names.compactMap { name in
      most[name].map { CompilationSummary.Stage(name: name, byteCount: $0) }
    }
  }

  private var blocks: [CompilationSummary.Block] {
    guard let start = graph.backwardStart else { return [] }
    let last = graph.phaseSum / 2
    let phases = stride(from: 1, to: last, by: 2)
    var kept: [Int: Int] = [:]
    var handsOn: Set<Int> = []
    var seen: Set<Value> = []
    for buffer in memoryPlan.buffers where buffer.value.node < start {
      seen.insert(buffer.value)
    }
    // Forward values that steps of the backward pass read.
    var read: Set<Value> = []
    for step in schedule.steps {
      guard let phase = phase(of: step), phase > last || phase < 0 else { continue }
      for value in step.reads(in: graph) where value.node < start { read.insert(value) }
    }
    var leaving: Set<Value> = []
    for node in graph.nodes[..<start] {
      for input in node.inputs where graph.nodes[input.node].phase != node.phase {
        leaving.insert(graph.base(of: input))
      }
    }
    for value in read.intersection(seen) {
      let phase = graph.nodes[value.node].phase
      if leaving.contains(value) {
        handsOn.insert(phase)
      } else {
        kept[phase, default: 0] += graph.type(of: value).byteCount
      }
    }
    var again: [Int: Int] = [:]
    for place in schedule.steps.flatMap(\.kernels) {
      if let phase = copiedFrom[place] { again[phase, default: 0] += 1 }
    }
    return phases.map { phase in
      CompilationSummary.Block(
        keepsInput: phase == 1 || handsOn.contains(phase - 2) || handsOn.contains(phase - 1),
        keptByteCount: kept[phase] ?? 0, kernelsAgain: again[phase] ?? 0)
    }
  }
}

extension TileProgram.Instruction {
  /// One word for what is computed; nil for what moves values.
  fileprivate var operationName: String? {
    switch self {
    case .unary(let operation, _): operation.rawValue
    case .binary(let operation, _, _): operation.rawValue
    case .select: "select"
    case .round: "round"
    case .rotateHalf: "rotateHalf"
    case .dropoutMask: "dropoutMask"
    case .rowReduce(let reduction, _): reduction == .sum ? "rowSum" : "rowMaximum"
    case .columnSum: "columnSum"
    case .load, .constant, .store: nil
    }
  }
}
