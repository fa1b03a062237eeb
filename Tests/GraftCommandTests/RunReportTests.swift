import Foundation
import FoundationXML
import TestSupport
import Testing

/// The HTML page of a training run.
@Suite struct `The page of a run` {
  private let scratch = TemporaryFolder()

  /// What a page holds: the elements' names, all text, and every attribute.
  private final class Page: NSObject, XMLParserDelegate {
    var elements: [String] = []
    var attributes: [(name: String, value: String)] = []
    var text = ""

    init(_ data: Data) throws {
      super.init()
      let parser = XMLParser(data: data)
      parser.delegate = self
      try #require(parser.parse(), "\(String(describing: parser.parserError))")
    }

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
      qualifiedName: String?, attributes found: [String: String]
    ) {
      elements.append(name)
      attributes += found.map { ($0.key, $0.value) }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
  }

  private func log(_ count: Int, in folder: String) throws {
    try FileManager.default.createDirectory(
      atPath: scratch(folder), withIntermediateDirectories: true)
    let lines = (1...count).map { step in
      let validation = step % 3 == 0 ? ",\"validationLoss\":\(2.5 - Double(step) / 1000)" : ""
      return """
        {"step":\(step),"loss":\(3 - Double(step) / 1000),"learningRate":\(1e-3 / Double(step)),\
        "gradientNorm":\(1 + Double(step % 7)),"tokensPerSecond":1234.5,"tokenCount":\(step * 64),\
        "peakBytes":\(step << 20)\(validation)}
        """
    }
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(
      to: scratch.url(folder + "/training_log.jsonl"))
  }

  private func page(_ folder: String) throws -> (page: Page, source: String) {
    let outcome = try Graft.run("report", scratch(folder), "--out", scratch("run.html"))
    #expect(outcome.status == 0, "\(outcome.error)")
    let data = try Data(contentsOf: scratch.url("run.html"))
    return (try Page(data), String(decoding: data, as: UTF8.self))
  }

  @Test func `it is well-formed, needs no network, and holds every step`() throws {
    try log(30, in: "run")
    let (page, source) = try page("run")
    #expect(!source.contains("http"))
    #expect(!source.contains("url("))
    #expect(!page.elements.contains { ["script", "link", "img", "iframe"].contains($0) })
    #expect(!page.attributes.contains { ["src", "href", "srcset"].contains($0.name) })
    #expect(page.elements.count { $0 == "svg" } == 5)
    #expect(page.elements.count { $0 == "circle" } == 10)
    for step in 1...30 {
      #expect(page.text.contains("\(3 - Double(step) / 1000)"))
    }
    #expect(page.text.contains("2.47"))
    for name in ["Loss", "Learning rate", "Gradient norm", "Throughput", "Peak resident memory"] {
      #expect(page.attributes.contains { $0.name == "aria-label" && $0.value == name })
    }
    for unit in ["nats per token", "tokens per second", "MiB", "step"] {
      #expect(page.text.contains(unit))
    }
  }

