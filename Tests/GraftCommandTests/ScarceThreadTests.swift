import Foundation
import TestSupport
import Testing

/// The command where its user may have no more processes, and so no threads.
@Suite(.enabled(if: ScarceThreads.areMade)) struct `Scarce threads` {
  private let scratch = TemporaryFolder()

  /// Copies what another user must be able to read; the program by one of its own, as a process that another test starts meanwhile
  /// would have it open for writing, too.
  init() throws {
    let executable = try #require(Graft.executable)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: scratch.path)
    let (output, status) = try Shell.run("cp '\(executable.path)' graft 2>&1", in: scratch.path)
    try #require(status == 0, "\(output)")
    try FileManager.default.copyItem(
      at: Graft.fixtures.appending(path: "model"), to: scratch.url("model"))
  }

  @Test(arguments: [
    "inspect model", "verify model --threads 1", "verify model --threads 4",
    "diff model model --threads 4", "generate model --prompt x --max-tokens 2",
  ])
  func `a verb does its work where no thread can be had`(call: String) throws {
    for setting in ["", "env OPENBLAS_NUM_THREADS=1 "] {
      let (output, status) = try Shell.run(
        "exec timeout -s KILL 60 \(ScarceThreads.command) \(setting)./graft \(call) 2>&1",
        in: scratch.path)
      #expect(status == 0, "\(setting)\(call): \(output)")
      #expect(!output.contains("OpenBLAS"))
    }
  }
}

private enum ScarceThreads {
  /// The words that give a command one process; the limit doesn't hold for the superuser.
  static let command =
    (getuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "")
    + "prlimit --nproc=1"

  /// Whether the system has the programs.
  static var areMade: Bool {
    ["setpriv", "prlimit"].allSatisfy {
      FileManager.default.isExecutableFile(atPath: "/usr/bin/" + $0)
    }
  }
}
