import Foundation
import GraftCore
import TestSupport
import Testing

/// Power lost for real: a file system of its own goes down at a call, with all that it hasn't written, and is mounted again.
///
/// `PowerLossTests` search a model of all disks; this is ext4 and its journal.
@Suite(.serialized, .enabled(if: mayMount, "no file system may be mounted here"))
struct OutageTests {
  @Test func `what isn't forced to the disk is lost`() throws {
    let given = TemporaryFolder()
    try Data("old".utf8).write(to: given.url("old"))
    let disk = try Disk(holding: given)
    let trial = try disk.run(["cp", "old", "new"], outageAt: 1000)
    #expect(trial.status == 0)
    #expect(trial.wentDown)
    let tree = FileTree(at: trial.tree.folder.path)
    #expect(tree["old"].text == "old")
    #expect(tree["new"] == .nothing)
  }

  static let verbs = ["another directory", "the input itself", "HDF5", "GGUF in parts", "merge"]

  @Test(arguments: WritingVerb.all.filter { verbs.contains($0.name) })
  func `after an outage the old is there or the new`(verb: WritingVerb) throws {
    let given = TemporaryFolder()
    try verb.prepare(given)
    let before = FileTree(at: given.folder.path)
    let whole = try given.linked()
    let calls = try WatchedGraft.run(verb.arguments, root: whole.folder.path).calls
    let after = FileTree(at: whole.folder.path)
    let disk = try Disk(holding: given)
    let graft = try #require(Graft.executable).path
    // Between two changes nothing is new.
    let places = calls.indices.filter { calls[$0].changes } + [calls.count]
    for place in places {
      let trial = try disk.run([graft] + verb.arguments, outageAt: place + 1)
      let tree = FileTree(at: trial.tree.folder.path)
      let story: Comment = "\(verb.name), call \(place + 1) of \(calls.count): \(trial.status)"
      #expect(trial.wentDown, story)
      for target in verb.targets {
        #expect(
          tree[target] == before[target] || tree[target] == after[target], "\(target), \(story)")
        // What a verb said is done, is done.
        if trial.status == 0 { #expect(tree[target] == after[target], "\(target), \(story)") }
      }
      if verb.isJoint { #expect(!verb.isBroken(in: tree), story) }
      if place == calls.count { #expect(trial.status == 0, story) }
    }
    #expect(places.count > 10)
  }
}

/// A disk that is a file.
private struct Disk {
  private let scratch = TemporaryFolder()

  /// Makes a file system that holds what stands in a folder.
  init(holding folder: TemporaryFolder) throws {
    let made = try Shell.run(
      """
      exec 2>&1; export PATH=$PATH:/usr/sbin:/sbin
      truncate -s 16M disk && mkfs.ext4 -q -F -d \(folder.folder.path) disk && mkdir mount
      """, in: scratch.folder.path)
    try #require(made.status == 0, "\(made.output)")
  }

  /// Runs a program on the disk, which goes down at a call; gives the program's status, whether the disk went down, and what is on it
  /// once it is mounted again.
  func run(_ program: [String], outageAt call: Int) throws
    -> (status: Int32, wentDown: Bool, tree: TemporaryFolder)
  {
    let (found, report) = (TemporaryFolder(), scratch("report"))
    try Data(count: 65536).write(to: scratch.url("report"))
    let root = scratch("mount")
    let library = try #require(Graft.executable).deletingLastPathComponent()
      .appending(path: "libFaultInjection.so").path
    let variables = [
      "LD_PRELOAD=" + library, "GRAFT_FAULTS_ROOT=" + root, "GRAFT_FAULTS_REPORT=" + report,
      "TMPDIR=" + root, "GRAFT_FAULTS_PLAN='\(WatchedGraft.Plan.outage(at: call))'",
    ].joined(separator: " ")
    let ended = try Shell.run(
      """
      export PATH=$PATH:/usr/sbin:/sbin; exec unshare -m sh -c "
      cp disk now && mount -o loop now mount || exit 99
      (cd mount && exec env \(variables) \(program.joined(separator: " "))) >/dev/null 2>&1
      echo \\$? > status
      umount mount && mount -o loop now mount || exit 99
      cp -a mount/. \(found.folder.path) && umount mount"
      """, in: scratch.folder.path)
    try #require(ended.status == 0, "\(ended.output)")
    let status = try String(contentsOf: scratch.url("status"), encoding: .utf8)
    let failed = try Data(contentsOf: scratch.url("report"))[8]
    return (try #require(Int32(status.dropLast())), failed == 1, found)
  }
}

/// Whether this process may mount a file for its children alone.
///
/// Only that is asked: where no file system can be made, or it doesn't go down, the tests fail.
private let mayMount: Bool = {
  let folder = TemporaryFolder()
  let tried = try? Shell.run(
    """
    export PATH=$PATH:/usr/sbin:/sbin; unshare -m true || exit 1
    truncate -s 16M disk && mkfs.ext4 -q -F disk && mkdir mount || exit 0
    unshare -m mount -o loop disk mount
    """, in: folder.path)
  return tried?.status == 0
}()
