import Foundation
import TestSupport
import Testing

/// Verbs killed at random moments, on all threads.
///
/// `FaultTests` kill them at every call, on one; `KillTests` does so with training.
struct RandomKillTests {
  /// How often each verb is killed; `GRAFT_KILLS` says otherwise.
  private static let count =
    ProcessInfo.processInfo.environment["GRAFT_KILLS"].flatMap(Int.init) ?? 12
  /// What the moments are made of; `GRAFT_KILL_SEED` says otherwise.
  private static let seed: UInt64 = {
    let asked = ProcessInfo.processInfo.environment["GRAFT_KILL_SEED"].flatMap { UInt64($0) }
    let seed = asked ?? UInt64.random(in: 0..<1 << 32)
    print("Verbs are killed at the moments of GRAFT_KILL_SEED=\(seed).")
    return seed
  }()

  /// Moments as parts of a run's duration, one in each part of it and some of the time after it, in any order.
  private static func moments(of verb: WritingVerb) -> [Double] {
    // The same for a verb whichever others run.
    var random = SplitMix(state: verb.name.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) })
    return (0..<count).map { part in
      1.1 * (Double(part) + Double.random(in: 0..<1, using: &random)) / Double(count)
    }.shuffled(using: &random)
  }

  private static func start(
    _ arguments: [String], in folder: TemporaryFolder, killedAfter seconds: Double?
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
    let given = TemporaryFolder()
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
    var killedCount = 0
    for (attempt, moment) in Self.moments(of: verb).enumerated() {
      let status = try Self.start(arguments, in: folder, killedAfter: moment * duration)
      let story: Comment = "\(verb.name), seed \(Self.seed), attempt \(attempt)"
      #expect(status == 0 || status == -SIGKILL, story)
      if status == -SIGKILL { killedCount += 1 }
      let tree = FileTree(at: folder.folder.path)
      for target in verb.targets {
        #expect(
          tree[target] == before[target] || tree[target] == after[target],
          "\(story): \(target)")
      }
      if verb.isJoint { #expect(!verb.isBroken(in: tree), story) }
      // What was replaced, or isn't replaced, is put back.
      let isKept = verb.isJoint && verb.targets.allSatisfy { tree[$0] != .nothing }
      if isKept
        || verb.targets.contains(where: { tree[$0] == after[$0] && before[$0] != .nothing })
      {
        folder = try given.linked()
      }
    }
    #expect(killedCount > 0, "\(verb.name), seed \(Self.seed): no run was killed")
    #expect(try Self.start(arguments, in: folder, killedAfter: nil) == 0)
    let end = FileTree(at: folder.folder.path)
    for target in verb.targets { #expect(end[target] == after[target]) }
    #expect(end.unfinished == [])
  }
}

/// A generator whose numbers follow from its seed.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}
