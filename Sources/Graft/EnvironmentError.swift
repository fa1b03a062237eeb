public import GraftCore
internal import GraftKernels

/// Checks the variables of the environment that the library reads itself: `GRAFT_SIMD`.
///
/// Nothing else does: a value that isn't one of its own is passed over where the variable is used.
/// - Throws: ``EnvironmentError``.
public func checkEnvironment() throws(EnvironmentError) {
  if let error = EnvironmentError(instructions: SIMDLevel.wish) { throw error }
}

/// A variable of the environment that has a value which isn't one of its own.
public struct EnvironmentError: DiagnosableError, Equatable {
  /// The variable.
  public let variable: String
  /// What it may be.
  public let expected: [String]
  /// What it is.
  public let found: String

  /// The error of a value of `GRAFT_SIMD`; nil where it is right, or there is none.
  package init?(instructions value: String?) {
    guard let value, SIMDLevel(name: value) == nil else { return nil }
    variable = SIMDLevel.variable
    expected = SIMDLevel.allCases.map { "\($0)" }
    found = value
  }

  /// The error, taken apart for printing.
  public var diagnosis: Diagnosis {
    Diagnosis(
      kind: .usage, summary: "\(variable) has an unusable value",
      location: "expected \(expected.joined(separator: ", ")), found \(found.escapedShortened)",
      remedy: "leave the variable out for the best that the CPU has")
  }
}
