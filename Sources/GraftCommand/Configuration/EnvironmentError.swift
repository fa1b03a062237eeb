import Graft
import GraftKernels

/// A variable of the environment that has a value which isn't one of its own.
struct EnvironmentError: DiagnosableError, Equatable {
  /// The variable.
  let variable: String
  /// What it may be.
  let expected: [String]
  /// What it is.
  let found: String

  /// Checks the variables that the program reads itself.
  static func check() throws(EnvironmentError) {
    guard let wish = SIMDLevel.wish, SIMDLevel(name: wish) == nil else { return }
    throw EnvironmentError(
      variable: SIMDLevel.variable, expected: SIMDLevel.allCases.map { "\($0)" }, found: wish)
  }

  /// The error, taken apart for printing.
  var diagnosis: Diagnosis {
    Diagnosis(
      kind: .usage, summary: "\(variable) has an unusable value",
      location: "expected \(expected.joined(separator: ", ")), found \(found.escapedShortened)",
      remedy: "leave the variable out for the best that the CPU has")
  }
}
