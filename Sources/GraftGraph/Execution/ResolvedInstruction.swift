internal import GraftCore
internal import GraftKernels

/// An instruction with the memory that it works on.
enum ResolvedInstruction {
  case tiles(PreparedProgram, [MemorySlice])
  case chain(RowChain, [MemorySlice])
  case kernel(Op, inputCount: Int, [MemorySlice?])
  case siblings(MemorySlice, [(b: MemorySlice, c: MemorySlice)])
  case copy(from: MemorySlice, to: MemorySlice)

  /// Pairs an action with its operands' memory; nil where memory is missing that the action can't do without.
  init?(_ action: Instruction.Action, _ operands: [MemorySlice?]) {
    let slices = operands.compactMap { $0 }
    let isComplete = slices.count == operands.count
    switch action {
    case .tiles(let program):
      guard isComplete else { return nil }
      program.check(slices)
      self = .tiles(program, slices)
    case .chain(let chain):
      guard isComplete else { return nil }
      self = .chain(chain, slices)
    case .siblings:
      guard isComplete else { return nil }
      let count = slices.count / 2
      self = .siblings(
        slices[0], (1...count).map { (b: slices[$0], c: slices[$0 + count]) })
    case .copy:
      guard isComplete else { return nil }
      self = .copy(from: slices[0], to: slices[1])
    case .kernel(let op, let inputCount): self = .kernel(op, inputCount: inputCount, operands)
    }
  }
}
