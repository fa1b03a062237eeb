internal import GraftFormats

/// The directory of a run: the adapter or model that it trains, `training_run.json`, `training_log.jsonl`,
/// `training_state/`.
///
/// A save writes the state first, as a directory that appears whole; only it is trusted when resuming. The product's files
/// follow, each appearing whole. The log grows a line a step and is cut back to the state's step on resuming. One run at a
/// time has the directory.
final class TrainingDirectory: Sendable {
  let path: String
  private let log: AppendedFile
  private let lock: DirectoryLock

  static let stateName = "training_state"
  static let snapshotsName = "snapshots"
  static let logName = "training_log.jsonl"
  /// What belongs to the run and not to what it made.
  static let recordNames: Set<String> = [stateName, snapshotsName, logName, RunFacts.fileName]
  /// What transformers' trainer keeps beside what it made.
  private static let foreignRecordNames: Set<String> = [
    "optimizer.pt", "optimizer.bin", "scheduler.pt", "scheduler.bin", "scaler.pt",
    "rng_state.pth", "training_args.bin",
  ]

  /// The names of what training runs left in a directory, Graft's own and transformers'; those of directories end in a slash.
  static func records(in folder: String) throws(StorageError) -> [String] {
    let names = try Directory.entries(of: folder).filter { name in
      recordNames.contains(name) || isForeignRecord(name)
    }
    return names.map { Directory.exists(at: folder + "/" + $0) ? $0 + "/" : $0 }
  }

  /// Whether a file is one that transformers' trainer keeps.
  static func isForeignRecord(_ name: String) -> Bool {
    foreignRecordNames.contains(name) || name.hasPrefix("rng_state_") && name.hasSuffix(".pth")
  }

  private init(path: String, log: AppendedFile, lock: DirectoryLock) {
    self.path = path
    self.log = log
    self.lock = lock
  }

  /// Takes hold of a run's directory; nil when it isn't there yet.
  ///
  /// - Throws: ``TrainingError/Reason/outputExists`` while another run goes on in it.
  static func lock(_ path: String) throws -> DirectoryLock? {
    guard Directory.exists(at: path) else { return nil }
    guard let lock = try DirectoryLock(path) else {
      throw TrainingError(
        .outputExists(found: "directory belongs to a run that is going on"), file: path,
        remedy: "wait for its end, or choose another --out")
    }
    return lock
  }

  /// Checks that a run may begin in a directory, or go on in it; to be asked while the directory is held.
  ///
  /// - Throws: ``TrainingError/Reason/outputExists`` when a fresh run would replace something,
  ///   ``TrainingError/Reason/noState`` when no run was begun that could go on.
  static func check(_ path: String, resumes: Bool) throws {
    if resumes {
      let hasLog = Directory.hasFile(at: path + "/" + logName)
      guard try hasState(path) || (hasLog && isUnused(path)) else {
        throw TrainingError(.noState, file: path, remedy: "start without --resume")
      }
    } else if let found = Directory.obstacle(at: path) {
      throw TrainingError(
        .outputExists(found: "is " + found.replacing("regular ", with: "")), file: path,
        remedy: "name a directory with --out")
    } else if !(try isUnused(path)) {
      let isRun = hasState(path)
      throw TrainingError(
        .outputExists(found: "directory holds " + (isRun ? "another run" : "other files")),
        file: path, remedy: "choose another --out" + (isRun ? ", or go on with --resume" : ""))
    } else if !Directory.exists(at: path) {
      try Directory.checkMakeable(path)
    }
  }

  /// Checks that there is room for what a run will save, beside what it has saved.
  ///
  /// - Throws: ``StorageError/Reason/noSpace(neededBytes:availableBytes:)``.
  static func checkRoom(
    _ path: String, state: Int, product: Int, _ settings: TrainingSettings
  ) throws(StorageError) {
    let saves = settings.saveEvery.map { (settings.steps + $0 - 1) / $0 } ?? 1
    let snapshots = path + "/" + snapshotsName
    let present = Directory.exists(at: snapshots) ? try Directory.entries(of: snapshots).count : 0
    let kept = Double(product) * Double(max(0, min(settings.keepLast ?? 0, saves) - present))
    // A save stands beside the one before until it is whole.
    let replaced = Double(max(state, product))
    let first = Double(state + product) + (saves > 1 ? replaced : 0)
    let needed = Int(min(kept + (hasState(path) ? replaced : first), 1e18))
    if let available = Directory.availableBytes(at: path), available < needed {
      throw StorageError(
        .noSpace(neededBytes: needed, availableBytes: available), file: path,
        remedy: "free that much, or choose another --out")
    }
  }

  /// The state that a run goes on from; nil when it was killed before its first save.
  static func savedState(in path: String) throws -> TrainingState? {
    hasState(path) ? try TrainingState(reading: path + "/" + stateName) : nil
  }

