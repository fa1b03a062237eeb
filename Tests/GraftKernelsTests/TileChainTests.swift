import GraftCore
import GraftKernels
import Testing

/// Programs of every shape against the same instructions run one at a time: the same bits.
@Suite struct TileChainTests {
  typealias Binding = TileProgram.Binding
  typealias Instruction = TileProgram.Instruction

  /// A program made of random instructions; everything is stored, some of it where it was read.
  struct Sample: Sendable, CustomTestStringConvertible {
    let seed: UInt64
    let instructionCount: Int
    let rows: Int
    let columns: Int
    var testDescription: String { "\(seed): \(instructionCount) on \(rows)×\(columns)" }

    private func random(_ index: Int, _ bound: Int) -> Int {
      let word = RandomStream.word(seed: seed, stream: 90, step: UInt64(index), index: 0)
      return Int(word) % bound
    }

    /// Loads of every layout, then operations on what is there.
    var instructions: [Instruction] {
      var result = loads.indices.map { Instruction.load(binding: $0) }
      result += [.constant(0.75), .constant(-0.5)]
      result.append(.dropoutMask(mask, batch: loads.count))
      let unary: [TileProgram.Unary] = [
        .negate, .exp, .sigmoid, .square, .absolute, .tanh, .sine, .erf,
      ]
      let binary: [TileProgram.Binary] = [
        .add, .subtract, .multiply, .maximum, .minimum, .less, .equal, .divide,
      ]
      while result.count < instructionCount {
        let step = result.count
        // Mostly what was made last, so that chains go on.
        let x = random(4 * step, 3) > 0 ? step - 1 : random(4 * step + 1, step)
        let y = random(4 * step + 2, step)
        switch random(4 * step + 3, 12) {
        case 0..<5: result.append(.binary(binary[random(step, binary.count)], x, y))
        case 5..<8: result.append(.unary(unary[random(step, unary.count)], x))
        case 8: result.append(.round(random(step, 2) == 0 ? .bf16 : .f16, x))
        case 9: result.append(.select(condition: y, then: x, otherwise: random(step + 7, step)))
        case 10: result.append(.rotateHalf(width: columns % 128 == 0 ? 128 : columns, x))
        default: result.append(.rowReduce(random(step, 2) == 0 ? .sum : .maximum, x))
        }
      }
      return result
    }

    /// The mask of the batch whose number is bound after the loads.
    var mask: DropoutMask { DropoutMask(probability: 0.4, seed: seed, stream: 3) }
    static let batch = Binding(dtype: .i64, width: .one, rowModulus: 1)

    var loads: [Binding] {
      [
        Binding(dtype: .f32, width: .columns), Binding(dtype: .bf16, width: .columns),
        Binding(dtype: .f16, width: .columns), Binding(dtype: .f32, width: .columns, rowModulus: 1),
        Binding(dtype: .bf16, width: .columns, rowModulus: 1), Binding(dtype: .f32, width: .one),
        Binding(dtype: .bf16, width: .columns, rowDivisor: 2, rowModulus: 3),
        Binding(dtype: .f32, width: .one, rowModulus: 1),
      ]
    }
  }

  static let samples = (1...40).map { seed in
    Sample(
      seed: UInt64(seed), instructionCount: seed % 8 == 0 ? 150 : 12 + seed,
      rows: [1, 7, 12][seed % 3], columns: [64, 128, 96, 6, 384][seed % 5])
  }

  private func slice(_ binding: Binding, _ sample: Sample, _ phase: Double) throws -> MemorySlice {
    let rows = min(binding.rowModulus, (sample.rows - 1) / binding.rowDivisor + 1)
    let count = rows * (binding.width == .columns ? sample.columns : 1)
    return try MemorySlice(wave(count, phase: phase, scale: 2), binding.dtype, [count])
  }

  /// What each instruction gives when it has a program to itself, as full tiles.
  private func alone(_ sample: Sample, _ kernels: Kernels) throws -> [MemorySlice] {
    let full = Binding(dtype: .f32, width: .columns)
    var values: [MemorySlice] = []
    for instruction in sample.instructions {
      let result = try MemorySlice(zeros: .f32, [sample.rows, sample.columns])
      func run(_ bindings: [Binding], _ slices: [MemorySlice], _ own: Instruction) {
        var program = bindings.indices.map { Instruction.load(binding: $0) }
        program += [own, .store(bindings.count, binding: bindings.count)]
        kernels.run(
          TileProgram(
            rows: sample.rows, columns: sample.columns, bindings: bindings + [full],
            instructions: program), slices + [result])
      }
      switch instruction {
      case .load(let b):
        kernels.run(
          TileProgram(
            rows: sample.rows, columns: sample.columns, bindings: [sample.loads[b], full],
            instructions: [.load(binding: 0), .store(0, binding: 1)]),
          [try slice(sample.loads[b], sample, Double(b)), result])
      case .constant: run([], [], instruction)
      case .dropoutMask(let mask, _):
        kernels.run(
          TileProgram(
            rows: sample.rows, columns: sample.columns, bindings: [Sample.batch, full],
            instructions: [.dropoutMask(mask, batch: 0), .store(0, binding: 1)]),
          [try slice(Sample.batch, sample, 1), result])
      case .unary(let u, let x): run([full], [values[x]], .unary(u, 0))
      case .binary(let b, let x, let y):
        run([full, full], [values[x], values[y]], .binary(b, 0, 1))
      case .select(let c, let x, let y):
        run(
          [full, full, full], [values[c], values[x], values[y]],
          .select(condition: 0, then: 1, otherwise: 2))
      case .round(let dtype, let x): run([full], [values[x]], .round(dtype, 0))
      case .rotateHalf(let width, let x): run([full], [values[x]], .rotateHalf(width: width, 0))
      case .rowReduce(let r, let x): run([full], [values[x]], .rowReduce(r, 0))
      case .store, .columnSum: Issue.record("not in these programs")
      }
      values.append(result)
    }
    return values
  }

  private func equal(_ a: MemorySlice, _ b: MemorySlice) -> Bool {
    zip(a.values, b.values).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN }
  }

  @Test(arguments: samples, TileTests.levels)
  func `many instructions together give what each gives alone`(
    sample: Sample, level: SIMDLevel
  ) throws {
    let kernels = kernels(threads: 1, level)
    let expected = try alone(sample, kernels)
    let full = Binding(dtype: .f32, width: .columns)
    let stored = sample.instructions.indices.filter { $0 % 3 == 0 || $0 > 100 }
    var bindings = sample.loads + [Sample.batch]
    var slices = try sample.loads.enumerated().map { try slice($1, sample, Double($0)) }
    slices.append(try slice(Sample.batch, sample, 1))
    var instructions = sample.instructions
    // The first stored value goes where the first load came from.
    for (i, value) in stored.enumerated() {
      bindings.append(full)
      slices.append(
        try i == 0 ? slices[0] : MemorySlice(zeros: .f32, [sample.rows, sample.columns]))
      instructions.append(.store(value, binding: bindings.count - 1))
    }
    kernels.run(
      TileProgram(
        rows: sample.rows, columns: sample.columns, bindings: bindings, instructions: instructions),
      slices)
    for (value, slice) in zip(stored, slices.dropFirst(sample.loads.count + 1)) {
      #expect(
        equal(slice, expected[value]), "instruction \(value): \(sample.instructions[value])")
    }
  }
}
