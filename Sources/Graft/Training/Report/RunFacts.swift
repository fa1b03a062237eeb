internal import Foundation
internal import GraftKernels
internal import GraftTraining

/// What a run is made of and where it is made, for people: `training_run.json`, written before the first step.
struct RunFacts {
  /// The facts by subject.
  let sections: [RunReport.Section]

  /// The file in a run's directory.
  static let fileName = "training_run.json"

  /// Collects the facts of a run that is about to begin.
  ///
  /// - Throws: ``StorageError`` when the model's files can't be read any more.
  init(
    of run: PreparedTraining, _ request: TrainingRequest, on model: LanguageModel
  ) throws(StorageError) {
    var sections = [
      Self.program(model), try Self.base(model), Self.trained(run),
      Self.data("Training data", request.data, run.windows),
    ]
    if let validation = run.validation {
      sections.append(Self.data("Validation data", request.validation, validation.windows))
    }
    self.sections = sections
  }

  // MARK: - Subjects

  private static func program(_ model: LanguageModel) -> RunReport.Section {
    var facts = [
      ("last started", Date.now.formatted(.iso8601)), ("graft", Release.version),
      ("arithmetic", "\(model.precision.rawValue), \(model.kernels.simd)"),
      ("threads", "\(model.kernels.pool.threadCount)"),
    ]
    if let name = processorName { facts.append(("processor", name)) }
    return RunReport.Section("Run", facts)
  }

  private static func base(_ model: LanguageModel) throws(StorageError) -> RunReport.Section {
    let configuration = model.configuration
    let json = try OpenedCheckpoint(path: model.path).json("config.json")
    let values = configuration.tensors.reduce(0) { $0 + $1.shape.elementCount }
    return RunReport.Section(
      "Base model",
      [
        ("path", model.path),
        (
          "architecture",
          json["architectures"]?[0]?.string ?? json["model_type"]?.string ?? "unnamed"
        ),
        ("parameters", Quantity.count(values)), ("layers", "\(configuration.layerCount)"),
        ("hidden size", Quantity.count(configuration.hiddenSize)),
        ("vocabulary", Quantity.count(configuration.vocabularySize)),
        (
          "weights",
          "\(Quantity.bytes(model.weights.mappedByteCount)) mapped, "
            + "\(Quantity.bytes(model.weights.convertedByteCount)) converted"
        ),
      ])
  }

  private static func trained(_ run: PreparedTraining) -> RunReport.Section {
    var facts = [("parameters", Quantity.count(run.trainer.trainable.parameterCount))]
    if run.subject.moduleCount > 0 {
      facts.append(("modules with an adapter", Quantity.count(run.subject.moduleCount)))
    }
    if !run.subject.masters.isEmpty {
      facts.append(("tensors trained whole", Quantity.count(run.subject.masters.count)))
    }
    facts.append(
      ("memory beside mapped weights", "at most " + Quantity.bytes(run.trainer.memory.peakBytes)))
    return RunReport.Section("Trained", facts)
  }

  private static func data(
    _ title: String, _ files: [String], _ windows: TokenWindows
  ) -> RunReport.Section {
    var facts = [
      (files.count == 1 ? "file" : "files", files.joined(separator: ", ")),
      ("windows", "\(Quantity.count(windows.count)) of \(Quantity.count(windows.length)) tokens"),
      ("tokens", Quantity.count(windows.tokenCount)),
      ("predicted tokens", Quantity.count(windows.targetCount)),
    ]
    if windows.exampleCount > 0 {
      facts.append(("examples", Quantity.count(windows.exampleCount)))
      facts.append(("examples cut", Quantity.count(windows.cutCount)))
    }
    return RunReport.Section(title, facts)
  }

  /// The processor as Linux names it.
  private static var processorName: String? {
    let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
    let line = text?.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":", maxSplits: 1).last.map {
      $0.trimmingCharacters(in: .whitespaces)
    }
  }

  // MARK: - The file

  /// The file's bytes.
  var bytes: [UInt8] {
    let members = sections.map { section in
      (
        key: section.title,
        value: JSONValue.object(
          JSONObject(members: section.facts.map { ($0.name, .string($0.value)) }))
      )
    }
    return Array((JSONValue.object(JSONObject(members: members)).serialized() + "\n").utf8)
  }

  /// Reads the file of a run; of one without it, no facts.
  ///
  /// - Throws: ``StorageError`` for a file that isn't JSON.
  init(run path: String) throws(StorageError) {
    let file = path + "/" + Self.fileName
    guard Directory.hasFile(at: file) else {
      sections = []
      return
    }
    let json = try JSONValue.parse(try InputFile.contents(of: file, atMost: 1 << 20), file: file)
    sections = (json.object?.members ?? []).map { title, facts in
      RunReport.Section(
        title, (facts.object?.members ?? []).map { ($0.key, $0.value.string ?? "") })
    }
  }
}
