import Foundation
import Testing

/// Verbs killed at random moments, on all threads.
///
/// `FaultTests` kill them at every call, on one; `KillTests` does so with training.
struct RandomKillTests {
  /// How often each verb is killed; `GRAFT_KILLS` says otherwise.
  private static let count =
    ProcessInfo.processInfo.environment["GRAFT_KILLS"].flatMap(Int.init) ?? 12

  private static func start(
    _ arguments: [String], in folder: Scratch, killedAfter seconds: Double?
  ) throws -> Int32 {
    let executable = try #require(Graft.executable).path
    return try Spawned.run(
      [executable] + arguments, environment: ["PATH=/usr/bin:/bin"], folder: folder.folder.path,
      output: "/dev/null", error: "/dev/null"
    ) { process in
      guard let seconds else { return }
      usleep(UInt32(seconds * 1e6))
      kill(process, SIGKILL)
    }.status
  }

  @Test(arguments: WritingVerb.all.filter { !$0.isTraining })
  func `killed at a random moment, a verb leaves the old or the new`(verb: WritingVerb) throws {
    // As many threads as there are.
    let arguments = verb.arguments.split(separator: "--threads").enumerated().flatMap {
      $0 == 0 ? Array($1) : Array($1.dropFirst())
    }
    let given = Scratch()
    try verb.prepare(given)
    let before = FileTree(at: given.folder.path)
    let whole = try given.linked()
    let clock = ContinuousClock()
    let began = clock.now
    try #require(try Self.start(arguments, in: whole, killedAfter: nil) == 0)
    let duration = (clock.now - began) / .seconds(1)
    let after = FileTree(at: whole.folder.path)

    // The kills go on in one folder, as one that a user has whose machine is killed again and again.
    var folder = try given.linked()
    for attempt in 1...Self.count {
      let status = try Self.start(
        arguments, in: folder, killedAfter: Double.random(in: 0...1.1) * duration)
      #expect(status == 0 || status == -SIGKILL)
      let tree = FileTree(at: folder.folder.path)
      for target in verb.targets {
        #expect(
          tree[target] == before[target] || tree[target] == after[target],
          "\(verb.name), attempt \(attempt): \(target)")
      }
      if verb.isJoint { #expect(!verb.isBroken(in: tree), "\(verb.name), attempt \(attempt)") }
      // What was replaced, or isn't replaced, is put back.
      let isKept = verb.isJoint && verb.targets.allSatisfy { tree[$0] != .nothing }
      if isKept
        || verb.targets.contains(where: { tree[$0] == after[$0] && before[$0] != .nothing })
      {
        folder = try given.linked()
      }
    }
    #expect(try Self.start(arguments, in: folder, killedAfter: nil) == 0)
    let end = FileTree(at: folder.folder.path)
    for target in verb.targets { #expect(end[target] == after[target]) }
    #expect(end.unfinished == [])
  }
}
