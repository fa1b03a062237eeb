import Glibc
import GraftCore
import GraftKernels
import Testing

@Suite struct TileTests {
  static let levels = SIMDLevel.allCases.filter { $0 <= .best }

  typealias Instruction = TileProgram.Instruction

  /// glibc's functions in double precision.
  static func truth(_ unary: TileProgram.Unary, _ x: Double) -> Double {
    switch unary {
    case .negate: -x
    case .exp: exp(x)
    case .log: log(x)
    case .squareRoot: x.squareRoot()
    case .reciprocalSquareRoot: 1 / x.squareRoot()
    case .reciprocal: 1 / x
    case .tanh: tanh(x)
    case .sigmoid: 1 / (1 + exp(-x))
    case .erf: erf(x)
    case .absolute: abs(x)
    case .square: x * x
    case .sine: sin(x)
    case .cosine: cos(x)
    }
  }

  @Test(arguments: TileProgram.Unary.allCases)
  func `functions are accurate, and the same at every level`(unary: TileProgram.Unary) throws {
    var inputs: [Float] = [
      0, -0.0, 1, -1, .infinity, -.infinity, .nan, 88.8, -87.5, -103, 0x1p-133,
    ]
    for i in 0..<20011 {
      inputs.append(Float(i - 10005) * 1.37e-3)
      inputs.append(Float(exp(Double(i - 10005) * 7e-3)))
    }
    if unary == .sine || unary == .cosine {
      inputs = (0..<40033).map { (Float($0) - 20000) * 3.3 }
    }
    let x = try MemorySlice(inputs, .f32, [1, inputs.count])
    let program = TileProgram(
      rows: 1, columns: inputs.count,
      bindings: [.init(dtype: .f32, width: .columns), .init(dtype: .f32, width: .columns)],
      instructions: [.load(binding: 0), .unary(unary, 0), .store(1, binding: 1)])
    var images: [[UInt8]] = []
    for level in Self.levels {
      let y = try MemorySlice(zeros: .f32, [1, inputs.count])
      kernels(threads: 1, level).run(program, [x, y])
      images.append(y.image)
      guard level == .best else { continue }
      var worst = 0.0
      for (x, y) in zip(inputs, y.values) {
        let exact = Self.truth(unary, Double(x))
        if exact.isNaN { #expect(y.isNaN, "\(unary)(\(x))"); continue }
        if abs(exact) > Double(Float.greatestFiniteMagnitude) {
          #expect(y.isInfinite && (y < 0) == (exact < 0), "\(unary)(\(x)) = \(y)")
          continue
        }
        // Trigonometric functions are accurate relative to 1 away from small arguments.
        let isPeriodic = unary == .sine || unary == .cosine
        let unit = isPeriodic ? 0x1p-24 : Double(max(Float(exact).ulp, 0x1p-149))
        worst = max(worst, abs(Double(y) - exact) / unit)
      }
      let limit = unary == .exp || unary == .sigmoid ? 2 : 2.6
      #expect(worst <= limit, "\(unary): \(worst) units in the last place")
    }
    #expect(images.allSatisfy { $0 == images[0] })
  }

  /// A program as the definition of its instructions says, one value at a time, with sums in double precision.
  static func interpret(_ program: TileProgram, _ slices: [MemorySlice]) -> [[Double]] {
    let (rows, columns) = (program.rows, program.columns)
    let memory = slices.map { $0.values.map(Double.init) }
    var out = memory
    var registers: [[Double]] = []
    for instruction in program.instructions {
      var result = [Double](repeating: 0, count: rows * columns)
      for r in 0..<rows {
        for c in 0..<columns {
          let i = r * columns + c
          func at(_ x: Int) -> Double { registers[x][i] }
          func place(_ b: Int) -> Int {
            let binding = program.bindings[b]
            let row = r / binding.rowDivisor % binding.rowModulus
            return binding.width == .one ? row : row * columns + c
          }
          switch instruction {
          case .load(let b): result[i] = memory[b][place(b)]
          case .constant(let x): result[i] = Double(x)
          case .dropoutMask(let mask, let b):
            result[i] = Double(mask.factor(batch: UInt64(memory[b][0]), element: UInt64(i)))
          case .unary(let u, let x): result[i] = truth(u, at(x))
          case .binary(let b, let x, let y):
            let (p, q) = (at(x), at(y))
            result[i] =
              switch b {
              case .add: p + q
              case .subtract: p - q
              case .multiply: p * q
              case .divide: p / q
              case .maximum: max(p, q)
              case .minimum: min(p, q)
              case .less: p < q ? 1 : 0
              case .equal: p == q ? 1 : 0
              }
          case .select(let a, let b, let c): result[i] = at(a) != 0 ? at(b) : at(c)
          case .round(let dtype, let x):
            result[i] =
              dtype == .bf16
              ? Double(Float(bitPattern: UInt32(bf16Bits(Float(at(x)))) << 16))
              : Double(Float16(at(x)))
          case .rotateHalf(let width, let x):
            let start = i - c % width
            result[i] =
              c % width < width / 2
              ? -registers[x][start + c % width + width / 2]
              : registers[x][start + c % width - width / 2]
          case .rowReduce(let reduction, let x):
            let row = registers[x][r * columns..<(r + 1) * columns]
            result[i] = reduction == .sum ? row.reduce(0, +) : (row.max() ?? -.infinity)
          case .store(let x, let b): out[b][place(b)] = at(x)
          case .columnSum(let x, let b):
            if program.bindings[b].width == .columns {
              if r == 0 { out[b][c] = 0 }
              out[b][c] += at(x)
            } else if c == 0 {
              if r == 0 { out[b][0] = 0 }
              out[b][0] += at(x)
            }
          }
        }
      }
      registers.append(result)
    }
    return out
  }

  typealias Binding = TileProgram.Binding

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var rows: Int
    var columns: Int
    var bindings: [Binding]
    var instructions: [Instruction]
    var testDescription: String { "\(name) \(rows)×\(columns)" }
    var program: TileProgram {
      TileProgram(rows: rows, columns: columns, bindings: bindings, instructions: instructions)
    }
  }

