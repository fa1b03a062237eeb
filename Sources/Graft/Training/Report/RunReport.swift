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

  /// Facts about one subject.
  public struct Section: Sendable, Equatable {
    /// The subject.
    public let title: String
    /// The facts.
    public let facts: [Fact]

    /// Puts facts together.
    public init(_ title: String, _ facts: [(name: String, value: String)]) {
      self.title = title
      self.facts = facts.map(Fact.init)
    }
  }

  /// The title.
  public let title: String
  /// What the run is made of, where it was made, what it left behind, and the options that decided its numbers.
  public let sections: [Section]
  /// The steps, in order.
  public let records: [StepRecord]

  /// Puts a report together.
  public init(title: String, sections: [Section], records: [StepRecord]) {
    self.title = title
    self.sections = sections
    self.records = records
  }

  /// Reads the directory of a run, finished or not.
  ///
  /// - Throws: ``TrainingError`` when there is no log or it can't be read, ``StorageError``.
  public init(run path: String) throws {
    let log = path + "/" + TrainingDirectory.logName
    guard Directory.hasFile(at: log) else {
      // What isn't there, or is neither a directory nor a file, is told as such.
      if !Directory.hasFile(at: path) { _ = try Directory.entries(of: path) }
      throw TrainingError(.noLog, file: path, remedy: "name the --out of a training run")
    }
    records = try StepRecord.all(inLog: log)
    guard !records.isEmpty else { throw TrainingError(.noLog, file: log) }
    let name = path.split(separator: "/").last.map(String.init) ?? path
    title = "Training run \(name)"
    sections =
      try (RunFacts(run: path).sections + [Self.product(in: path), Self.options(in: path)])
      .filter { !$0.facts.isEmpty }
  }

  /// The options of the last save that say something.
  private static func options(in path: String) throws -> Section {
    let state = path + "/" + TrainingDirectory.stateName
    let settings = try Directory.exists(at: state) ? TrainingState.settings(in: state) : []
    return Section("Options", settings.filter { !["", "default"].contains($0.value) })
  }

  /// What stands in a run's directory; a run that was killed before its first save has nothing.
  private static func product(in path: String) throws -> Section {
    let names = try Directory.entries(of: path)
    let isAdapter = names.contains(Adapter.fileName)
    guard isAdapter || names.contains(TrainedModel.weightsName) else {
      return Section("Written", [])
    }
    let opened = try OpenedCheckpoint(path: path)
    let tensors = opened.reader.tensors
    var facts = [
      ("tensors", Quantity.count(tensors.count)),
      ("values", Quantity.count(tensors.reduce(0) { $0 + $1.shape.elementCount })),
      ("size", Quantity.bytes(tensors.reduce(0) { $0 + $1.byteCount })),
    ]
    if isAdapter {
      let json = try opened.json(LoRAConfiguration.fileName)
      for (name, key) in [
        ("base model", "base_model_name_or_path"), ("rank", "r"), ("alpha", "lora_alpha"),
        ("target modules", "target_modules"), ("modules saved whole", "modules_to_save"),
      ] {
        if let value = text(json[key]) { facts.append((name, value)) }
      }
    }
    try opened.checkUnchanged()
    return Section(isAdapter ? "Adapter" : "Model", facts)
  }

  /// A value of a configuration for people; nil for none.
  private static func text(_ json: JSONValue?) -> String? {
    guard let json, json != .null else { return nil }
    if let items = json.array {
      return items.isEmpty ? nil : items.compactMap(text).joined(separator: ", ")
    }
    return json.string ?? json.serialized(indent: nil)
  }

  /// The HTML.
  public var html: [UInt8] { page.html }

  /// Writes the HTML, which replaces no file but a page; it appears whole or not at all.
  ///
  /// - Throws: ``StorageError`` when something else stands there, or the system can't write.
  public func write(to path: String) throws(StorageError) {
    try page.write(to: path)
  }

  /// Checks that the page of a run can be written to a path.
  ///
  /// - Parameter run: the run's directory, if the run will make it; a page inside of it is called `….html`, as nothing else there.
  /// - Throws: ``StorageError``.
  public static func checkTarget(
    _ path: String, besides run: String? = nil
  ) throws(StorageError) {
    if let run, Directory.isSame(path, run) {
      throw StorageError(
        .alreadyExists, file: path, remedy: "the run goes there; name another file")
    }
    if let run, Directory.isSame(Directory.parent(of: path), run) {
      guard path.hasSuffix(".html") else {
        throw StorageError(
          .alreadyExists, file: path,
          remedy: "the run's own files go there; name the page something.html")
      }
      guard Directory.exists(at: run) else { return }
    }
    try ReportPage.checkTarget(path)
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

  /// More than any run counts, and little enough to compute with.
  private static let most = 1e15

  /// A line of the log.
  private init?(json: JSONValue) {
    guard let step = json["step"]?.int, step > 0, let loss = json["loss"]?.double,
      let learningRate = json["learningRate"]?.double,
      let gradientNorm = json["gradientNorm"]?.double,
      let tokensPerSecond = json["tokensPerSecond"]?.double,
      let tokenCount = json["tokenCount"]?.int, let peakBytes = json["peakBytes"]?.int,
      (0...Self.most).contains(tokensPerSecond), (0...Int(Self.most)).contains(tokenCount),
      (0...Int(Self.most)).contains(peakBytes)
    else { return nil }
    self.init(
      step: step, loss: loss, learningRate: learningRate, gradientNorm: gradientNorm,
      tokensPerSecond: tokensPerSecond, tokenCount: tokenCount, peakBytes: peakBytes,
      validationLoss: json["validationLoss"]?.double)
  }
}
