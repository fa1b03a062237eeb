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

  // MARK: - Permissions and links

  private static func verb(_ name: String) throws -> WritingVerb {
    try #require(WritingVerb.all.first { $0.name == name })
  }

  private static func status(_ path: String) throws -> stat {
    var status = stat()
    try #require(lstat(path, &status) == 0, "\(path)")
    return status
  }

  @Test func `at no moment is what takes a file's place open to more than that was`() throws {
    let verb = try Self.verb("a file")
    let subject = try Subject(verb)
    #expect(subject.calls.contains(.permit))
    var siblingCount = 0
    for place in subject.calls.indices where subject.calls[place].changes {
      let folder = try subject.given.linked()
      let outcome = try WatchedGraft.run(
        verb.arguments, root: folder.folder.path, plan: .kill(at: place + 1))
      #expect(outcome.status == -SIGKILL)
      let siblings = FileTree(at: folder.folder.path).unfinished
      siblingCount += siblings.count
      for name in siblings + verb.targets {
        let mode = try Self.status(folder(name)).st_mode & 0o777
        #expect(mode & ~0o640 == 0, "\(name) before call \(place + 1): \(String(mode, radix: 8))")
      }
    }
    #expect(siblingCount > 0)
  }

  @Test(.enabled(if: OtherGroup.number != nil, "this process is of one group alone"))
  func `where the group can't be had the other gets no more than all others`() throws {
    let verb = try Self.verb("a file")
    let group = try #require(OtherGroup.number)
    let given = TemporaryFolder()
    try verb.prepare(given)
    try #require(chown(given("out.safetensors"), uid_t.max, group) == 0)
    // What gave the group may have taken bits.
    try #require(chmod(given("out.safetensors"), 0o640) == 0)

    let whole = try given.linked()
    let calls = try WatchedGraft.run(verb.arguments, root: whole.folder.path).calls
    let kept = try Self.status(whole("out.safetensors"))
    #expect(kept.st_gid == group && kept.st_mode & 0o777 == 0o640)

    let first = try #require(calls.firstIndex(of: .permit))
    let folder = try given.linked()
    let outcome = try WatchedGraft.run(
      verb.arguments, root: folder.folder.path, plan: .error(at: first + 1, EPERM))
    #expect(outcome.failedCount == 1)
    #expect(outcome.status == 0, "\(outcome.error)")
    let made = try Self.status(folder("out.safetensors"))
    #expect(made.st_gid != group && made.st_mode & 0o777 == 0o600)
  }

  @Test func `a link that can't be followed is an error that names it, and stays`() throws {
    let verb = try Self.verb("a file of tiles")
    let given = TemporaryFolder()
    try verb.prepare(given)
    func linked() throws -> TemporaryFolder {
      let folder = try given.linked()
      try FileManager.default.createSymbolicLink(
        atPath: folder("out.safetensors"), withDestinationPath: "real")
      return folder
    }
    let whole = try linked()
    let calls = try WatchedGraft.run(verb.arguments, root: whole.folder.path).calls
    #expect(FileTree(at: whole.folder.path)["real"] != .nothing)
    var errorCount = 0
    for place in calls.indices where calls[place] == .followLink {
      let folder = try linked()
      let outcome = try WatchedGraft.run(
        verb.arguments, root: folder.folder.path, plan: .error(at: place + 1, EIO))
      #expect(outcome.failedCount == 1)
      let tree = FileTree(at: folder.folder.path)
      #expect(tree.unfinished == [])
      #expect(try Self.status(folder("out.safetensors")).st_mode & S_IFMT == S_IFLNK)
      // Whether input and output are one file is asked of the link too, and may be left open.
      if outcome.status == 0 { continue }
      errorCount += 1
      #expect(outcome.status == 4, "\(outcome.error)")
      #expect(outcome.error.contains("\n  out.safetensors"), "\(outcome.error)")
      #expect(tree["real"] == .nothing)
    }
    #expect(errorCount > 0)
  }

  @Test(arguments: WritingVerb.all.filter { !$0.isTraining })
  func `without some piece of memory the old is there or the new`(verb: WritingVerb) throws {
    let subject = try Subject(verb)
    // The buffers of the large; where there are none, those that libc lists a directory with.
    let deniedCount = try denials(of: subject, from: 65536)
    if deniedCount == 0 {
      #expect(try denials(of: subject, from: 32768) > 0, "\(verb.name) asked for no memory")
    }
  }

  /// Requests for memory fail one after the other, until the verb makes no more of them; gives how many there were.
  private func denials(of subject: Subject, from bytes: Int) throws -> Int {
    let verb = subject.verb
    var deniedCount = 0
    while true {
      let folder = try subject.given.linked()
      let outcome = try WatchedGraft.run(
        verb.arguments, root: folder.folder.path,
        plan: .memory(at: deniedCount + 1, bytes: bytes))
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
    return deniedCount
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
