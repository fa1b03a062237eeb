import Foundation
import GraftCore
import TestSupport
import Testing

/// Every system call of every verb that writes fails, falls short, finds the disk full or is the last of the process: then what was there is
/// there, or what was to be made, never a mixture.
struct FaultTests {
  /// A verb with its inputs, and what it makes of them when nothing goes wrong.
  private struct Subject {
    let verb: WritingVerb
    let given: TemporaryFolder
    let before: FileTree
    let after: FileTree
    let calls: [WatchedGraft.Call]

    init(_ verb: WritingVerb) throws {
      self.verb = verb
      given = TemporaryFolder()
      try verb.prepare(given)
      before = FileTree(at: given.folder.path)
      let folder = try given.linked()
      let outcome = try WatchedGraft.run(verb.arguments, root: folder.folder.path)
      try #require(outcome.status == 0, "\(outcome.error)")
      #expect(outcome.changedOutside == nil)
      after = FileTree(at: folder.folder.path)
      calls = outcome.calls
      for target in verb.targets { try #require(after[target] != .nothing, "\(target)") }
      #expect(after.unfinished == [])
    }

    /// What may stand at a target: what was there, what is made, or, in a run that saves more than once, an earlier save.
    func isWhole(_ target: String, in tree: FileTree) -> Bool {
      tree[target] == before[target] || tree[target] == after[target]
        || verb.isTraining && isEarlierSave(tree[target], of: target)
    }

    private func isEarlierSave(_ tree: FileTree, of target: String) -> Bool {
      switch tree {
      case .nothing: false
      case .file(let bytes): bytes.count == after[target].byteCount
      case .folder:
        tree.paths == after[target].paths
          && tree.paths.allSatisfy {
            $0.hasSuffix(".json") || tree[$0].byteCount == after[target + "/" + $0].byteCount
          }
      }
    }
  }

  /// What goes wrong at a call, by what it is.
  private static func plans(for call: WatchedGraft.Call, at number: Int) -> [WatchedGraft.Plan] {
    var plans: [WatchedGraft.Plan] = [.error(at: number, EIO)]
    if call.needsRoom { plans.append(.full(at: number)) }
    if call.transfers { plans.append(.short(at: number)) }
    if call.isInterruptible { plans.append(.error(at: number, EINTR)) }
    if call.changes { plans.append(.kill(at: number)) }
    return plans
  }

  /// Whether each call is tried with each fault, as `GRAFT_FAULTS=all` asks for.
  ///
  /// Otherwise a call between the same kinds of calls as one before is left out, and the faults of each kind take turns.
  private static let triesAll = ProcessInfo.processInfo.environment["GRAFT_FAULTS"] == "all"

  /// A fault at one of the calls.
  private struct Trial {
    /// The call's number, from 1.
    let number: Int
    let call: WatchedGraft.Call
    let plan: WatchedGraft.Plan

    /// The call that had the number: now and then threads come in another order.
    func call(in outcome: WatchedGraft.Outcome) -> WatchedGraft.Call {
      number <= outcome.calls.count ? outcome.calls[number - 1] : call
    }
  }

  /// The faults of a run, in order.
  private static func trials(of calls: [WatchedGraft.Call], isTraining: Bool) -> [Trial] {
    var surroundings: Set<ArraySlice<WatchedGraft.Call>> = []
    var turns: [WatchedGraft.Call: Int] = [:]
    var trials: [Trial] = []
    for (place, call) in calls.enumerated() {
      let possible = plans(for: call, at: place + 1)
      let around = calls[max(place - 1, 0)...min(place + 1, calls.count - 1)]
      let isNew = surroundings.insert(around).inserted
      let turn = turns[call, default: 0] % possible.count
      func trial(_ plan: WatchedGraft.Plan) -> Trial {
        Trial(number: place + 1, call: call, plan: plan)
      }
      if triesAll {
        trials += possible.map(trial)
      } else if isNew || place == calls.count - 1 {
        turns[call, default: 0] += 1
        // A verb that ends soon has time for an error besides.
        if turn > 0, !isTraining { trials.append(trial(possible[0])) }
        trials.append(trial(possible[turn]))
      }
    }
    return trials
  }

