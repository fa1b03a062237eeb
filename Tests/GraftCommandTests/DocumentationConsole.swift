import Foundation

/// A command in a console block and the output that the page shows below it.
///
/// In the shown output `…` stands for any text on its line, and a line of `…` alone for any lines. Numbers with a decimal
/// point agree within 1 %: losses depend on the CPU's arithmetic. A command goes on on the next line after a backslash.
/// Lines of progress are left out of what was printed.
struct ConsoleStep {
  let command: String
  let expected: [String]
  /// The command's line on the page, from 1.
  let line: Int

  /// The steps of all blocks that are fenced as `console`.
  static func all(in page: String) -> [ConsoleStep] {
    var steps: [ConsoleStep] = []
    var isInside = false
    var goesOn = false
    for (number, line) in page.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      if line.hasPrefix("```") {
        isInside = line == "```console"
        goesOn = false
      } else if isInside, goesOn, let last = steps.popLast() {
        steps.append(
          ConsoleStep(command: last.command + "\n" + line, expected: [], line: last.line))
        goesOn = line.hasSuffix("\\")
      } else if isInside, line.hasPrefix("$ ") {
        steps.append(
          ConsoleStep(command: String(line.dropFirst(2)), expected: [], line: number + 1))
        goesOn = line.hasSuffix("\\")
      } else if isInside, let last = steps.popLast() {
        steps.append(
          ConsoleStep(
            command: last.command, expected: last.expected + [String(line)], line: last.line))
      }
    }
    return steps
  }

  /// Says how the printed lines differ from the expected ones; nil when they don't.
  func difference(from printed: [String]) -> String? {
    let printed = Self.trimmed(printed)
    let expected = Self.trimmed(expected)
    guard !Self.matches(expected[...], printed[...]) else { return nil }
    return """
      line \(line): \(command)
      expected:
      \(expected.joined(separator: "\n"))
      printed:
      \(printed.joined(separator: "\n"))
      """
  }

  /// Without empty lines at the end.
  private static func trimmed(_ lines: [String]) -> [String] {
    Array(lines.reversed().drop(while: \.isEmpty).reversed())
  }

  private static func matches(_ expected: ArraySlice<String>, _ printed: ArraySlice<String>) -> Bool
  {
    guard let first = expected.first else { return printed.isEmpty }
    if first == "…" {
      return printed.indices.contains { matches(expected.dropFirst(), printed[$0...]) }
        || expected.count == 1
    }
    guard let line = printed.first, Self.matches(first, line) else { return false }
    return matches(expected.dropFirst(), printed.dropFirst())
  }

  private static func matches(_ expected: String, _ line: String) -> Bool {
    var pattern = ""
    var numbers: [Substring] = []
    var rest = expected[...]
    while let found = rest.firstMatch(of: /\d+\.\d+(e-?\d+)?/) {
      pattern += Self.pattern(of: rest[..<found.range.lowerBound]) + #"(\d+\.\d+(?:e-?\d+)?)"#
      numbers.append(found.output.0)
      rest = rest[found.range.upperBound...]
    }
    pattern += Self.pattern(of: rest)
    guard let match = try? Regex(pattern).wholeMatch(in: line) else { return false }
    return zip(numbers, match.output.dropFirst()).allSatisfy { number, capture in
      guard let wanted = Double(number), let found = capture.substring.flatMap({ Double($0) })
      else { return false }
      return abs(found - wanted) <= 0.01 * abs(wanted)
    }
  }

  private static func pattern(of text: Substring) -> String {
    NSRegularExpression.escapedPattern(for: String(text)).replacing("…", with: ".*")
  }
}
