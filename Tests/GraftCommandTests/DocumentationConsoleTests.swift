import Testing

/// How the pages' console blocks are read and compared.
struct DocumentationConsoleTests {
  @Test func `a block is commands with their output`() {
    let steps = ConsoleStep.all(
      in: """
        ```console
        $ first \\
            --option
        one
        two
        $ second
        ```
        $ not in a block
        ```text
        $ nor here
        ```
        """)
    #expect(steps.map(\.command) == ["first \\\n    --option", "second"])
    #expect(steps.map(\.expected) == [["one", "two"], []])
    #expect(steps.map(\.line) == [2, 6])
  }

  @Test(arguments: [
    ("a …, b", "a 12 , b"), ("a {0…5}", "a {0…5}"), ("loss 3.70", "loss 3.73"),
    ("(1.5 %) … 2.0", "(1.51 %) x 2.0"), ("rate 1.00e-08", "rate 1.005e-08"),
  ])
  func `a shown line stands for what was printed`(shown: String, printed: String) {
    #expect(step([shown]).difference(from: [printed]) == nil)
  }

  @Test(arguments: [
    ("a …, b", "a 12, c"), ("loss 3.70", "loss 3.75"), ("17 tokens", "18 tokens"),
    ("a.c", "abc"), ("rate 1.00e-08", "rate 1.00e-07"), ("a", "a b"), ("a", ""),
  ])
  func `another line is a difference`(shown: String, printed: String) {
    #expect(step([shown]).difference(from: [printed]) != nil)
  }

  @Test func `a line of … alone stands for any lines`() {
    #expect(step(["a", "…", "d"]).difference(from: ["a", "b", "c", "d", ""]) == nil)
    #expect(step(["a", "…"]).difference(from: ["a"]) == nil)
    #expect(step(["a", "…", "d"]).difference(from: ["a", "b"]) != nil)
    #expect(step(["a"]).difference(from: ["a", "b"]) != nil)
  }

  private func step(_ expected: [String]) -> ConsoleStep {
    ConsoleStep(command: "command", expected: expected, line: 1)
  }
}