  @Test(arguments: WritingVerb.all)
  func `whatever call goes wrong, the old is there or the new`(verb: WritingVerb) throws {
    let subject = try Subject(verb)
    #expect(subject.calls.contains(.synchronize) && subject.calls.contains(.rename))
    for trial in Self.trials(of: subject.calls, isTraining: verb.isTraining) {
      let (plan, folder) = (trial.plan, try subject.given.linked())
      let outcome = try WatchedGraft.run(verb.arguments, root: folder.folder.path, plan: plan)
      let call = trial.call(in: outcome)
      let tree = FileTree(at: folder.folder.path)
      let story: Comment = "\(verb.name), \(call), \(plan): \(outcome.status) \(outcome.error)"
      #expect(outcome.changedOutside == nil, story)
      for target in verb.targets {
        #expect(subject.isWhole(target, in: tree), "\(target): \(story)")
      }
      if verb.isJoint { #expect(!verb.isBroken(in: tree), story) }
      if case .kill = plan {
        #expect(outcome.status == -SIGKILL, story)
        try goOn(subject, in: folder, tree, story)
      } else {
        judge(subject, outcome, plan, call, tree, story)
      }
    }
  }

  /// After one failure the kernel takes pages for written that aren't: another call would succeed, and tell nothing.
  @Test(arguments: WritingVerb.all.filter { !$0.isTraining })
  func `after a forced write that failed none is tried again, and nothing appears`(
    verb: WritingVerb
  ) throws {
    let subject = try Subject(verb)
    let forced = subject.calls.indices.filter { subject.calls[$0] == .synchronize }
    #expect(!forced.isEmpty)
    let moved = try #require(subject.calls.lastIndex(of: .rename))
    for place in forced {
      let folder = try subject.given.linked()
      let outcome = try WatchedGraft.run(
        verb.arguments, root: folder.folder.path, plan: .error(at: place + 1, EIO))
      let story: Comment = "\(verb.name), call \(place + 1): \(outcome.status) \(outcome.error)"
      #expect(outcome.failedCount == 1, story)
      #expect(outcome.status == 4, story)
      #expect(!outcome.calls.dropFirst(place + 1).contains(.synchronize), story)
      let tree = FileTree(at: folder.folder.path)
      for target in verb.targets where place < moved && verb.targets.count == 1 {
        #expect(tree[target] == subject.before[target], story)
      }
    }
  }

  @Test func `a file that needs no name gets one where there are no such files`() throws {
    let verb = try #require(WritingVerb.all.first { $0.name == "out of a deflated archive" })
    let subject = try Subject(verb)
    let place = try #require(subject.calls.firstIndex(of: .create))
    for code in [EINTR, EOPNOTSUPP] {
      let folder = try subject.given.linked()
      let outcome = try WatchedGraft.run(
        verb.arguments, root: folder.folder.path, plan: .error(at: place + 1, code))
      #expect(outcome.failedCount == 1)
      #expect(outcome.status == 0, "\(outcome.error)")
      let extra = outcome.calls.count - subject.calls.count
      // The call again; with a name there is one to be removed.
      #expect(extra == (code == EINTR ? 1 : 2))
      #expect(FileTree(at: folder.folder.path) == subject.after)
    }
    let folder = try subject.given.linked()
    let outcome = try WatchedGraft.run(
      verb.arguments, root: folder.folder.path, plan: .error(at: place + 1, EACCES))
    #expect(outcome.status == 4)
    #expect(outcome.error.contains("; TMPDIR names another directory"), "\(outcome.error)")
  }

  /// Requests for memory fail one after the other, until the verb makes no more of them.
  @Test(arguments: WritingVerb.all.filter { !$0.isTraining })
  func `without some piece of memory the old is there or the new`(verb: WritingVerb) throws {
    let subject = try Subject(verb)
    var deniedCount = 0
    while true {
      let folder = try subject.given.linked()
      let outcome = try WatchedGraft.run(
        verb.arguments, root: folder.folder.path, plan: .memory(at: deniedCount + 1))
      guard outcome.failedCount > 0 else { break }
      deniedCount += 1
      let tree = FileTree(at: folder.folder.path)
      let story: Comment =
        "\(verb.name), request \(deniedCount): \(outcome.status) \(outcome.error)"
      // Swift's own containers can't say that there is no memory: the runtime says it for them and aborts. A trap is never right.
      let runtimeGaveUp =
        outcome.status == -SIGABRT && outcome.error.hasPrefix("Fatal error: failed to allocate ")
      #expect([0, 5].contains(outcome.status) || runtimeGaveUp, story)
      for target in verb.targets {
        #expect(subject.isWhole(target, in: tree), "\(target): \(story)")
        if outcome.status == 0 { #expect(tree[target] == subject.after[target], story) }
      }
      if verb.isJoint { #expect(!verb.isBroken(in: tree), story) }
      if outcome.status >= 0 { #expect(tree.unfinished == [], story) }
      if outcome.status < 0 { try goOn(subject, in: folder, tree, story) }
    }
    #expect(deniedCount > 0, "\(verb.name) asked for no memory")
  }

  /// A fault that the process saw: it goes on and is right, or ends with an error of input and output that names the path.
  private func judge(
    _ subject: Subject, _ outcome: WatchedGraft.Outcome, _ plan: WatchedGraft.Plan,
    _ call: WatchedGraft.Call, _ tree: FileTree, _ story: Comment
  ) {
    if outcome.status == 0 {
      for target in subject.verb.targets { #expect(tree[target] == subject.after[target], story) }
    } else {
      #expect(outcome.status == 4, story)
      #expect(outcome.error.hasPrefix("error: "), story)
      #expect(outcome.error.split(separator: "\n").count <= 3, story)
      let names = subject.verb.arguments + subject.verb.targets
      #expect(names.contains { outcome.error.contains("\n  " + $0) }, story)
      #expect(!outcome.error.contains(".partial"), story)
      if subject.verb.isJoint {
        #expect(Set(subject.verb.targets.map { tree[$0] == .nothing }).count == 1, story)
      }
    }
    switch plan {
    case .short where call.transfers, .error(_, EINTR) where call.isInterruptible:
      #expect(outcome.status == 0, story)
    default: break
    }
    // What isn't on the disk isn't done; a snapshot of training that fails is passed over.
    if case .error(_, EIO) = plan, call == .synchronize, !subject.verb.isTraining {
      #expect(outcome.status == 4, story)
    }
    // What can't be removed stays, until the next that writes there removes it.
    if call != .remove, call != .list { #expect(tree.unfinished == [], story) }
  }

  /// After a kill the verb is run again, and nothing is left of the first attempt.
  private func goOn(
    _ subject: Subject, in folder: TemporaryFolder, _ tree: FileTree, _ story: Comment
  ) throws {
    // What is of use together alone isn't replaced.
    let isKept = subject.verb.isJoint && subject.verb.targets.allSatisfy { tree[$0] != .nothing }
    if isKept { return }
    let again = try WatchedGraft.run(
      subject.verb.again(after: tree), root: folder.folder.path)
    #expect(again.status == 0, "\(again.error) after \(story)")
    let end = FileTree(at: folder.folder.path)
    for target in subject.verb.targets {
      #expect(end[target] == subject.after[target], "\(target) again after \(story)")
    }
    #expect(end.unfinished == [], story)
  }
}

extension FileTree {
  var byteCount: Int {
    guard case .file(let bytes) = self else { return 0 }
    return bytes.count
  }
}
