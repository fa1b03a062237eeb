internal import Foundation
internal import GraftFormats
internal import Synchronization

/// The directory of a run: the adapter or model that it trains, `training_run.json`, `training_log.jsonl`,
/// `training_state/`.
///
/// A save writes the state first, as a directory that appears whole; only it is trusted when resuming. The product's files
/// follow, each appearing whole. The log grows a line a step and is cut back to the state's step on resuming.
final class TrainingDirectory: Sendable {
  let path: String
  private let log: Mutex<FileHandle>

  static let stateName = "training_state"
  static let snapshotsName = "snapshots"
  static let logName = "training_log.jsonl"
  /// What belongs to the run and not to what it made.
  static let recordNames: Set<String> = [stateName, logName, RunFacts.fileName]

  private init(path: String, log: FileHandle) {
    self.path = path
    self.log = Mutex(log)
  }

  /// Makes the directory for a fresh run; what a run left that was killed before its first save is replaced.
  ///
  /// - Throws: ``TrainingError/Reason/outputExists`` when a run or an adapter is there already.
  static func create(_ path: String) throws -> TrainingDirectory {
    if Directory.exists(at: path), !(try holdsNoSave(path)) {
      throw TrainingError(
        .outputExists, file: path, remedy: "choose another --out, or go on with --resume")
    }
    try Directory.create(path)
    return TrainingDirectory(path: path, log: try openLog(path, keeping: []))
  }

  /// Opens the directory of a run that is to go on; the state is nil when the run was killed before its first save.
  ///
  /// - Throws: ``TrainingError/Reason/noState`` when no run was begun there.
  static func resume(_ path: String) throws -> (TrainingDirectory, TrainingState?) {
    let folder = path + "/" + stateName
    guard Directory.exists(at: folder) else {
      guard Directory.hasFile(at: path + "/" + logName), try holdsNoSave(path) else {
        throw TrainingError(.noState, file: path, remedy: "start without --resume")
      }
      return (try create(path), nil)
    }
    let state = try TrainingState(reading: folder)
    for name in try Directory.entries(of: path) where isUnfinished(name) {
      Directory.remove(path + "/" + name)
    }
    let lines = try keptLines(path, upTo: state.position.step)
    return (TrainingDirectory(path: path, log: try openLog(path, keeping: lines)), state)
  }

  /// Whether a directory holds nothing but the log, or the remains of a save that never appeared.
  private static func holdsNoSave(_ path: String) throws -> Bool {
    try Directory.entries(of: path).allSatisfy {
      $0 == logName || $0 == RunFacts.fileName || isUnfinished($0)
    }
  }

  /// Whether a name is that of a sibling that a killed process was still writing.
  private static func isUnfinished(_ name: String) -> Bool {
    name.hasPrefix(".") && name.hasSuffix(".partial")
  }

  /// Writes down what the run is made of.
  func write(_ facts: RunFacts) throws(StorageError) {
    try AtomicFile.write(facts.bytes, to: path + "/" + RunFacts.fileName)
  }

  /// Appends a step to the log.
  func append(_ record: StepRecord) throws {
    let line = record.json.serialized(indent: nil) + "\n"
    try log.withLock { try $0.write(contentsOf: Data(line.utf8)) }
  }

  /// Saves the state.
  func save(_ state: TrainingState) throws {
    try log.withLock { try $0.synchronize() }
    try state.write(to: path + "/" + Self.stateName)
  }

  /// Keeps what a run makes as that of a step, and removes all but the last `count` kept ones.
  func keep(_ product: TrainingSubject.Product, step: Int, last count: Int) throws {
    let folder = path + "/" + Self.snapshotsName
    try Directory.create(folder)
    for name in try Directory.entries(of: folder) where Self.isUnfinished(name) {
      Directory.remove(folder + "/" + name)
    }
    let unfinished = folder + "/.step-\(step).partial"
    try Directory.create(unfinished)
    try product.write(into: unfinished)
    let name = folder + "/step-\(step)"
    Directory.remove(name)
    try FileManager.default.moveItem(atPath: unfinished, toPath: name)
    // Steps after this one are of a run that was resumed from before them.
    let steps = try Directory.entries(of: folder).compactMap {
      $0.hasPrefix("step-") ? Int($0.dropFirst(5)) : nil
    }
    let kept = Set(steps.filter { $0 <= step }.sorted().suffix(count))
    for step in steps where !kept.contains(step) {
      Directory.remove(folder + "/step-\(step)")
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

  private static func openLog(_ path: String, keeping lines: [String]) throws -> FileHandle {
    let name = path + "/" + logName
    try AtomicFile.write(Array(lines.map { $0 + "\n" }.joined().utf8), to: name)
    guard let handle = FileHandle(forWritingAtPath: name) else {
      throw StorageError(.notFound, file: name)
    }
    try handle.seekToEnd()
    return handle
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
