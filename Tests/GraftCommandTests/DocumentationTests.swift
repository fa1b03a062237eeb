import Foundation
import Testing

/// The manual says what the command does: its console blocks are run, its options and links compared.
///
/// Every page begins in a directory of its own that looks like the one which `Manual/Getting-started.md` leaves behind.
struct DocumentationTests {
  @Test func `console blocks print what the pages show`() throws {
    let started = try Documentation.beginning()
    let first = Documentation.gettingStarted
    for difference in try Documentation.run(first, in: started) {
      Issue.record("\(first), \(difference)")
    }
    for page in Documentation.pages {
      for difference in try Documentation.run(page, in: Documentation.copy(of: started)) {
        Issue.record("\(page), \(difference)")
      }
    }
  }

  @Test(arguments: Documentation.verbs.filter { $0 != "plan" })
  func `a verb's page names exactly the options of its help`(verb: String) throws {
    let help = try Shell.run("graft \(verb) --help", in: NSTemporaryDirectory()).output
    let page = try Documentation.text(of: "Manual/\(verb).md")
    let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `--") }.joined(separator: "\n")
    let everywhere: Set = ["--help", "--version"]
    let offered = Documentation.options(in: help).subtracting(everywhere)
    #expect(offered.count > 1)
    #expect(Documentation.options(in: rows) == offered)
  }

  @Test func `plan takes the options of the verb that it plans, and says so as JSON`() throws {
    func options(_ verb: String) throws -> Set<String> {
      let help = try Shell.run("graft \(verb) --help", in: NSTemporaryDirectory()).output
      return Documentation.options(in: help)
    }
    #expect(try options("plan train") == options("train").union(["--json"]))
    #expect(try options("plan merge") == options("merge"))
  }

  @Test func `every verb has a page, and every page a verb`() throws {
    let help = try Shell.run("graft --help", in: NSTemporaryDirectory()).output
    let listed = help.split(separator: "\n").drop { $0 != "SUBCOMMANDS:" }
      .compactMap { $0.wholeMatch(of: #/ {2}([a-z-]+) {2,}.*/#).map { String($0.1) } }
    #expect(listed.sorted() == Documentation.verbs.sorted())
  }

  @Test(arguments: ["README.md", Documentation.gettingStarted])
  func `the system packages are those that make installs`(page: String) throws {
    let installed = try Documentation.text(of: "Makefile").matches(of: /\.ci\/packages (.+)/)
    #expect(installed.count == 2)
    let text = try Documentation.text(of: page)
    for names in installed { #expect(text.contains("`\(names.1)`")) }
  }

  @Test(
    arguments: [Documentation.gettingStarted] + Documentation.pages + Documentation.otherPages)
  func `links lead to files`(page: String) throws {
    let folder = Documentation.root + "/" + page.split(separator: "/").dropLast().joined()
    for match in try Documentation.text(of: page).matches(of: /\]\(([^)#]+)(#[^)]*)?\)/) {
      let target = String(match.1)
      guard !target.contains("://") else { continue }
      #expect(
        FileManager.default.fileExists(atPath: folder + "/" + target), "\(page): \(target)")
    }
  }
}
