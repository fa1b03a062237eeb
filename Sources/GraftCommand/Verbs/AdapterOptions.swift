import ArgumentParser
import Graft

/// What the adapter is like.
struct AdapterOptions: ParsableArguments {
  @Option(name: .long, help: "Rank of the pairs A and B (default: 8).")
  var rank: Int?

  @Option(name: .long, help: "Numerator of the scaling alpha / rank (default: 32).")
  var alpha: Double?

  @Option(
    name: .long,
    help: """
      Modules to adapt: names separated by commas, a regular expression, or all-linear (default: \
      q_proj,v_proj; of GPT-2 c_attn).
      """)
  var targetModules: String?

  @Option(
    name: .long, help: "Probability that an element of A's input is dropped (default: 0).")
  var dropout: Double?

  /// What `--variant` takes.
  enum Variant: String, ExpressibleByArgument, CaseIterable {
    case lora, rslora
  }

  @Option(
    name: .long, help: "lora scales by alpha / rank, rslora by alpha / √rank (default: lora).")
  var variant: Variant?

  @Option(
    name: .long, help: "Layers to adapt, for example 0,1,8-11 (default: all).")
  var layers: String?

  @Option(name: .long, help: "Go on from an adapter's weights instead of fresh ones.")
  var from: String?

  func validate() throws {
    if let rank, !(1...65536).contains(rank) { throw ValidationError("--rank is 1 to 65536") }
    if let alpha, !alpha.isFinite { throw ValidationError("--alpha is a number") }
    _ = try layerNumbers()
  }

  /// The first of the options that was given.
  var given: String? {
    let options: [(String, Bool)] = [
      ("--rank", rank != nil), ("--alpha", alpha != nil),
      ("--target-modules", targetModules != nil), ("--dropout", dropout != nil),
      ("--variant", variant != nil),
      ("--layers", layers != nil), ("--from", from != nil),
    ]
    return options.first(where: \.1)?.0
  }

  /// The configuration that the options describe.
  func configuration() throws -> LoRAConfiguration {
    var result = LoRAConfiguration(
      rank: rank ?? 8, alpha: alpha ?? 32,
      targetModules: try TargetModules(parsing: targetModules ?? "q_proj,v_proj"),
      dropout: dropout ?? 0)
    result.usesRSLoRA = variant == .rslora
    result.layers = try layerNumbers()
    return result
  }

  /// Settles what the options leave open: the adapter of --from decides, else the architecture.
  ///
  /// - Throws: ``TrainingError/Reason/adapterMismatch(option:expected:found:)`` for an option that contradicts that adapter,
  ///   ``TrainingError/Reason/invalidSetting(name:expected:found:)`` for layers that the model doesn't have.
  func settle(_ request: inout TrainingRequest, for model: LanguageModel) throws {
    let last = model.configuration.layerCount - 1
    if let layers, let beyond = try layerNumbers()?.first(where: { $0 > last }) {
      throw TrainingError(
        .invalidSetting(
          name: "layers", expected: "0 to \(last), which the model has",
          found: layers == "\(beyond)" ? layers : "\(beyond) in \(layers)"))
    }
    if let from {
      try checkContinued(from: from, model)
    } else if targetModules == nil {
      request.adapter?.targetModules = .names(model.configuration.usualTargets)
    }
  }

  private func checkContinued(from path: String, _ model: LanguageModel) throws {
    let opened = try OpenedCheckpoint(path: path)
    let saved = try opened.adapterConfiguration()
    func mismatch(_ option: String, _ expected: String, _ found: String) -> TrainingError {
      TrainingError(
        .adapterMismatch(option: option, expected: expected, found: found), file: path,
        remedy: "leave \(option) out; --freeze keeps modules of the adapter as they are")
    }
    func check<T: Equatable>(_ option: String, _ given: T?, _ saved: T) throws {
      guard let given, given != saved else { return }
      throw mismatch(option, "\(saved)", "\(given)")
    }
    try check("--rank", rank, saved.rank)
    try check("--alpha", alpha, saved.alpha)
    try check("--variant", variant, saved.usesRSLoRA ? .rslora : .lora)

    guard let option = targetModules == nil ? layers.map({ _ in "--layers" }) : "--target-modules"
    else { return }
    var asked = saved
    if let targetModules { asked.targetModules = try TargetModules(parsing: targetModules) }
    if layers != nil { asked.layers = try layerNumbers() }
    let chosen = try asked.targets(in: model.configuration.linearModules).map(\.module.path)
    let present = try AdapterLayout(opened.reader, saved).modules.map(\.path)
    let found = targetModules ?? layers ?? ""
    if let other = chosen.first(where: { !present.contains($0) }) {
      throw mismatch(option, "the adapter's modules", "\(found), with \(other)")
    }
    if let other = present.first(where: { !chosen.contains($0) }) {
      throw mismatch(option, "the adapter's modules", "\(found), without \(other)")
    }
  }

  private func layerNumbers() throws -> [Int]? {
    guard let layers else { return nil }
    return try layers.split(separator: ",", omittingEmptySubsequences: false).flatMap { part in
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
        .map { $0.allSatisfy(\.isNumber) ? Int($0) : nil }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        first <= last, last < 4096
      else {
        throw ValidationError(
          "--layers takes numbers and ranges such as 0,1,8-11, found '\(part)' in '\(layers)'")
      }
      return Array(first...last)
    }
  }
}

/// Which tensors of the base are trained themselves.
struct TrainedOptions: ParsableArguments {
  @Option(
    name: .long, parsing: .upToNextOption,
    help: """
      Modules or tensors of the base to train whole and save with the adapter; with --full the \
      only ones trained. Names are paths or parts of them.
      """)
  var trainModules: [String] = []

  @Option(
    name: .long, parsing: .upToNextOption,
    help: """
      Modules or tensors that stay as they are, whatever the other options choose. Names are \
      paths or parts of them.
      """)
  var freeze: [String] = []

  @Flag(name: .long, help: "Train every tensor, without an adapter, and write a whole model.")
  var full = false

  /// The names after `--train-modules`, which commas or spaces divide.
  var trainedModules: [String] { Self.names(trainModules) }
  /// The names after `--freeze`.
  var frozenModules: [String] { Self.names(freeze) }

  private static func names(_ values: [String]) -> [String] {
    values.flatMap { $0.split { $0 == "," || $0.isWhitespace }.map(String.init) }
  }
}
