import Foundation
import GraftCore
import TestSupport
import Testing

/// Every verb that writes survives a loss of power at any moment, on the strictest disk, and each of its forced writes is needed for that.
struct PowerLossTests {
  /// Runs a verb and takes down what it changes.
  private static func trace(_ verb: WritingVerb) throws -> (loss: PowerLoss, end: FileTree) {
    let (folder, notes) = (TemporaryFolder(), TemporaryFolder())
    try verb.prepare(folder)
    var trace = try DiskTrace(of: folder.folder.path)
    let outcome = try WatchedGraft.run(
      verb.arguments, root: folder.folder.path, trace: notes("trace"))
    try #require(outcome.status == 0, "\(outcome.error)")
    try trace.read(notes("trace"))
    return (
      PowerLoss(trace, growing: [log]), FileTree(at: folder.folder.path)
    )
  }

  private static let log = "out/training_log.jsonl"

  /// What must hold of several files at once, in words where it doesn't.
  private static func rule(
    of verb: WritingVerb
  ) -> @Sendable (_ text: (String) -> String?) -> String? {
    { text in
      if verb.isTraining {
        return logIsKept(text) ?? (verb.keepsSnapshots ? snapshotIsKept(text) : nil)
      }
      guard verb.isJoint, let last = verb.targets.last, text(last) != nil else { return nil }
      return verb.targets.first { text($0) == nil }.map { "\(last) is there without \($0)" }
    }
  }

  /// The step of the state that a run goes on from.
  private static func savedStep(_ text: (String) -> String?) -> Int? {
    text("out/training_state/state.json").flatMap {
      (try? JSONValue.parse(Array($0.utf8), file: "state"))?["step"]?.int
    }
  }

  /// A step that the state knows is in the log.
  private static func logIsKept(_ text: (String) -> String?) -> String? {
    guard let step = savedStep(text) else { return nil }
    let lines = (text(log) ?? "").split(separator: "\n").filter {
      (try? JSONValue.parse(Array($0.utf8), file: "log")) != nil
    }
    return lines.count < step ? "the log has \(lines.count) of \(step) steps" : nil
  }

  /// The snapshot of the save before the state's is there until the state's own is.
  private static func snapshotIsKept(_ text: (String) -> String?) -> String? {
    guard let step = savedStep(text), step > 1 else { return nil }
    let isThere = [step - 1, step].contains {
      text("out/snapshots/step-\($0)/adapter_model.safetensors") != nil
    }
    return isThere ? nil : "no snapshot is there, after step \(step)"
  }

  @Test(arguments: WritingVerb.all)
  func `after a loss of power the old is there or the new`(verb: WritingVerb) throws {
    let (loss, end) = try Self.trace(verb)
    #expect(loss.end == end, "the trace has every change")
    let targets = Set(loss.targets.map { $0.joined(separator: "/") })
    #expect(targets.isSuperset(of: verb.targets))
    // Whatever isn't a sibling on its way to a target: the directory of a run, its log, and snapshots that make room.
    let inPlace = loss.changesInPlace { change in
      verb.isTraining
        && (change.hasPrefix("mkdir ") || change == "write /" + Self.log)
    }
    #expect(inPlace == [])
    let search = loss.search(Self.rule(of: verb))
    #expect(search.loss == nil)
    #expect(search.stateCount >= loss.leastStateCount)
    #expect(loss.leastStateCount > 2 * loss.targets.count)
  }

  @Test(arguments: WritingVerb.all)
  func `without any one of its forced writes a verb is found out`(verb: WritingVerb) throws {
    let (loss, _) = try Self.trace(verb)
    let calls = loss.synchronizations
    // The file or the directory's files, and the directory that holds the name.
    #expect(calls.count >= 2)
    for call in calls {
      let search = loss.search(dropping: call, Self.rule(of: verb))
      #expect(search.loss != nil, "\(verb.name): \(loss.description(of: call)) isn't needed")
    }
  }

  // MARK: - The model itself

  /// A trace written by hand.
  private static func loss(_ lines: String) throws -> PowerLoss {
    let (folder, notes) = (TemporaryFolder(), TemporaryFolder())
    try Data("old".utf8).write(to: folder.url("x"))
    var status = stat()
    try #require(lstat(folder.folder.path, &status) == 0)
    var trace = try DiskTrace(of: folder.folder.path)
    let text = lines.replacing("ROOT", with: "\(status.st_ino)")
      .replacing(" /", with: " " + folder.folder.path + "/")
      .replacing("\t/", with: "\t" + folder.folder.path + "/")
    try Data(text.utf8).write(to: notes.url("trace"))
    try trace.read(notes("trace"))
    return PowerLoss(trace)
  }

  @Test func `the sequence of an atomic file is safe`() throws {
    let loss = try Self.loss(
      "create 7 /.x.partial\nwrite 7 0 3\nnewsync 7\nrename /.x.partial\t/x\nsync ROOT\n")
    #expect(loss.targets == [["x"]])
    #expect(loss.search().loss == nil)
    #expect(loss.synchronizations.count == 2)
  }

  @Test(arguments: [
    "create 7 /.x.partial\nwrite 7 0 3\nnewrename /.x.partial\t/x\nsync 7\nsync ROOT\n",
    "create 7 /.x.partial\nwrite 7 0 3\nnewrename /.x.partial\t/x\nsync ROOT\n",
    "create 7 /.x.partial\nwrite 7 0 3\nnewsync 7\nrename /.x.partial\t/x\n",
    "create 7 /.x.partial\nsync 7\nwrite 7 0 3\nnewrename /.x.partial\t/x\nsync ROOT\n",
    "remove /x\ncreate 7 /.x.partial\nwrite 7 0 3\nnewsync 7\nrename /.x.partial\t/x\nsync ROOT\n",
  ])
  func `the usual mistakes are found`(lines: String) throws {
    #expect(try Self.loss(lines).search().loss != nil)
  }
}