  static func norm(_ rows: Int, _ columns: Int) -> Case {
    Case(
      name: "add and RMSNorm", rows: rows, columns: columns,
      bindings: [
        Binding(dtype: .f32, width: .columns), Binding(dtype: .bf16, width: .columns),
        Binding(dtype: .bf16, width: .columns, rowModulus: 1),
        Binding(dtype: .f32, width: .columns), Binding(dtype: .bf16, width: .columns),
        Binding(dtype: .f32, width: .one),
      ],
      instructions: [
        .load(binding: 0), .load(binding: 1), .binary(.add, 0, 1), .unary(.square, 2),
        .rowReduce(.sum, 3), .constant(1 / Float(columns)), .binary(.multiply, 4, 5),
        .constant(1e-5), .binary(.add, 6, 7), .unary(.reciprocalSquareRoot, 8),
        .binary(.multiply, 2, 9), .load(binding: 2), .binary(.multiply, 10, 11),
        .store(2, binding: 3), .store(12, binding: 4), .store(9, binding: 5),
      ])
  }

  /// A norm's input with some of it dropped, twice by one mask and once by another.
  static func dropout(_ rows: Int, _ columns: Int, normalizes: Bool) -> Case {
    Case(
      name: "dropout", rows: rows, columns: columns,
      bindings: [
        Binding(dtype: .f32, width: .columns), Binding(dtype: .bf16, width: .columns),
        Binding(dtype: .i64, width: .one, rowModulus: 1),
        Binding(dtype: .f32, width: .columns), Binding(dtype: .bf16, width: .columns),
        Binding(dtype: .f32, width: .columns),
      ],
      instructions: [
        .load(binding: 0), .load(binding: 1),
        .dropoutMask(DropoutMask(probability: 0.3, seed: 5, stream: 1 << 40 + 9), batch: 2),
        .dropoutMask(DropoutMask(probability: 0.05, seed: 5, stream: 7), batch: 2),
        .binary(.multiply, 0, 2), .binary(.multiply, 1, 2), .binary(.multiply, 0, 3),
        normalizes ? .rowReduce(.sum, 6) : .unary(.square, 6), .binary(.multiply, 3, 7),
        .store(4, binding: 3), .store(5, binding: 4), .store(8, binding: 5),
      ])
  }

