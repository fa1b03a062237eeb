public import GraftCore

/// Why a graph can't be differentiated, compiled or run.
public struct GraphError: DiagnosableError, Equatable {
  /// What is wrong.
  public var reason: Reason

  /// The kinds of failure.
  public enum Reason: Sendable, Equatable {
    /// A trainable tensor doesn't take part in the loss.
    case noGradientPath(TensorName)
    /// An operation has no gradient for one of its inputs.
    case notDifferentiable(operation: String)
    /// A run gave no memory for a name.
    case unbound(TensorName)
    /// A run gave memory of another type.
    case bindingMismatch(TensorName, expected: String, found: String)
    /// No recompute plan's arena is as small as that.
    case arenaTooSmall(byteCount: Int, least: Int)
    /// The compiler broke one of its own rules.
    case inconsistent(String)
  }

  /// Makes an error.
  public init(_ reason: Reason) { self.reason = reason }

  /// The error, taken apart for printing.
  public var diagnosis: Diagnosis {
    switch reason {
    case .noGradientPath(let name):
      Diagnosis(
        kind: .usage, summary: "\(name) doesn't take part in the loss",
        remedy: "leave it out of what is trained")
    case .notDifferentiable(let operation):
      Diagnosis(kind: .badInput, summary: "\(operation) has no gradient")
    case .unbound(let name):
      Diagnosis(kind: .badInput, summary: "no memory was given for \(name)")
    case .bindingMismatch(let name, let expected, let found):
      Diagnosis(
        kind: .badInput, summary: "the memory for \(name) has another type",
        location: "expected \(expected), found \(found)")
    case .arenaTooSmall(let byteCount, let least):
      Diagnosis(
        kind: .memory, summary: "activations don't fit into \(byteCount) bytes",
        remedy: "the least possible is \(least) bytes")
    case .inconsistent(let what):
      Diagnosis(kind: .badInput, summary: "the compiled graph is inconsistent: \(what)")
    }
  }
}
