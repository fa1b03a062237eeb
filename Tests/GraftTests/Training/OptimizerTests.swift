import Graft
import GraftFormats
import GraftKernels
import GraftTraining
import Testing

/// Ten steps of every optimizer beside PyTorch, transformers and PEFT (Fixtures/generate/optimizers.py).
struct OptimizerTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let golden: String
    let optimizer: Optimizer
    var tensors = ["tall", "wide", "square", "vector"]
    var tolerance = 2e-6

    var testDescription: String { golden }
  }

  private static let matrices = ["tall", "wide", "square"]
  private static let muon = Muon(weightDecay: 0.1, adjustment: .original)
  private static let heavyBall = Muon(momentum: 0.9, isNesterov: false, weightDecay: 0.1)

  static let cases = [
    Case(
      golden: "adamw",
      optimizer: .adamW(AdamW(beta1: 0.8, beta2: 0.95, epsilon: 1e-6, weightDecay: 0.1))),
    Case(golden: "sgd", optimizer: .sgd(SGD(momentum: 0.8, weightDecay: 0.1))),
    Case(
      golden: "sgd-nesterov",
      optimizer: .sgd(SGD(momentum: 0.8, isNesterov: true, weightDecay: 0.1))),
    Case(golden: "sgd-plain", optimizer: .sgd(SGD(momentum: 0, weightDecay: 0.1))),
    Case(golden: "adafactor", optimizer: .adafactor(Adafactor(weightDecay: 0.1))),
    Case(golden: "lion", optimizer: .lion(Lion(beta1: 0.9, beta2: 0.98, weightDecay: 0.1))),
    Case(golden: "muon.f32", optimizer: .muon(muon), tensors: matrices, tolerance: 1e-5),
    Case(
      golden: "muon-heavy-ball.f32", optimizer: .muon(heavyBall), tensors: matrices, tolerance: 1e-5
    ),
    // PyTorch iterates in bf16, which has 8 bits: a hundredth of what ten steps change.
    Case(golden: "muon", optimizer: .muon(muon), tensors: matrices, tolerance: 1e-2),
    Case(
      golden: "muon-heavy-ball", optimizer: .muon(heavyBall), tensors: matrices, tolerance: 1e-2),
  ]

  private let values: SafetensorsReader

  init() throws {
    values = try SafetensorsReader(path: golden("optimizers/optimizers.safetensors"))
  }

  private func floats(_ name: String) throws -> [Float] {
    try values.tensor(TensorName(name)).floats()
  }

  /// The tensors after each of ten steps.
  private func run(
    _ names: [String: TensorName], _ optimizer: Optimizer, loraPlusRatio: Double = 1,
    threads: Int = 2, fusion: Bool = true
  ) throws -> [String: [[Float]]] {
    var tensors: [(name: TensorName, value: MemorySlice)] = []
    for (golden, name) in names {
      let start = try values.tensor(TensorName("start." + golden))
      let slice = try MemorySlice(allocating: .f32, start.shape)
      slice.replaceElements(start.floats())
      tensors.append((name, slice))
    }
    let trainable = try TrainableTensors(
      tensors, optimizer: optimizer, loraPlusRatio: loraPlusRatio)
    let step = try OptimizerStep(
      trainable, fusion: fusion, kernels: Kernels(pool: ThreadPool(threadCount: threads)))
    let gradients = Dictionary(
      uniqueKeysWithValues: trainable.gradients.map { ($0.name, $0.value) })
    var result: [String: [[Float]]] = [:]
    for (number, rate) in try values.bits("rates", as: UInt64.self).map(Double.init(bitPattern:))
      .enumerated()
    {
      for (golden, name) in names {
        let slice = try #require(gradients[name])
        #expect(slice.floats().allSatisfy { $0 == 0 })
        let count = slice.shape.elementCount
        let all = try floats("gradients." + golden)
        slice.replaceElements(Array(all[number * count..<(number + 1) * count]))
      }
      try step.apply(step: number + 1, learningRate: rate)
      for (golden, name) in names {
        let slice = try #require(trainable.tensors.first { $0.name == name }).value
        result[golden, default: []].append(slice.floats())
      }
    }
    return result
  }

  private static func names(_ tensors: [String]) -> [String: TensorName] {
    Dictionary(uniqueKeysWithValues: tensors.map { ($0, TensorName("model.\($0).weight")) })
  }

  @Test(arguments: cases)
  func `ten steps are those of the reference`(testCase: Case) throws {
    let found = try run(Self.names(testCase.tensors), testCase.optimizer)
    for name in testCase.tensors {
      let expected = try floats(testCase.golden + "." + name)
      let start = try floats("start." + name)
      for (step, values) in try #require(found[name]).enumerated() {
        let truth = Array(expected[step * start.count..<(step + 1) * start.count])
        let change = zip(values, start).map { $0 - $1 }
        let trueChange = zip(truth, start).map { $0 - $1 }
        #expect(relativeError(values, truth) < testCase.tolerance, "\(name), step \(step + 1)")
        let slack = max(testCase.tolerance * 20, 2e-5)
        #expect(relativeError(change, trueChange) < slack, "\(name), step \(step + 1)")
      }
    }
  }

  @Test func `B learns faster than A by LoRA+'s ratio, as PEFT groups them`() throws {
    let names: [String: TensorName] = [
      "wide": "model.q_proj.lora_A.weight", "tall": "model.q_proj.lora_B.weight",
    ]
    let found = try run(names, .adamW(AdamW(weightDecay: 0.1)), loraPlusRatio: 8)
    for name in names.keys {
      let all = try #require(found[name]).flatMap { $0 }
      #expect(relativeError(all, try floats("lora-plus." + name)) < 2e-6, "\(name)")
    }
  }

  @Test(arguments: cases)
  func `neither threads nor fusion change a bit of an update`(testCase: Case) throws {
    let names = Self.names(testCase.tensors)
    let expected = try run(names, testCase.optimizer, threads: 1)
    #expect(try run(names, testCase.optimizer, threads: 3) == expected)
    #expect(try run(names, testCase.optimizer, fusion: false) == expected)
  }

  @Test func `Muon leaves tables and vectors to AdamW`() throws {
    let names: [String: TensorName] = [
      "tall": "model.embed_tokens.weight", "square": "lm_head.weight",
      "vector": "model.norm.weight",
    ]
    let adamW = AdamW(beta1: 0.8, beta2: 0.95, epsilon: 1e-6, weightDecay: 0.1)
    let found = try run(names, .muon(Muon(weightDecay: 0.1, fallback: adamW)))
    for name in names.keys {
      let all = try #require(found[name]).flatMap { $0 }
      #expect(relativeError(all, try floats("adamw." + name)) < 2e-6, "\(name)")
    }
  }

  // MARK: - Settings

  @Test(arguments: [
    (Optimizer.Name.sgd, "beta2"), (.adafactor, "momentum"), (.lion, "epsilon"),
    (.adamW, "nesterov"),
  ])
  func `an option of another optimizer is refused`(name: Optimizer.Name, option: String) {
    var options = Optimizer.Options()
    switch option {
    case "beta2": options.beta2 = 0.9
    case "momentum": options.momentum = 0.9
    case "epsilon": options.epsilon = 1e-6
    default: options.isNesterov = true
    }
    let error = #expect(throws: TrainingError.self) { _ = try Optimizer(name, options) }
    #expect(
      error?.reason
        == .invalidSetting(
          name: "optimizer", expected: "an option of \(name.rawValue)", found: "--\(option)"))
  }

  @Test(arguments: [(0.0, 1.0), (1.0, 0.9), (-0.1, 0.9), (.nan, 0.9)])
  func `moments decay by 0 or more and less than 1`(beta1: Double, beta2: Double) {
    var options = Optimizer.Options()
    options.beta1 = beta1
    options.beta2 = beta2
    for name in [Optimizer.Name.adamW, .lion, .muon] {
      #expect(throws: TrainingError.self) { _ = try Optimizer(name, options) }
    }
  }
}