  static let cases: [Case] = [
    dropout(5, 576, normalizes: true), dropout(37, 83, normalizes: true),
    dropout(130, 50, normalizes: false), dropout(3, 4100, normalizes: false),
    dropout(70, 1, normalizes: false), dropout(2, 9001, normalizes: true),
    norm(5, 576), norm(130, 48), norm(3, 7), norm(2, 9001), norm(70, 1),
    Case(
      name: "softmax", rows: 37, columns: 83,
      bindings: [Binding(dtype: .f32, width: .columns), Binding(dtype: .f16, width: .columns)],
      instructions: [
        .load(binding: 0), .rowReduce(.maximum, 0), .binary(.subtract, 0, 1), .unary(.exp, 2),
        .rowReduce(.sum, 3), .binary(.divide, 3, 4), .store(5, binding: 1),
      ]),
    Case(
      name: "rotary", rows: 60, columns: 32,
      bindings: [
        Binding(dtype: .bf16, width: .columns),
        Binding(dtype: .f32, width: .columns, rowDivisor: 3, rowModulus: 5),
        Binding(dtype: .i32, width: .one, rowDivisor: 3, rowModulus: 20),
        Binding(dtype: .f32, width: .columns),
      ],
      instructions: [
        .load(binding: 0), .load(binding: 1), .load(binding: 2), .binary(.multiply, 1, 2),
        .unary(.cosine, 3), .unary(.sine, 3), .binary(.multiply, 0, 4), .rotateHalf(width: 16, 0),
        .binary(.multiply, 7, 5), .binary(.add, 6, 8), .store(9, binding: 3),
      ]),
    Case(
      name: "column sums", rows: 333, columns: 71,
      bindings: [
        Binding(dtype: .f32, width: .columns), Binding(dtype: .f32, width: .one),
        Binding(dtype: .f32, width: .columns, rowModulus: 1),
        Binding(dtype: .f32, width: .one, rowModulus: 1),
        Binding(dtype: .f32, width: .columns, rowModulus: 1),
        Binding(dtype: .bf16, width: .columns),
      ],
      instructions: [
        .load(binding: 0), .load(binding: 1), .binary(.multiply, 0, 1), .columnSum(2, binding: 2),
        .columnSum(1, binding: 3), .columnSum(1, binding: 4), .store(1, binding: 5),
      ]),
    Case(
      name: "whole strips", rows: 7, columns: 192,
      bindings: [
        Binding(dtype: .bf16, width: .columns), Binding(dtype: .f32, width: .columns),
        Binding(dtype: .bf16, width: .columns), Binding(dtype: .f32, width: .columns),
        Binding(dtype: .bf16, width: .columns), Binding(dtype: .f16, width: .columns),
      ],
      instructions: [
        .load(binding: 0), .load(binding: 1), .binary(.multiply, 0, 1), .store(2, binding: 1),
        .rowReduce(.sum, 2), .store(2, binding: 2), .binary(.subtract, 2, 4),
        .store(6, binding: 3), .round(.bf16, 6), .store(8, binding: 4), .store(6, binding: 5),
      ]),
    Case(
      name: "broadcasts", rows: 9, columns: 20,
      bindings: [
        Binding(dtype: .f32, width: .columns), Binding(dtype: .f32, width: .one),
        Binding(dtype: .f32, width: .columns, rowModulus: 1),
        Binding(dtype: .f32, width: .one, rowModulus: 1),
        Binding(dtype: .f32, width: .columns), Binding(dtype: .f32, width: .columns),
        Binding(dtype: .f32, width: .one),
      ],
      instructions: [
        .load(binding: 0), .load(binding: 1), .load(binding: 2), .load(binding: 3),
        .binary(.less, 1, 2), .select(condition: 4, then: 3, otherwise: 1),
        .select(condition: 4, then: 2, otherwise: 0), .binary(.subtract, 5, 6),
        .binary(.maximum, 1, 3), .rowReduce(.sum, 8), .binary(.add, 7, 9), .round(.bf16, 10),
        .store(11, binding: 4), .store(3, binding: 5), .store(3, binding: 6),
        .constant(0), .binary(.equal, 2, 15), .select(condition: 15, then: 3, otherwise: 2),
      ]),
  ]

