import ArgumentParser
import Foundation
import GraftCore

/// The exit statuses of the contract.
enum ExitStatus: Int32 {
  case done = 0
  case difference = 1
  case usage = 2
  case badInput = 3
  case inputOutput = 4
  case memory = 5
  case nonFinite = 6
  case interrupted = 130

  init(_ kind: Diagnosis.Kind) {
    switch kind {
    case .usage: self = .usage
    case .badInput: self = .badInput
    case .inputOutput: self = .inputOutput
    case .memory: self = .memory
    case .nonFinite: self = .nonFinite
    case .interrupted: self = .interrupted
    }
  }
}

/// A check found a difference or a defect; the report is printed already.
struct CheckFailed: Error {}

/// The one place where errors become text and an exit status.
enum ErrorPrinter {
  /// Prints an error (or a request for help) and gives the status to exit with.
  static func report(_ error: any Error) -> Int32 {
    if error is CheckFailed { return ExitStatus.difference.rawValue }
    if let error = error as? any DiagnosableError {
      print(error.diagnosis)
      return ExitStatus(error.diagnosis.kind).rawValue
    }
    let message = GraftCommand.fullMessage(for: error)
    if GraftCommand.exitCode(for: error).isSuccess {
      Standard.output(message)
      return ExitStatus.done.rawValue
    }
    guard GraftCommand.exitCode(for: error) == .validationFailure else {
      // Foundation's errors are the system's.
      Standard.error("error: \(error.localizedDescription.escapedWhole)")
      return ExitStatus.inputOutput.rawValue
    }
    Standard.error(usageLines(message))
    return ExitStatus.usage.rawValue
  }

  private static func print(_ diagnosis: Diagnosis) {
    let lines = [diagnosis.location, diagnosis.remedy].compactMap { $0 }.map { "  " + $0 }
    // What a part has from a file or the command line may not have been escaped where it was put in.
    Standard.error(
      (["error: " + diagnosis.summary] + lines).map(\.escapedWhole).joined(separator: "\n"))
  }

  /// The parser's message in the contract's form: what is wrong, then how to get help.
  private static func usageLines(_ message: String) -> String {
    let usage = message.split(separator: "\n").first { $0.hasPrefix("Usage: ") }
    return
      (["error: " + UsageMessage.line(of: message).escapedWhole]
      + [usage.map { "  " + $0 }, "  see graft --help"].compactMap { $0 })
      .joined(separator: "\n")
  }
}

/// What the parser says of wrong arguments.
enum UsageMessage {
  /// What is wrong, in one line: the values that an option takes follow where the parser lists them.
  static func line(of message: String) -> String {
    let lines = message.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    let first = lines.first ?? "wrong usage"
    let body = first.hasPrefix("Error: ") ? String(first.dropFirst(7)) : first
    let known = valuesInWords.first { body.hasSuffix(" is invalid for '\($0.option)'") }
    if let known { return "\(body); it takes \(known.values)" }
    guard body.hasSuffix(listing) else { return body }
    let values = lines.dropFirst().prefix { $0.hasPrefix(bullet) }.map {
      $0.dropFirst(bullet.count)
    }
    return body.dropLast(listing.count) + "; it takes " + values.joined(separator: ", ")
  }

  /// The values of options that take more than a few words.
  private static let valuesInWords: [(option: String, values: String)] = [
    ("--compress <compress>", "none, zstd, or zstd:LEVEL with a level from 1 to 22"),
    ("--max-shard-size <max-shard-size>", "a size above 0 such as 500MiB or 5GB"),
    ("--memory <memory>", "a size above 0 such as 700MB or 2GiB"),
    ("--warmup <warmup>", "a number of steps, or a fraction of them such as 0.1"),
  ]

  private static let listing = ". Please provide one of the following:"
  private static let bullet = "  - "
}

/// The standard streams.
enum Standard {
  /// Takes the places of streams that are closed: else the files opened first would get them, and what is printed would go there.
  ///
  /// Each is held the wrong way round, so that using it fails as it would have.
  static func holdPlaces() {
    let streams = [
      (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY),
    ]
    for (descriptor, mode) in streams where fcntl(descriptor, F_GETFD) < 0 {
      _ = unsafe open("/dev/null", mode)
    }
  }

  /// Prints a line to standard output.
  static func output(_ text: String) {
    stream(text.hasSuffix("\n") ? text : text + "\n")
  }

  /// Prints text to standard output as it is, for streams; ends the process where nothing can be printed.
  static func stream(_ text: String) { stream(Array(text.utf8)) }

  /// Prints bytes of a text to standard output; ends the process where nothing can be printed.
  static func stream(_ bytes: [UInt8]) {
    let code = write(bytes, to: STDOUT_FILENO)
    guard code != 0 else { return }
    UnfinishedOutputs.removeAll()
    // Who closes a pipe has read what they wanted, and wants no message.
    guard code != EPIPE else { _exit(ExitStatus.inputOutput.rawValue) }
    let reason = unsafe String(cString: strerror(code))
    error("error: the results can't be written\n  standard output: \(reason)")
    _exit(ExitStatus.inputOutput.rawValue)
  }

  /// Prints a line to standard error, if anyone can read it.
  static func error(_ text: String) { _ = write(Array((text + "\n").utf8), to: STDERR_FILENO) }

  /// Prints text to standard error as it is, for the progress bar.
  static func errorStream(_ text: String) { _ = write(Array(text.utf8), to: STDERR_FILENO) }

  /// Writes all bytes and gives 0, or the error number.
  private static func write(_ text: [UInt8], to descriptor: Int32) -> Int32 {
    var bytes = text[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Foundation.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 {
        if errno == EINTR { continue }
        return errno
      }
      bytes = bytes.dropFirst(count)
    }
    return 0
  }
}
