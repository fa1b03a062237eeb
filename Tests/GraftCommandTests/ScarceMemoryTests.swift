import Foundation
import TestSupport
import Testing

/// Training where the system gives no more address space: it runs, or says so before it has written anything.
@Suite(.serialized) struct `Scarce memory` {
  private let scratch = TemporaryFolder()

  private func train(kibibytes: Int) throws -> (output: String, status: Int32) {
    try Shell.run(
      "ulimit -v \(kibibytes); exec graft train model --data text/gospels.txt --steps 1 "
        + "--batch-size 8 --sequence-length 512 --full --threads 2 --quiet --out "
        + scratch("run") + " 2>&1",
      in: Graft.fixtures.path)
  }

  /// Whether training ran; if not, that it ended as it should.
  private func runs(kibibytes: Int) throws -> Bool {
    defer { try? FileManager.default.removeItem(at: scratch.url("run")) }
    let (output, status) = try train(kibibytes: kibibytes)
    if status == 0 { return true }
    #expect(status == 5, "\(kibibytes) KiB: \(output)")
    #expect(
      output.split(separator: "\n").prefix(2).contains("error: not enough memory"), "\(output)")
    #expect(scratch.names.isEmpty, "\(kibibytes) KiB")
    return false
  }

  @Test(arguments: [200_000, 250_000, 400_000])
  func `merging waits for no threads that can't be had`(kibibytes: Int) throws {
    let (output, status) = try Shell.run(
      "ulimit -v \(kibibytes); exec timeout -s KILL 60 graft merge golden/families/llama-tied "
        + "golden/lora/llama-tied --threads 8 --quiet --out " + scratch("merged") + " 2>&1",
      in: Graft.fixtures.path)
    #expect(status == 0 || status == 5, "\(output)")
  }

  /// Limits between that at which the program starts and one that is enough.
  @Test(arguments: [
    "generate model --prompt x --max-tokens 2 --threads 1",
    "evaluate model --data text/revelation.txt --threads 1",
    "plan train model --data text/revelation.txt --steps 1 --out never --threads 1",
    "convert model OUT --threads 1", "convert model OUT.h5 --threads 1",
  ])
  func `what Swift's containers don't get ends with 5 in three lines`(call: String) throws {
    let target = scratch("out")
    var statuses: Set<Int32> = []
    for kibibytes in stride(from: 140_000, through: 230_000, by: 2_500) {
      let (output, status) = try Shell.run(
        "ulimit -c 0; ulimit -v \(kibibytes); exec timeout -s KILL 60 graft "
          + call.replacing("OUT", with: target) + " --quiet 2>&1 >/dev/null",
        in: Graft.fixtures.path)
      // Without room for its libraries no program begins.
      if status == 127 { continue }
      statuses.insert(status)
      #expect(status == 0 || status == 5, "\(kibibytes) KiB: \(output)")
      if status == 5 {
        // The runtime may have told of it in a line of its own.
        let lines = output.split(separator: "\n")
        #expect(
          lines.prefix(2).contains("error: not enough memory"), "\(kibibytes) KiB: \(output)")
        #expect(output.split(separator: "\n").count <= 3, "\(kibibytes) KiB: \(output)")
        #expect(scratch.names.isEmpty, "\(kibibytes) KiB")
      }
      for name in scratch.names { try FileManager.default.removeItem(at: scratch.url(name)) }
    }
    #expect(statuses.contains(5))
  }

  @Test func `training runs or ends with 5, whatever the limit, and leaves nothing`() throws {
    // Between what the process takes before it reads a model and what the run takes.
    var (fails, works) = (0, 1 << 21)
    try #require(try runs(kibibytes: works))
    fails = works / 4
    while works - fails > 1024 {
      let middle = (fails + works) / 2
      if try runs(kibibytes: middle) { works = middle } else { fails = middle }
    }
    for distance in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] {
      _ = try runs(kibibytes: fails - distance * 1024)
    }
  }
}