  static func slices(_ c: Case) throws -> [MemorySlice] {
    try c.bindings.enumerated().map { index, binding in
      let rows = min(binding.rowModulus, (c.rows - 1) / binding.rowDivisor + 1)
      let count = rows * (binding.width == .columns ? c.columns : 1)
      let values =
        binding.dtype == .i32 || binding.dtype == .i64
        ? (0..<count).map { Float($0 % 50) } : wave(count, phase: Double(index), scale: 2)
      return try MemorySlice(values, binding.dtype, [count])
    }
  }

  @Test(arguments: cases, levels)
  func `programs do what their instructions say`(c: Case, level: SIMDLevel) throws {
    let slices = try Self.slices(c)
    let expected = Self.interpret(c.program, slices)
    kernels(threads: 2, level).run(c.program, slices)
    for (slice, expected) in zip(slices, expected) {
      let tolerance: Float = slice.dtype == .bf16 ? 8e-3 : slice.dtype == .f16 ? 1e-3 : 3e-6
      #expect(relativeError(slice.values, expected.map { Float($0) }) < tolerance)
    }
  }

  @Test(arguments: cases)
  func `every level, any number of threads and stores around the caches give the same bits`(
    c: Case
  ) throws {
    let images = try Self.levels.flatMap { level in
      try [(1, 0), (1, .max), (2, .max), (3, 0), (4, .max)].map { threads, cache in
        let slices = try Self.slices(c)
        kernels(threads: threads, level, cache: cache).run(c.program, slices)
        return slices.map(\.image)
      }
    }
    #expect(images.allSatisfy { $0 == images[0] })
  }

  /// Patterns of every exponent and sign, with fractions that round up, down and to even: subnormals, infinities and NaN too.
  @Test(arguments: levels)
  func `programs round every kind of value to bf16`(level: SIMDLevel) throws {
    let fractions: [UInt32] = [
      0, 1, 0x7fff, 0x8000, 0x8001, 0x18000, 0x7f_7fff, 0x7f_8000, 0x7f_ffff,
    ]
    let patterns = (UInt32(0)..<512).flatMap { head in fractions.map { head << 23 | $0 } }
    let (rows, columns) = (36, 128)
    let x = try MemorySlice(patterns.map(Float.init(bitPattern:)), .f32, [rows, columns])
    let rounded = try MemorySlice(zeros: .f32, [rows, columns])
    let stored = try MemorySlice(zeros: .bf16, [rows, columns])
    let f32 = Binding(dtype: .f32, width: .columns)
    let bf16 = Binding(dtype: .bf16, width: .columns)
    kernels(threads: 1, level).run(
      TileProgram(
        rows: rows, columns: columns, bindings: [f32, f32, bf16],
        instructions: [
          .load(binding: 0), .round(.bf16, 0), .store(1, binding: 1), .round(.bf16, 0),
          .store(3, binding: 2),
        ]), [x, rounded, stored])
    for result in [rounded, stored] {
      for (value, pattern) in zip(result.values, patterns) {
        let head = pattern >> 16
        let isUp = pattern & 0xffff > 0x8000 || pattern & 0x1ffff == 0x18000
        let isNaN = pattern & 0x7fff_ffff > 0x7f80_0000
        let expected = isNaN ? head | 0x40 : head + (isUp ? 1 : 0)
        #expect(value.bitPattern == expected << 16, "\(String(pattern, radix: 16))")
      }
    }
  }

  @Test(arguments: [(3, 5000), (200, 33)])
  func `an operand may be overwritten while it is still needed`(rows: Int, columns: Int) throws {
    let x = try MemorySlice(wave(rows * columns, phase: 0, scale: 1), .f32, [rows, columns])
    let y = try MemorySlice(zeros: .f32, [rows, columns])
    let before = x.values
    let plain = Binding(dtype: .f32, width: .columns)
    let program = TileProgram(
      rows: rows, columns: columns, bindings: [plain, plain],
      instructions: [
        .load(binding: 0), .constant(2), .binary(.multiply, 0, 1), .store(2, binding: 0),
        .binary(.add, 0, 1), .store(4, binding: 1),
      ])
    kernels(threads: 2).run(program, [x, y])
    #expect(x.values == before.map { $0 * 2 })
    #expect(y.values == before.map { $0 + 2 })
  }
}