  /// Opens the directory of a run, which is made if there is no hold on it yet.
  ///
  /// What a killed process was still writing is removed, what the run is made of is written down, and the log is cut back to a step.
  static func open(
    _ path: String, of facts: RunFacts, atStep step: Int, _ held: DirectoryLock?
  ) throws -> TrainingDirectory {
    let lock = try held ?? claim(path)
    for name in try Directory.entries(of: path) where isUnfinished(name) {
      Directory.remove(path + "/" + name)
    }
    try AtomicFile.update(facts.bytes, at: path + "/" + RunFacts.fileName)
    return TrainingDirectory(
      path: path, log: try openLog(path, keeping: try keptLines(path, upTo: step)), lock: lock)
  }

  /// Makes the directory of a fresh run and takes hold of it, unless another run was quicker.
  private static func claim(_ path: String) throws -> DirectoryLock {
    try Directory.create(path)
    guard let lock = try lock(path) else { throw StorageError(.notFound, file: path) }
    try check(path, resumes: false)
    return lock
  }

  private static func hasState(_ path: String) -> Bool {
    Directory.exists(at: path + "/" + stateName)
  }

  /// Whether nothing is there, or only the log of a run without a save and the remains of one that never appeared.
  private static func isUnused(_ path: String) throws -> Bool {
    guard Directory.exists(at: path) else { return true }
    return try Directory.entries(of: path).allSatisfy {
      $0 == logName || $0 == RunFacts.fileName || isUnfinished($0)
    }
  }

  /// Whether a name is that of a sibling that a killed process was still writing.
  private static func isUnfinished(_ name: String) -> Bool {
    name.hasPrefix(".") && name.hasSuffix(".partial")
  }

  /// What stands in the directory of a run before it begins; nil where there is no directory.
  static func names(in path: String) throws(StorageError) -> [String]? {
    Directory.exists(at: path) ? try Directory.entries(of: path) : nil
  }

  /// Removes what a run without a save has made beside what stood there before, and the directory, if that is its own.
  static func removeUnsaved(_ path: String, besides before: [String]?) {
    guard !hasState(path), let names = try? Directory.entries(of: path) else { return }
    let made = names.filter {
      !(before ?? []).contains($0) && (recordNames.contains($0) || isUnfinished($0))
    }
    for name in made { Directory.remove(path + "/" + name) }
    if before == nil, made.count == names.count { Directory.remove(path) }
  }

  /// Appends a step to the log.
  func append(_ record: StepRecord) throws(StorageError) {
    try log.append(Array((record.json.serialized(indent: nil) + "\n").utf8))
  }

  /// Saves the state.
  func save(_ state: TrainingState) throws {
    try log.synchronize()
    try state.write(to: path + "/" + Self.stateName)
  }

  /// Keeps what a run makes as that of a step, and removes all but the last `count` kept ones.
  func keep(_ product: TrainingSubject.Product, step: Int, last count: Int) throws {
    let folder = path + "/" + Self.snapshotsName
    try Directory.create(folder)
    for name in try Directory.entries(of: folder) where Self.isUnfinished(name) {
      Directory.remove(folder + "/" + name)
    }
    let snapshot = try AtomicDirectory(path: folder + "/step-\(step)")
    try product.write(into: snapshot)
    try snapshot.commit()
    // Steps after this one are of a run that was resumed from before them.
    let steps = try Directory.entries(of: folder).compactMap {
      $0.hasPrefix("step-") ? Int($0.dropFirst(5)) : nil
    }
    let kept = Set(steps.filter { $0 <= step }.sorted().suffix(count))
    for step in steps where !kept.contains(step) {
      Directory.discard(folder + "/step-\(step)")
    }
  }

  // MARK: - Log

  private static func keptLines(_ path: String, upTo step: Int) throws -> [String] {
    let name = path + "/" + logName
    guard Directory.hasFile(at: name) else { return [] }
    let text = String(
      decoding: try InputFile.contents(of: name, atMost: 1 << 30), as: UTF8.self)
    return text.split(separator: "\n").map(String.init).filter { line in
      guard let record = try? JSONValue.parse(Array(line.utf8), file: name) else { return false }
      return (record["step"]?.int).map { $0 <= step } ?? false
    }
  }

  private static func openLog(_ path: String, keeping lines: [String]) throws -> AppendedFile {
    let name = path + "/" + logName
    try AtomicFile.write(Array(lines.map { $0 + "\n" }.joined().utf8), to: name)
    return try AppendedFile(path: name)
  }
}

extension StepRecord {
  /// One line of `training_log.jsonl`, with the contract's keys.
  var json: JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      ("step", JSONValue(step)), ("loss", JSONValue(loss)),
      ("learningRate", JSONValue(learningRate)),
      ("gradientNorm", JSONValue(gradientNorm)), ("tokensPerSecond", JSONValue(tokensPerSecond)),
      ("tokenCount", JSONValue(tokenCount)), ("peakBytes", JSONValue(peakBytes)),
    ]
    if let validationLoss { members.append(("validationLoss", JSONValue(validationLoss))) }
    return .object(JSONObject(members: members))
  }
}
