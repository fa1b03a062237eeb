import Foundation
import TestSupport
import Testing

/// Numbers and streams at their limits: a status of the contract, never a trap.
struct ExtremeTests {
  @Test(arguments: [
    ["generate", "model", "--prompt", "x", "--max-tokens", "9223372036854775807"],
    ["generate", "model", "--prompt", "x", "--threads", "100000"],
    ["evaluate", "model", "--data", "text/revelation.txt", "--batch-size", "9223372036854775807"],
    [
      "train", "model", "--data", "text/gospels.txt", "--out", "never", "--rank",
      "9223372036854775807",
    ],
    [
      "train", "model", "--data", "text/gospels.txt", "--out", "never", "--layers",
      "0-9223372036854775807",
    ],
    ["train", "model", "--data", "text/gospels.txt", "--out", "never", "--epochs", "1e300"],
    [
      "train", "model", "--data", "text/gospels.txt", "--out", "never", "--batch-size",
      "9223372036854775807",
    ],
    [
      "train", "model", "--data", "text/gospels.txt", "--out", "never", "--accumulate",
      "9223372036854775807",
    ],
    ["train", "model", "--data", "text/gospels.txt", "--out", "never", "--clip-norm", "nan"],
    ["train", "model", "--data", "text/gospels.txt", "--out", "never", "--learning-rate", "1e40"],
    [
      "train", "model", "--data", "text/gospels.txt", "--out", "never", "--lora-plus-ratio",
      "1e300",
    ],
  ])
  func `a number out of range is wrong usage`(arguments: [String]) throws {
    let outcome = try Graft.run(arguments)
    #expect(outcome.status == 2)
    #expect(outcome.output == "")
    #expect(outcome.error.hasPrefix("error: "))
    #expect(!FileManager.default.fileExists(atPath: Graft.fixtures.path + "/never"))
  }

  @Test func `results that can't be written are an error of output`() throws {
    let outcome = try runInShell("inspect model > /dev/full")
    #expect(outcome.reason == .exit)
    #expect(outcome.status == 4)
    #expect(outcome.error.hasPrefix("error: the results can't be written\n"))
  }

  @Test func `where standard output is closed, results don't go into the files that are written`()
    throws
  {
    let scratch = TemporaryFolder()
    let outcome = try runInShell("convert model '\(scratch("out.h5"))' --quiet <&- >&-")
    #expect(outcome.reason == .exit)
    #expect(outcome.status == 4)
    #expect(
      outcome.error == """
        error: the results can't be written
          standard output: Bad file descriptor

        """)
    #expect(try Graft.run("convert", "model", scratch("other.h5"), "--quiet").status == 0)
    #expect(
      FileManager.default.contentsEqual(atPath: scratch("out.h5"), andPath: scratch("other.h5")))
  }

  @Test func `a pipe that nobody reads ends the command without a word`() throws {
    let process = Process()
    process.executableURL = try #require(Graft.executable)
    process.arguments = ["inspect", "model", "--json"]
    process.currentDirectoryURL = Graft.fixtures
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try output.fileHandleForReading.close()
    try process.run()
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 4)
    #expect(text.isEmpty)
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func `an interrupted conversion leaves nothing behind`(signal: Int32) throws {
    let scratch = TemporaryFolder()
    // A sparse file that takes seconds to compress.
    let header = Array(
      #"{"x":{"dtype":"F32","shape":[1073741824],"data_offsets":[0,4294967296]}}"#.utf8)
    var bytes = Data()
    withUnsafeBytes(of: UInt64(header.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: header)
    try bytes.write(to: scratch.url("large.safetensors"))
    #expect(truncate(scratch("large.safetensors"), off_t(bytes.count) + 4_294_967_296) == 0)
    let process = Process()
    process.executableURL = try #require(Graft.executable)
    process.arguments = [
      "convert", scratch("large.safetensors"), scratch("out.h5"), "--compress", "zstd:19",
      "--quiet",
    ]
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    Thread.sleep(forTimeInterval: 0.7)
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    #expect(scratch.names == ["large.safetensors"])
  }

  /// Runs the command with the streams that a shell gives it; its standard error alone is read.
  private func runInShell(
    _ words: String
  ) throws -> (reason: Process.TerminationReason, status: Int32, error: String) {
    let executable = try #require(Graft.executable)
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", "exec '\(executable.path)' \(words)"]
    process.currentDirectoryURL = Graft.fixtures
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationReason, process.terminationStatus, text)
  }
}