  @Test func `a long run is drawn and listed in fewer points, the last step among them`() throws {
    try log(20_000, in: "run")
    let (page, source) = try page("run")
    #expect(source.utf8.count < 2_000_000)
    #expect(
      page.elements.count { $0 == "path" } == 11, "a line and a band each, and the loss's trend")
    #expect(page.text.contains("mean of 1,001 steps"))
    #expect(page.text.contains("\(3 - 20_000.0 / 1000)"))
  }

  @Test func `one step makes a page too`() throws {
    try log(1, in: "run")
    let (page, _) = try page("run")
    #expect(page.elements.count { $0 == "circle" } == 5)
  }

  @Test func `what a run is called is text, whatever it looks like`() throws {
    let name = "<script>alert('&amp;')\"\u{1}"
    try log(2, in: name)
    let (page, source) = try page(name)
    #expect(!source.contains("<script"))
    #expect(page.text.contains("<script>alert('&amp;')\"\u{FFFD}"))
  }

  @Test func `training writes it with settings and what was made`() throws {
    let outcome = try Graft.run(
      "train", "model", "--data", "text/gospels.txt", "--validation", "text/gospels.txt",
      "--steps", "2", "--batch-size", "1", "--sequence-length", "32", "--quiet", "--out",
      scratch("adapter"), "--report", scratch("run.html"))
    #expect(outcome.status == 0, "\(outcome.error)")
    let page = try Page(try Data(contentsOf: scratch.url("run.html")))
    for text in [
      "--learning-rate", "0.001", "target modules", "q_proj, v_proj", "validation",
      "LlamaForCausalLM", "1,369,728", "21,504", "text/gospels.txt", "of 32 tokens",
      "Training data", "Validation data",
      try Graft.run("--version").output.replacing("\n", with: "").replacing("graft ", with: ""),
    ] {
      #expect(page.text.contains(text), "\(text)")
    }
  }

  /// Calls that end with a report, but for its path.
  private func reporting(_ verb: String) throws -> [String] {
    switch verb {
    case "report":
      try log(2, in: "run")
      return ["report", scratch("run"), "--out"]
    case "train":
      return [
        "train", "model", "--data", "text/gospels.txt", "--steps", "1", "--batch-size", "1",
        "--sequence-length", "16", "--quiet", "--out", scratch("made"), "--report",
      ]
    default:
      return [
        "warm-start", "model", "--vectors", "vectors/newtestament.bin", "--quiet", "--out",
        scratch("made"), "--report",
      ]
    }
  }

  @Test(arguments: ["report", "train", "warm-start"])
  func `a report replaces a report and nothing else`(verb: String) throws {
    let call = try reporting(verb)
    let notes = Data("my notes".utf8)
    try notes.write(to: scratch.url("notes"))
    let refused = try Graft.run(call + [scratch("notes")])
    #expect(refused.status == 4)
    #expect(
      refused.error == """
        error: the target exists already
          \(scratch("notes"))
          a file that is no report stands there, and would be lost; name another one

        """)
    #expect(try Data(contentsOf: scratch.url("notes")) == notes)
    let folder = try Graft.run(call + [scratch.folder.path])
    #expect(folder.status == 4)
    #expect(
      folder.error
        == "error: expected a regular file, found a directory\n  \(scratch.folder.path)\n")
    #expect(!scratch.names.contains("made"))
    for _ in 1...2 {
      let outcome = try Graft.run(call + [scratch("page")])
      #expect(outcome.status == 0, "\(outcome.error)")
      if verb == "train" { try FileManager.default.removeItem(at: scratch.url("made")) }
    }
  }

  @Test func `a page may stand in the run's directory, though not in place of the run's files`()
    throws
  {
    let call = try reporting("train")
    let outcome = try Graft.run(call + [scratch("made/run.html")])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(
      FileManager.default.contents(atPath: scratch("made/run.html"))?.starts(with: Data("<!".utf8))
        == true)
    let log = try Data(contentsOf: scratch.url("made/training_log.jsonl"))
    let refused = try Graft.run(
      "report", scratch("made"), "--out", scratch("made/training_log.jsonl"))
    #expect(refused.status == 4)
    #expect(try Data(contentsOf: scratch.url("made/training_log.jsonl")) == log)
  }

  @Test func `a run that is finished says so`() throws {
    let call = try reporting("train")
    #expect(try Graft.run(call + [scratch("run.html")]).status == 0)
    let again = try Graft.run(call.filter { $0 != "--quiet" } + [scratch("run.html"), "--resume"])
    #expect(again.status == 0)
    #expect(again.error.hasSuffix("; no step is left\n"))
    #expect(again.output == "finished before, after 1 step: \(scratch("made"))\n")
  }

  /// A run that won't end, once it has begun; a shell may set up signals before it.
  private func endless(after setup: String = "") throws -> (process: Process, errors: Pipe) {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    let call = try reporting("train") + [scratch("run.html"), "--accumulate", "20000"]
    process.arguments =
      ["-c", setup + "exec \"$0\" \"$@\"", try #require(Graft.executable).path] + call
    process.currentDirectoryURL = Graft.fixtures
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    while process.isRunning, !scratch.names.contains("made") { usleep(10_000) }
    return (process, errors)
  }

  private func checkInterrupted(_ process: Process, _ errors: Pipe) {
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(text == "error: interrupted after step 0; the state is saved\n")
    #expect(process.terminationStatus == 130)
    #expect(scratch.names == ["made"])
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func `a run that is interrupted inside its first step has no page and ends with 130`(
    signal: Int32
  ) throws {
    let (process, errors) = try endless()
    kill(process.processIdentifier, signal)
    checkInterrupted(process, errors)
  }

  @Test func `where a closed terminal is to be ignored, a run goes on`() throws {
    let (process, errors) = try endless(after: "trap '' HUP; ")
    kill(process.processIdentifier, SIGHUP)
    usleep(300_000)
    #expect(process.isRunning)
    kill(process.processIdentifier, SIGINT)
    checkInterrupted(process, errors)
  }

  @Test(arguments: ["made", "made/training_log.jsonl", "made/adapter_model.safetensors"])
  func `no page takes the place of the run, or of its files`(name: String) throws {
    let outcome = try Graft.run(try reporting("train") + [scratch(name)])
    #expect(outcome.status == 4)
    #expect(scratch.names.isEmpty)
  }

  @Test func `a log that can't be read is 3, with the line; a last line cut off is left out`()
    throws
  {
    try log(3, in: "run")
    let handle = try FileHandle(forWritingTo: scratch.url("run/training_log.jsonl"))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("{\"step\":4,\"lo".utf8))
    #expect(try page("run").page.text.contains("2.997"))
    try handle.write(contentsOf: Data("\n".utf8))
    let outcome = try Graft.run("report", scratch("run"), "--out", scratch("other.html"))
    #expect(outcome.status == 3)
    #expect(
      outcome.error == """
        error: a line of the training log can't be read
          \(scratch("run"))/training_log.jsonl, line 4, expected a step's record, found {"step":4,"lo

        """)
    #expect(!FileManager.default.fileExists(atPath: scratch("other.html")))
  }
}
