internal import GraftAdapters
public import GraftTraining

/// A training run to look at: its log, settings and what it made, as one HTML file that needs nothing else.
public struct RunReport: Sendable {
  /// A name with its value.
  public struct Fact: Sendable, Equatable {
    /// What the value is of.
    public let name: String
    /// The value as it is shown.
    public let value: String

    /// Names a value.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// The title.
  public let title: String
  /// What was trained.
  public let model: [Fact]
  /// The options that decided the run's numbers.
  public let settings: [Fact]
  /// The steps, in order.
  public let records: [StepRecord]

  /// Puts a report together.
  public init(title: String, model: [Fact], settings: [Fact], records: [StepRecord]) {
    self.title = title
    self.model = model
    self.settings = settings
    self.records = records
  }

  /// Reads the directory of a run, finished or not.
  ///
  /// - Throws: ``TrainingError`` when there is no log or it can't be read, ``StorageError``.
  public init(run path: String) throws {
    let log = path + "/" + TrainingDirectory.logName
    guard Directory.hasFile(at: log) else {
      throw TrainingError(.noLog, file: path, remedy: "name the --out of a training run")
    }
    records = try StepRecord.all(inLog: log)
    guard !records.isEmpty else { throw TrainingError(.noLog, file: log) }
    let name = path.split(separator: "/").last.map(String.init) ?? path
    title = "Training run \(name)"
    let state = path + "/" + TrainingDirectory.stateName
    settings =
      try Directory.exists(at: state)
      ? TrainingState.settings(in: state).map { Fact(name: $0.name, value: $0.value) } : []
    model = try Self.facts(of: path)
  }

  /// What stands in a run's directory; a run that was killed before its first save has nothing.
  private static func facts(of path: String) throws -> [Fact] {
    let names = try Directory.entries(of: path)
    let isAdapter = names.contains(Adapter.fileName)
    guard isAdapter || names.contains(TrainedModel.weightsName) else { return [] }
    let opened = try OpenedCheckpoint(path: path)
    let tensors = opened.reader.tensors
    var facts = [
      Fact(name: "output", value: isAdapter ? "adapter" : "model"),
      Fact(name: "tensors", value: "\(tensors.count)"),
      Fact(
        name: "values", value: "\(tensors.reduce(0) { $0 + $1.shape.elementCount })"),
      Fact(name: "bytes of tensors", value: "\(tensors.reduce(0) { $0 + $1.byteCount })"),
    ]
    func add(_ name: String, _ value: JSONValue?) {
      guard let value, value != .null else { return }
      facts.append(Fact(name: name, value: value.string ?? value.serialized(indent: nil)))
    }
    if isAdapter {
      let json = try opened.json(LoRAConfiguration.fileName)
      for (name, key) in [
        ("base model", "base_model_name_or_path"), ("rank", "r"), ("alpha", "lora_alpha"),
        ("target modules", "target_modules"), ("modules saved whole", "modules_to_save"),
      ] { add(name, json[key]) }
    } else {
      let json = try opened.json("config.json")
      for (name, key) in [
        ("architecture", "architectures"), ("hidden size", "hidden_size"),
        ("layers", "num_hidden_layers"), ("heads", "num_attention_heads"),
        ("vocabulary", "vocab_size"),
      ] { add(name, json[key]) }
    }
    return facts
  }

  /// The HTML.
  public var html: [UInt8] { Array(("<!DOCTYPE html>\n" + page.source + "\n").utf8) }

  /// Writes the HTML; the file appears whole or not at all.
  ///
  /// - Throws: ``StorageError`` when the system can't write.
  public func write(to path: String) throws(StorageError) {
    try AtomicFile.write(html, to: path)
  }
}

extension StepRecord {
  /// Reads the lines of a log; a last line that was cut off is left out.
  ///
  /// - Throws: ``TrainingError/Reason/badRecord(expected:found:)`` with the line.
  static func all(inLog path: String) throws -> [StepRecord] {
    let text = String(
      decoding: try InputFile.contents(of: path, atMost: 1 << 30), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    var records: [StepRecord] = []
    for (index, line) in lines.enumerated() where !line.isEmpty {
      let json = try? JSONValue.parse(Array(line.utf8), file: path)
      guard let record = json.flatMap(StepRecord.init(json:)) else {
        // Without its line feed the last line was never finished.
        if index == lines.count - 1 { break }
        throw TrainingError(
          .badRecord(expected: "a step's record", found: String(line.prefix(60))), file: path,
          line: index + 1)
      }
      records.append(record)
    }
    return records
  }

  /// A line of the log.
  private init?(json: JSONValue) {
    guard let step = json["step"]?.int, step > 0, let loss = json["loss"]?.double,
      let learningRate = json["learningRate"]?.double,
      let gradientNorm = json["gradientNorm"]?.double,
      let tokensPerSecond = json["tokensPerSecond"]?.double,
      let tokenCount = json["tokenCount"]?.int, let peakBytes = json["peakBytes"]?.int
    else { return nil }
    self.init(
      step: step, loss: loss, learningRate: learningRate, gradientNorm: gradientNorm,
      tokensPerSecond: tokensPerSecond, tokenCount: tokenCount, peakBytes: peakBytes,
      validationLoss: json["validationLoss"]?.double)
  }
}
